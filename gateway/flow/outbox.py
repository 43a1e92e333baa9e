"""The delivery worker: sends due parts, one at a time in each lane, until they are settled.

Each part is marked `sending` before it leaves (T4) and settled after (T5). What happens between is
the ambiguous window: on the next start, or after an error without an answer, `flow.doubt` decides.
An end that cannot be written is retried from memory: a part is never sent again for that.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, datetime

import structlog

from gateway.contract import Channel
from gateway.domain.delivery import EXPIRES_AFTER_S, Delivery, next_attempt
from gateway.domain.policy import POLL_S
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, Scope, StoreError
from gateway.flow.catalogue import Catalogue
from gateway.flow.crash_points import crash_point
from gateway.flow.opened import with_opened
from gateway.flow.pace import Pacer, Pacers
from gateway.flow.stopwatch import Stopwatch
from gateway.store.protocol import Store
from gateway.store.protocol.outbox import SendResult

log = structlog.get_logger(__name__)

SENDS_AT_ONCE = 64
"""In each channel, so that a platform that hangs does not hold up the others."""
SEND_TIMEOUT_S = 60.0
ACCOUNT_REFUSED_PAUSE_S = 60.0
MIN_THROTTLE_S = 0.25
NOTHING_SHOWN = "nothing_shown"
STRANDED_CHECK_S = 60.0
"""Long enough for channels to connect after a start before anything is given up."""


class Outbox:
    """Delivers for one process."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        owner: str,
        connected: Set[str],
        poll_s: float = POLL_S,
        send_timeout_s: float = SEND_TIMEOUT_S,
        stranded_check_s: float = STRANDED_CHECK_S,
        pacers: Pacers | None = None,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._owner = owner
        self._connected = connected
        self._poll_s = poll_s
        self._send_timeout_s = send_timeout_s
        self._stranded_check_s = stranded_check_s
        self._news = asyncio.Event()
        self._beginning = asyncio.Lock()
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._lanes_of: Counter[str] = Counter()
        self._pacers = pacers or Pacers()
        self._last_out_at: dict[str, datetime] = {}
        self._is_stopping = False
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last_pass_at = 0.0

    def last_out_at(self) -> Mapping[str, datetime]:
        """When each channel last took a part from this process; those that took none are absent."""
        return self._last_out_at

    def wake(self) -> None:
        """There may be something to send."""
        self._news.set()

    def send(self, deliveries: Sequence[Delivery], channel: Channel) -> None:
        """Send parts of a channel that are marked `sending` for this process already."""
        for delivery in deliveries:
            self._start(delivery, channel)

    async def run(self) -> None:
        """Send what is due until cancelled; an unexpected error of a send comes out here.

        What is on its way then is cut off: the next start looks into it.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send_all())
                group.create_task(self._expire_stranded())
                group.create_task(self._watch())
        finally:
            for task in list(self._tasks):
                task.cancel()
            if self._tasks:
                await asyncio.wait(list(self._tasks))

    async def drain(self, *, within_s: float) -> None:
        """Send what is due now, begin nothing more, and wait for what is on its way."""
        deadline = _now() + within_s
        while (left_s := deadline - _now()) > 0 and (await self._begin() or self._tasks):
            if self._tasks:
                await asyncio.wait(
                    list(self._tasks), timeout=left_s, return_when=asyncio.FIRST_COMPLETED
                )
        async with self._beginning:
            self._is_stopping = True
        if self._tasks:
            log.warning("drain_left_deliveries", lanes=len(self._tasks))

    async def _send_all(self) -> None:
        while True:
            self._news.clear()
            await self._begin()
            self.last_pass_at = _now()
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _begin(self) -> bool:
        """Start everything that may leave now; False when there was nothing."""
        is_any = False
        async with self._beginning:
            for name, binding in self._catalogue().channels.items():
                if name in self._connected and binding.channel.capabilities.delivers:
                    is_any |= await self._begin_channel(binding.channel)
        return is_any

    async def _begin_channel(self, channel: Channel) -> bool:
        room = SENDS_AT_ONCE - self._lanes_of[channel.name]
        limit = min(self._pacers.of(channel, now=_now()).free(now=_now()), room)
        if limit <= 0 or self._is_stopping:
            return False
        try:
            begun = await self._store.begin_sends(
                owner=self._owner, limit=limit, channels=(channel.name,)
            )
        except StoreError as error:
            log.warning("send_begin_failed", code=error.code)
            return False
        for delivery in begun:
            self._start(delivery, channel)
        return bool(begun)

    def _start(self, delivery: Delivery, channel: Channel) -> None:
        task = asyncio.create_task(self._send_lane(delivery, channel), name=delivery.id)
        self._tasks[task] = channel.name
        self._lanes_of[channel.name] += 1
        task.add_done_callback(self._check)

    async def _send_lane(self, first: Delivery, channel: Channel) -> None:
        """Send a part, and the parts behind it in its lane as long as each may leave at once."""
        following = [first]
        pacer = self._pacers.of(channel, now=_now())
        with pacer.delivering(first.address):
            while following:
                delivery = following.pop()
                result = await self._send(delivery, channel, pacer)
                following.extend(await self._settle(result))
        if first.is_command_answer:  # the next one to that chat waited for this one
            self.wake()

    async def _send(self, delivery: Delivery, channel: Channel, pacer: Pacer) -> SendResult:
        """One try of one part, as the result to be written."""
        crash_point("after_t4")
        watch = Stopwatch()
        pause_s = pacer.sent(delivery.address, now=_now())
        try:
            known = await with_opened(delivery, channel)
            if not known.part and known.open_ref is None:
                return nothing_shown(delivery)
            async with asyncio.timeout(self._send_timeout_s):
                receipt = await channel.deliver(
                    known.address, known.part, delivery_id=known.id, open_ref=known.open_ref
                )
            crash_point("after_send")
            self._last_out_at[channel.name] = datetime.now(UTC)
            result = SendResult(
                delivery_id=delivery.id,
                state="sent",
                provider_id=receipt.provider_id,
                blocked_s=pause_s,
                scope="address",
            )
        except DeliveryLater as error:
            age_s = watch.age_s(delivery)
            result = later(delivery, error, age_s=age_s, jitter=random.uniform(-1, 1))
        except DeliveryRefused as error:
            result = refused(delivery, error, age_s=watch.age_s(delivery))
        except (DeliveryUnknown, TimeoutError) as error:
            result = unknown(delivery, error)
        except Exception as error:
            log.exception("delivery_broke", delivery_id=delivery.id, channel=channel.name)
            result = unknown(delivery, error)
        if result.state != "sent" and result.blocked_s:
            address = None if result.scope == "account" else delivery.address
            pacer.hold(address, until=_now() + result.blocked_s)
        _tell(delivery, result, channel, duration_s=watch.seconds)
        return result

    async def _settle(self, result: SendResult) -> list[Delivery]:
        """Write how a try ended, however long the store is away: only we know it.

        Gives the next part of the lane, already `sending`.
        """
        pause_s = self._poll_s
        while True:
            try:
                following = await self._store.end_sends([result], owner=self._owner)
                crash_point("after_t5")
                return following
            except StoreError as error:
                log.warning("send_end_failed", delivery_id=result.delivery_id, code=error.code)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 5.0)

    async def _expire_stranded(self) -> None:
        """Give up what is too old and has no channel that would try it, and so find out."""
        while True:
            await asyncio.sleep(self._stranded_check_s)
            try:
                count = await self._store.expire_stranded(
                    connected=self._connected, after_s=EXPIRES_AFTER_S
                )
            except StoreError as error:
                log.warning("stranded_not_expired", code=error.code)
                continue
            if count:
                log.warning("stranded_deliveries_given_up", deliveries=count)

    async def _watch(self) -> None:
        await self._broken

    def _check(self, task: asyncio.Task[None]) -> None:
        name = self._tasks.pop(task)
        if self._lanes_of[name] == SENDS_AT_ONCE:
            self.wake()
        self._lanes_of[name] -= 1
        if not task.cancelled() and (error := task.exception()) and not self._broken.done():
            self._broken.set_exception(error)


def nothing_shown(delivery: Delivery) -> SendResult:
    """A message that was to be taken back does not stand there, as far as anybody can tell."""
    return SendResult(delivery_id=delivery.id, state="cancelled", error=NOTHING_SHOWN)


def later(delivery: Delivery, error: DeliveryLater, *, age_s: float, jitter: float) -> SendResult:
    """The part was not taken: when it goes again, or that its time is over."""
    if error.retry_after_s is not None:
        pause_s = max(error.retry_after_s, MIN_THROTTLE_S)
        return _held_up(delivery, error.message, scope=error.scope, pause_s=pause_s, age_s=age_s)
    again_in_s = next_attempt(delivery.attempts, age_s=age_s, jitter=jitter)
    if again_in_s is None:
        return SendResult(delivery_id=delivery.id, state="expired", error=error.message)
    return SendResult(
        delivery_id=delivery.id, state="pending", error=error.message, again_in_s=again_in_s
    )


def refused(delivery: Delivery, error: DeliveryRefused, *, age_s: float) -> SendResult:
    """The part will never be taken; a refused account keeps it until somebody mends that."""
    if error.scope == "account":
        pause_s = ACCOUNT_REFUSED_PAUSE_S
        return _held_up(delivery, error.message, scope="account", pause_s=pause_s, age_s=age_s)
    return SendResult(
        delivery_id=delivery.id,
        state="dead",
        error=error.message,
        scope=error.scope,
        opts_out=error.scope == "address" and error.code == "opted_out",
    )


def unknown(delivery: Delivery, error: BaseException) -> SendResult:
    """Nobody knows whether the part was taken.

    Of an error that is not ours only the kind is told: its text may hold an address with a token.
    """
    reason = error.message if isinstance(error, DeliveryUnknown) else type(error).__name__
    return SendResult(delivery_id=delivery.id, state="ambiguous", error=reason)


def _held_up(
    delivery: Delivery, reason: str, *, scope: Scope, pause_s: float, age_s: float
) -> SendResult:
    """Nothing goes to `scope` for a while, which is no attempt; a part too old is given up."""
    return SendResult(
        delivery_id=delivery.id,
        state="expired" if age_s >= EXPIRES_AFTER_S else "pending",
        error=reason,
        again_in_s=pause_s,
        blocked_s=pause_s,
        scope=scope,
        counts=False,
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
