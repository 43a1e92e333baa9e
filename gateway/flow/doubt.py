"""Doubtful deliveries: parts that may or may not have reached the platform.

Where the platform can be asked, it is asked twice, 30 s apart; a part that it does not have is sent
again. Where it cannot be asked, the channel's rule decides: `resend` (at most two tries of a part
in all) or `hold` for an operator. A channel that holds never sends a doubtful part again by itself.
What finishes an opened message does no harm twice: it is sent again, on the ordinary schedule. What
the platform has reported on by itself meanwhile is settled by that.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import structlog

from gateway.contract import Channel, Receipt, SentQuery
from gateway.domain.delivery import EXPIRES_AFTER_S, Delivery, DeliveryState, next_attempt
from gateway.domain.policy import POLL_S
from gateway.errors import GatewayError, StoreError
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.flow.opened import is_lost
from gateway.flow.stopwatch import Stopwatch
from gateway.store.protocol import Store
from gateway.store.protocol.outbox import SendResult

log = structlog.get_logger(__name__)

MAX_BLIND_TRIES = 2
NOT_FOUND_YET = "not found on the platform yet"
NOT_FOUND = "sent again: the platform was asked twice and does not have it"
BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtTimes:
    """How patient we are with the platforms, in seconds.

    `check_s` is short, because doubtful parts hold up their lanes. `pace_s` lies between two
    decisions of a channel, so that a start after a crash does not flood its platform.
    """

    check_s: float = POLL_S
    pace_s: float = 0.25
    ask_again_s: float = 30.0
    ask_timeout_s: float = 30.0


class Doubt:
    """Decides about doubtful deliveries for one process.

    Settling one may begin the next part of its lane, which `send` is to take on.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        owner: str,
        connected: Set[str],
        send: Callable[[Sequence[Delivery], Channel], None],
        times: DoubtTimes | None = None,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._owner = owner
        self._connected = connected
        self._send = send
        self._times = times or DoubtTimes()
        self._busy: set[str] = set()

    async def run(self) -> None:
        """Decide until cancelled; channels do not wait for each other."""
        async with asyncio.TaskGroup() as deciding:
            while True:
                try:
                    for binding, deliveries in await self._due():
                        self._busy.add(binding.name)
                        deciding.create_task(self._decide_in_turn(binding, deliveries))
                except StoreError as error:
                    log.warning("doubt_postponed", code=error.code)
                await asyncio.sleep(self._times.check_s)

    async def _due(self) -> Sequence[tuple[ChannelBinding, Sequence[Delivery]]]:
        """What is due now, by channel: of those that are connected and not at it already.

        What other channels left in doubt waits as it is, and costs nothing.
        """
        bindings = self._catalogue().channels
        free = (bindings.keys() & self._connected) - self._busy
        due: defaultdict[str, list[Delivery]] = defaultdict(list)
        for delivery in await self._store.ambiguous(limit=BATCH, channels=free):
            due[delivery.address.channel].append(delivery)
        return [(bindings[name], deliveries) for name, deliveries in due.items()]

    async def _decide_in_turn(
        self, binding: ChannelBinding, deliveries: Sequence[Delivery]
    ) -> None:
        try:
            await self._decide_channel(binding, deliveries)
        except StoreError as error:
            log.warning("doubt_postponed", code=error.code)
        finally:
            self._busy.discard(binding.name)

    async def _decide_channel(
        self, binding: ChannelBinding, deliveries: Sequence[Delivery]
    ) -> None:
        watch = Stopwatch()
        for delivery in deliveries:
            result = await self._decide(delivery, binding, watch)
            log.warning(
                "delivery_doubt_decided",
                delivery_id=delivery.id,
                channel=binding.name,
                outcome=result.state,
                attempts=delivery.attempts,
            )
            following = await self._store.end_sends([result], owner=self._owner)
            self._send(following, binding.channel)
            await asyncio.sleep(self._times.pace_s)

    async def _decide(
        self, delivery: Delivery, binding: ChannelBinding, watch: Stopwatch
    ) -> SendResult:
        if delivery.provider_id is not None and delivery.open_ref is None:
            return reported(delivery)
        is_taken_back = is_lost(delivery) and not delivery.part
        if delivery.open_ref is not None or is_taken_back:
            jitter = random.uniform(-1, 1)
            return finished_again(delivery, age_s=watch.age_s(delivery), jitter=jitter)
        if not binding.channel.capabilities.can_ask:
            return without_answer(delivery, rule=binding.on_ambiguous)
        asking = asyncio.create_task(binding.channel.find_sent(_query(delivery)))
        try:
            await asyncio.wait((asking,), timeout=self._times.ask_timeout_s)
        finally:
            asking.cancel()
        if not asking.done() or asking.cancelled():
            return self._not_asked(delivery, age_s=watch.age_s(delivery))
        if (error := asking.exception()) is not None:
            unexpected = None if isinstance(error, GatewayError) else error
            log.warning(
                "delivery_not_looked_up",
                delivery_id=delivery.id,
                channel=binding.name,
                error=type(error).__name__,
                exc_info=unexpected,
            )
            return self._not_asked(delivery, age_s=watch.age_s(delivery))
        return self._answered(
            delivery, asking.result(), rule=binding.on_ambiguous, age_s=watch.age_s(delivery)
        )

    def _answered(
        self, delivery: Delivery, receipt: Receipt | None, *, rule: str, age_s: float
    ) -> SendResult:
        """Found, or asked for the second time in vain; the row itself remembers the first."""
        if receipt is not None:
            return SendResult(
                delivery_id=delivery.id, state="sent", provider_id=receipt.provider_id
            )
        if delivery.error != NOT_FOUND_YET:
            return _ask_later(delivery, NOT_FOUND_YET, wait_s=self._times.ask_again_s)
        if rule == "resend" and age_s < EXPIRES_AFTER_S:
            return SendResult(delivery_id=delivery.id, state="pending", error=NOT_FOUND)
        return without_answer(delivery, rule="hold")

    def _not_asked(self, delivery: Delivery, *, age_s: float) -> SendResult:
        """The platform gave no answer: ask again, for as long as a delivery may take at all."""
        if age_s >= EXPIRES_AFTER_S:
            return without_answer(delivery, rule="hold")
        wait_s = self._times.ask_again_s
        return _ask_later(delivery, "the platform could not be asked", wait_s=wait_s)


