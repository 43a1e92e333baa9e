"""All that leaves for Slack, as the channel contract has it: deliver, find again, show live.

Puts `sending`, `uploads`, `lookup`, `live` and `status` together for one connection, and turns
their errors into the contract's. Takes addresses and rendered parts; keeps nothing but what the
streams of this process show.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from channels.slack.api import SlackApi, SlackError
from channels.slack.calls import Budget, Calls
from channels.slack.failures import delivery_error
from channels.slack.installations import Installations
from channels.slack.live import (
    APPENDS_BURST,
    APPENDS_PER_S,
    START,
    Growing,
    Streams,
    Working,
)
from channels.slack.lookup import Lookup
from channels.slack.orphans import Orphans
from channels.slack.places import Place, place_of, recipient_of
from channels.slack.sending import Sending
from channels.slack.settings import SlackSettings
from channels.slack.status import StatusBoard
from channels.slack.uploads import Uploads
from gateway.contract import (
    Address,
    Capabilities,
    ChannelHost,
    Json,
    LiveOutput,
    Pace,
    Receipt,
    ReplyTo,
    SentQuery,
)

CAPABILITIES: Final = Capabilities(
    live="message",
    buttons=True,
    can_ask=True,
    on_ambiguous="resend",
    pace=Pace(address_per_s=1, address_burst=3),
)
"""About one message a second in a channel, short bursts tolerated.

docs.slack.dev, "Rate limits", Posting messages; read November 2026.
"""


class Outgoing:
    """The sending half of one connected Slack channel; `close` it."""

    def __init__(
        self,
        api: SlackApi,
        installations: Installations,
        *,
        host: ChannelHost,
        settings: SlackSettings,
    ) -> None:
        clock = asyncio.get_running_loop().time
        calls = Calls(
            api,
            installations,
            host=host,
            workspace_scope="address" if settings.bot_token is None else "account",
            clock=clock,
        )
        self.calls = calls
        self._sending = Sending(calls, unfurl=settings.unfurl)
        self._uploads = Uploads(calls, host)
        self.lookup = Lookup(calls)
        self._orphans = Orphans(self.lookup, grown=self._sending.grown)
        self._board = StatusBoard(calls)
        self._streams = Streams(
            calls=calls,
            lookup=self.lookup,
            grown=self._sending.grown,
            board=self._board,
            appends=Budget(per_s=APPENDS_PER_S, burst=APPENDS_BURST, clock=clock),
        )

    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None
    ) -> Receipt:
        """Send one part once, as `Channel.deliver` has it."""
        place = place_of(address)
        try:
            ref = await self._deliver(place, part, delivery_id=delivery_id, open_ref=open_ref)
        except SlackError as error:
            scope = self.calls.workspace_scope
            raise delivery_error(error, workspace_scope=scope) from error
        self._board.replaced(place)
        return Receipt(ref)

    async def find_sent(self, query: SentQuery) -> Receipt | None:
        """Look for a doubtful delivery, as `Channel.find_sent` has it."""
        try:
            ref = await self.lookup.find(query)
        except SlackError as error:
            scope = self.calls.workspace_scope
            raise delivery_error(error, workspace_scope=scope) from error
        return None if ref is None else Receipt(ref)

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None
    ) -> AsyncGenerator[LiveOutput | None, None]:
        """What to show while a turn runs, as `Channel.live` has it."""
        place, recipient = place_of(address), recipient_of(reply_to)
        if place.thread is None and reply_to is not None:
            place = Place(place.team, place.channel, reply_to.message_ref)
        if place.thread is None:
            yield None
            return
        try:
            if self._can_grow(address, recipient, open_ref=open_ref):
                person = None if place.is_direct else recipient
                yield Growing(self._streams, place, recipient=person, ref=open_ref)
            else:
                yield Working(self._board, place)
        finally:
            self._board.clear(place)

    async def close(self) -> None:
        """Take every status away."""
        await self._board.close()

    async def _deliver(
        self, place: Place, part: Json, *, delivery_id: str, open_ref: str | None
    ) -> str:
        if not part:
            if open_ref is not None:
                await self._sending.take_back(place, open_ref)
            return open_ref or ""
        if "file" in part:
            if open_ref is not None:
                await self._sending.take_back(place, open_ref)
            return await self._uploads.share(place, part["file"])
        if open_ref is None:
            open_ref = await self._orphans.find(place)
        ref = await self._sending.say(place, part, delivery_id=delivery_id, ref=open_ref)
        self._orphans.settle(place)
        return ref

    def _can_grow(
        self, address: Address, recipient: tuple[str, str] | None, *, open_ref: str | None
    ) -> bool:
        """Streams stand in threads, and in channels they are for one person."""
        if open_ref is not None:
            return True
        place = place_of(address)
        if place.thread is None or self.calls.is_throttled(place.team, START):
            return False
        return place.is_direct or recipient is not None
