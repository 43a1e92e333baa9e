"""Doubtful deliveries: parts that may or may not have reached the platform.

Where the platform can be asked, it is asked twice, 30 s apart. Where it cannot, or knows nothing,
the channel's rule decides: `resend` (at most two tries of a part in all) or `hold` for an operator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from datetime import UTC, datetime, timedelta

import structlog

from gateway.contract import Receipt, SentQuery
from gateway.domain.delivery import Delivery
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, StoreError
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.store.protocol import Store
from gateway.store.protocol.outbox import SendResult

log = structlog.get_logger(__name__)

ASK_AGAIN_S = 30.0
PACE_S = 0.25
"""Between two decisions, so that a start after a crash does not flood a platform."""
MAX_BLIND_TRIES = 2
CHECK_EVERY_S = 1.0
BATCH = 100


class Doubt:
    """Decides about doubtful deliveries for one process."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        owner: str,
        connected: Set[str],
        wake_outbox: Callable[[], None],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._owner = owner
        self._connected = connected
        self._wake_outbox = wake_outbox
        self._asked: dict[str, int] = {}

    async def run(self) -> None:
        """Decide until cancelled."""
        while True:
            try:
                await self.decide_due()
            except StoreError as error:
                log.warning("doubt_postponed", code=error.code)
            await asyncio.sleep(CHECK_EVERY_S)

    async def decide_due(self) -> None:
        """Decide about everything that is due now."""
        for delivery in await self._store.ambiguous(limit=BATCH):
            binding = self._catalogue().channels.get(delivery.address.channel)
            if binding is None or binding.name not in self._connected:
                continue
            result = await self._decide(delivery, binding)
            log.warning(
                "delivery_doubt_decided",
                delivery_id=delivery.id,
                channel=binding.name,
                outcome=result.state,
                attempts=delivery.attempts,
            )
            await self._store.end_sends([result], owner=self._owner)
            self._wake_outbox()
            await asyncio.sleep(PACE_S)

    async def _decide(self, delivery: Delivery, binding: ChannelBinding) -> SendResult:
        if binding.channel.capabilities.can_ask:
            times = self._asked.pop(delivery.id, 0) + 1
            try:
                receipt = await self._ask(delivery, binding)
            except (DeliveryLater, DeliveryUnknown, DeliveryRefused) as error:
                return _ask_later(delivery, str(error))
            if receipt is not None:
                return SendResult(
                    delivery_id=delivery.id, state="sent", provider_id=receipt.provider_id
                )
            if times < 2:
                self._asked[delivery.id] = times
                return _ask_later(delivery, "not found on the platform yet")
        return without_answer(delivery, rule=binding.on_ambiguous)

    async def _ask(self, delivery: Delivery, binding: ChannelBinding) -> Receipt | None:
        return await binding.channel.find_sent(
            SentQuery(
                delivery_id=delivery.id,
                address=delivery.address,
                part=delivery.part,
                since=delivery.sent_started_at or delivery.created_at,
            )
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


def _ask_later(delivery: Delivery, reason: str) -> SendResult:
    return SendResult(
        delivery_id=delivery.id,
        state="ambiguous",
        error=reason,
        next_at=datetime.now(UTC) + timedelta(seconds=ASK_AGAIN_S),
    )