def reported(delivery: Delivery) -> SendResult:
    """What becomes of a doubtful part on which the platform reported by itself meanwhile."""
    state: DeliveryState = "dead" if delivery.receipt == "failed" else "sent"
    return SendResult(delivery_id=delivery.id, state=state, error=delivery.error)


def finished_again(delivery: Delivery, *, age_s: float, jitter: float) -> SendResult:
    """When a doubtful end of an opened message is put into it again."""
    again_in_s = next_attempt(delivery.attempts, age_s=age_s, jitter=jitter)
    if again_in_s is None:
        return without_answer(delivery, rule="hold")
    return SendResult(
        delivery_id=delivery.id,
        state="pending",
        error="put into its message again after a doubtful try",
        again_in_s=again_in_s,
    )


def without_answer(delivery: Delivery, *, rule: str) -> SendResult:
    """What becomes of a doubtful part about which the platform says nothing."""
    if rule == "resend" and delivery.attempts < MAX_BLIND_TRIES:
        return SendResult(
            delivery_id=delivery.id, state="pending", error="resent after a doubtful try"
        )
    return SendResult(
        delivery_id=delivery.id,
        state="held",
        error="nobody knows whether it was delivered; an operator decides",
    )


def _ask_later(delivery: Delivery, reason: str, *, wait_s: float) -> SendResult:
    return SendResult(delivery_id=delivery.id, state="ambiguous", error=reason, again_in_s=wait_s)


def _query(delivery: Delivery) -> SentQuery:
    return SentQuery(
        delivery_id=delivery.id,
        address=delivery.address,
        part=delivery.part,
        since=delivery.sent_started_at or delivery.created_at,
    )
