"""The delivery worker: sends due parts, one at a time in each lane, until they are settled.

Each part is marked `sending` before it leaves (T4) and settled after (T5). What happens between is
the ambiguous window: on the next start, or after an error without an answer, `flow.doubt` decides.
An end that cannot be written is retried from memory: a part is never sent again for that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Set
from datetime import UTC, datetime, timedelta
from time import perf_counter

import structlog

from gateway.contract import Channel
from gateway.domain.delivery import Delivery, next_attempt
from gateway.domain.policy import POLL_S
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, StoreError
from gateway.flow.catalogue import Catalogue
from gateway.flow.pace import Pacer
from gateway.store.protocol import Store
from gateway.store.protocol.outbox import SendResult

log = structlog.get_logger(__name__)

SENDS_AT_ONCE = 64
SEND_TIMEOUT_S = 60.0
ACCOUNT_REFUSED_PAUSE_S = 60.0
SETTLE_PATIENCE_S = 60.0


class Outbox:
    """Delivers for one process."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        owner: str,
        connected: Set[str],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._owner = owner
        self._connected = connected
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pacers: dict[str, Pacer] = {}
        self._is_stopping = False
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last_pass_at = 0.0

    def wake(self) -> None:
        """There may be something to send."""
        self._news.set()

    async def run(self) -> None:
        """Send what is due until cancelled; an unexpected error of a send comes out here."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_all())
            group.create_task(self._watch())

    async def drain(self, *, within_s: float) -> None:
        """Send what is due now, begin nothing more, and wait for what is on its way."""
        deadline = asyncio.get_running_loop().time() + within_s
        while self._tasks or await self._begin():
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0 or not self._tasks:
                break
            await asyncio.wait(self._tasks, timeout=left_s)
        self._is_stopping = True

    async def _send_all(self) -> None:
        while True:
            self._news.clear()
            try:
                await self._begin()
            except StoreError as error:
                log.warning("send_begin_failed", code=error.code)
            self.last_pass_at = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _begin(self) -> bool:
        """Start everything that may leave now; False when there was nothing."""
        is_any = False
        for name, binding in self._catalogue().channels.items():
            if self._is_stopping or not binding.channel.capabilities.delivers:
                continue
            limit = min(self._pacer(binding.channel).free(now=_now()), self._free())
            if limit <= 0 or name not in self._connected:
                continue
            for delivery in await self._store.begin_sends(
                owner=self._owner, limit=limit, channels=(name,)
            ):
                is_any = True
                self._start(delivery, binding.channel)
        return is_any

    def _start(self, delivery: Delivery, channel: Channel) -> None:
        task = asyncio.create_task(self._send_lane(delivery, channel), name=delivery.id)
        self._tasks.add(task)
        task.add_done_callback(self._check)

    async def _send_lane(self, first: Delivery, channel: Channel) -> None:
        """Send a part, and the parts behind it in its lane as long as each may leave at once."""
        following = [first]
        while following:
            delivery = following.pop()
            result = await self._send(delivery, channel)
            following.extend(await self._settle(result))

    async def _send(self, delivery: Delivery, channel: Channel) -> SendResult:
        """One try of one part, as the result to be written."""
        began = perf_counter()
        pause_s = self._pacer(channel).sent(delivery.address, now=_now())
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                receipt = await channel.deliver(
                    delivery.address,
                    delivery.part,
                    delivery_id=delivery.id,
                    open_ref=delivery.open_ref,
                )
            blocked = datetime.now(UTC) + timedelta(seconds=pause_s) if pause_s > 0 else None
            result = SendResult(
                delivery_id=delivery.id,
                state="sent",
                provider_id=receipt.provider_id,
                blocked_until=blocked,
                scope="address",
            )
        except DeliveryLater as error:
            result = later(delivery, error, now=datetime.now(UTC), jitter=random.uniform(-1, 1))
        except DeliveryRefused as error:
            result = refused(delivery, error, now=datetime.now(UTC))
        except (DeliveryUnknown, TimeoutError) as error:
            result = unknown(delivery, error)
        except Exception as error:
            log.exception("delivery_broke", delivery_id=delivery.id, channel=channel.name)
            result = unknown(delivery, error)
        _tell(delivery, result, channel, duration_s=perf_counter() - began)
        return result

    async def _settle(self, result: SendResult) -> list[Delivery]:
        """Write how a try ended, patiently; the next part of the lane, already `sending`."""
        deadline = _now() + SETTLE_PATIENCE_S
        pause_s = POLL_S
        while True:
            try:
                following = await self._store.end_sends([result], owner=self._owner)
            except StoreError as error:
                log.warning("send_end_failed", delivery_id=result.delivery_id, code=error.code)
                if _now() + pause_s > deadline:
                    return []
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 5.0)
            else:
                return following

    def _pacer(self, channel: Channel) -> Pacer:
        pacer = self._pacers.get(channel.name)
        if pacer is None:
            pacer = self._pacers[channel.name] = Pacer(channel.capabilities.pace, now=_now())
        return pacer

    def _free(self) -> int:
        return SENDS_AT_ONCE - len(self._tasks)

    async def _watch(self) -> None:
        await self._broken

    def _check(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if len(self._tasks) == SENDS_AT_ONCE - 1:
            self.wake()
        if not task.cancelled() and (error := task.exception()) and not self._broken.done():
            self._broken.set_exception(error)


def later(delivery: Delivery, error: DeliveryLater, *, now: datetime, jitter: float) -> SendResult:
    """The part was not taken: when it goes again, or that its time is over."""
    if error.retry_after_s is not None:
        again = now + timedelta(seconds=error.retry_after_s)
        return SendResult(
            delivery_id=delivery.id,
            state="pending",
            error=error.message,
            next_at=again,
            blocked_until=again,
            scope=error.scope,
            counts=False,
        )
    again_at = next_attempt(delivery.attempts, first_at=delivery.created_at, now=now, jitter=jitter)
    return SendResult(
        delivery_id=delivery.id,
        state="pending" if again_at else "expired",
        error=error.message,
        next_at=again_at,
    )


def refused(delivery: Delivery, error: DeliveryRefused, *, now: datetime) -> SendResult:
    """The part will never be taken; a refused account keeps it until somebody mends that."""
    if error.scope == "account":
        again = now + timedelta(seconds=ACCOUNT_REFUSED_PAUSE_S)
        return SendResult(
            delivery_id=delivery.id,
            state="pending",
            error=error.message,
            next_at=again,
            blocked_until=again,
            scope="account",
            counts=False,
        )
    return SendResult(delivery_id=delivery.id, state="dead", error=error.message, scope=error.scope)


def unknown(delivery: Delivery, error: BaseException) -> SendResult:
    """Nobody knows whether the part was taken."""
    return SendResult(
        delivery_id=delivery.id,
        state="ambiguous",
        error=str(error) or type(error).__name__,
        next_at=datetime.now(UTC),
    )


def _tell(delivery: Delivery, result: SendResult, channel: Channel, *, duration_s: float) -> None:
    is_sent = result.state == "sent"
    (log.info if is_sent else log.warning)(
        "delivery_sent" if is_sent else "delivery_not_sent",
        delivery_id=delivery.id,
        turn_id=delivery.turn_id,
        session_id=delivery.session_id,
        channel=channel.name,
        outcome=result.state,
        error=result.error,
        attempts=delivery.attempts,
        duration_ms=round(duration_s * 1000, 1),
    )


def _now() -> float:
    return asyncio.get_running_loop().time()
