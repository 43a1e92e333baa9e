"""The message that grows while a turn runs: its place in the outbox, and its platform's reference.

Written before the platform is asked for anything (T2b), so that whatever happens the message gets
an end. Knows when to open, not what to show: that is `flow.live_reply`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import structlog

from gateway.contract import Channel, LiveOutput
from gateway.domain.delivery import Delivery
from gateway.domain.ids import new_delivery_id
from gateway.domain.policy import POLL_S
from gateway.domain.turns import ClaimedTurn
from gateway.errors import DeliveryLater, DeliveryRefused, StoreError
from gateway.flow.crash_points import crash_point
from gateway.flow.opened import opened_query
from gateway.store.protocol import Store
from gateway.store.protocol.turns import OpenPart

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GrowingMessage:
    """The growing message of one claimed turn; raises what store and channel raise.

    A reference is offered to the store until it takes it: whoever calls is to limit the time.
    """

    store: Store
    claimed: ClaimedTurn
    channel: Channel

    async def place(self) -> OpenPart | None:
        """Its row; None = it is not to be shown now.

        With an `open_ref` where an earlier attempt opened it: that is gone on with. If that attempt
        could not store the reference, the channel is asked; where that is not possible, or nothing
        is found, a message may stay behind.
        """
        place = await self.store.open_part(
            self.claimed.lease, self.claimed.turn.id, delivery_id=new_delivery_id()
        )
        if place is None:
            return None
        if place.is_new:
            crash_point("after_t2b")
            return place
        delivery = place.delivery
        if delivery.open_ref is not None or not self.channel.capabilities.can_ask:
            return place
        found = await self.channel.find_sent(opened_query(delivery))
        if found is None or found.provider_id is None:
            return place
        is_kept = await self._keep(delivery, found.provider_id)
        known = replace(delivery, open_ref=found.provider_id)
        return OpenPart(known, is_new=False) if is_kept else None

    async def open(self, output: LiveOutput, place: OpenPart) -> bool:
        """Have the platform make the message; False = the turn is not ours any more."""
        try:
            open_ref = await output.open(place.delivery.id)
        except (DeliveryLater, DeliveryRefused):
            await self.leave(place)
            raise
        crash_point("after_opening")
        return await self._keep(place.delivery, open_ref)

    async def leave(self, place: OpenPart) -> None:
        """Note that this attempt opened nothing, so that nobody has to look for it."""
        if place.is_new:
            await self._keep(place.delivery, None)

    async def _keep(self, delivery: Delivery, open_ref: str | None) -> bool:
        """Store the reference, however often the store is away: only we know it."""
        lease = self.claimed.lease
        while True:
            try:
                return await self.store.keep_open_ref(lease, delivery.id, open_ref=open_ref)
            except StoreError as error:
                if not error.transient:
                    raise
                log.warning("open_ref_not_kept", delivery_id=delivery.id, code=error.code)
            await asyncio.sleep(POLL_S)
