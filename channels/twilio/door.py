"""Hands what Twilio told to the gateway, whichever way it came.

Returns when the gateway has all of it on disk, and raises a `GatewayError` when it has not: then
Twilio must tell it again. One event that nothing can store never holds up the others: it is kept
raw. Remembers the last events, so that a list looked through every few minutes costs nothing.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import structlog

from channels.twilio.settings import Line
from gateway.contract import ChannelHost, Inbound, Unreadable
from gateway.errors import GatewayError, Unavailable

REMEMBERED: Final = 10_000

_log: Final = structlog.get_logger(__name__)

Cursor = tuple[str, str]


class Door:
    """The way in of one connected channel."""

    def __init__(self, host: ChannelHost, line: Line) -> None:
        self._host = host
        self._line = line
        self._known: OrderedDict[str, None] = OrderedDict()

    def is_known(self, external_id: str) -> bool:
        """Whether the gateway has this event; False may also mean that it was long ago."""
        return external_id in self._known

    async def take(self, events: Sequence[Inbound], *, cursor: Cursor | None = None) -> None:
        """Store events, and the cursor with them; raises GatewayError if not."""
        if not await self._is_stored(events, cursor=cursor):
            for event in events:
                if not await self._is_stored([event]):
                    await self._keep_raw(event)
            if cursor is not None and not await self._is_stored([], cursor=cursor):
                raise Unavailable("the place in the list could not be stored", retry_after_s=5)
        for event in events:
            self._known[event.external_id] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def ignore(self, kind: str) -> None:
        """Count what is nobody's message to us."""
        self._host.ignored(kind)
        if kind in ("other_number", "other_account"):
            _log.warning("message_for_another_channel", channel=self._line.channel, kind=kind)

    async def _keep_raw(self, event: Inbound) -> None:
        kept = Unreadable(
            account=event.account,
            external_id=event.external_id,
            digest=event.digest,
            received_at=event.received_at,
            raw=repr(event).encode("utf-8", "replace"),
            reason="could not be stored",
        )
        if not await self._is_stored([kept]):
            raise Unavailable("an event could not be stored", retry_after_s=5)

    async def _is_stored(self, batch: Sequence[Inbound], *, cursor: Cursor | None = None) -> bool:
        """False = the gateway stumbled over this batch; an error that it explains is passed on."""
        if not batch and cursor is None:
            return True
        try:
            await self._host.accept(batch, cursor=cursor)
        except GatewayError:
            raise
        except Exception:  # noqa: BLE001 - one event must not hold up others, whatever is wrong
            _log.exception("inbound_failed", channel=self._line.channel, events=len(batch))
            return False
        return True
