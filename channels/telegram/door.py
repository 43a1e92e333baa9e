"""Hands updates to the gateway, whichever way they came in.

Takes updates as JSON values; returns when the gateway has all of them on disk, and raises a
`GatewayError` when it has not: then Telegram must keep them. One update that nothing can store
never holds up the others: it is kept raw. Button presses are answered afterwards, best effort.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import structlog

from channels.telegram.bot_api import BotApi
from channels.telegram.parse import (
    Ignored,
    album_of,
    canonical,
    inbound,
    press_id,
    unreadable,
    update_id,
)
from channels.telegram.reading import Reading
from channels.telegram.transport import NoAnswer, Refused
from gateway.contract import Address, AddressMoved, ChannelHost, Inbound, InboundMessage
from gateway.errors import GatewayError, Unavailable

_log: Final = structlog.get_logger(__name__)

ALBUMS: Final = 100
"""Albums remembered: their items come within a second or two of each other."""

_TOO_OLD: Final = "query is too old"

Cursor = tuple[str, str]


class Door:
    """The way in of one connected account."""

    def __init__(self, host: ChannelHost, api: BotApi, *, reading: Reading) -> None:
        self._host = host
        self._api = api
        self._reading = reading
        self._answers: set[asyncio.Task[None]] = set()
        self._albums: dict[str, None] = {}

    async def take(self, updates: Sequence[object], *, cursor: Cursor | None = None) -> None:
        """Store what the updates mean, and the cursor with it; raises GatewayError if not."""
        for update in updates:
            self._note_album(update)
        meanings = [self._meaning(update) for update in updates]
        batch = [meaning for meaning in meanings if not isinstance(meaning, Ignored)]
        if not await self._is_stored(batch, cursor=cursor):
            await self._take_one_by_one(updates, meanings, cursor=cursor)
        for update, meaning in zip(updates, meanings, strict=True):
            self._note_ignored(update, meaning)
        for update in updates:
            self._answer_press(update)

    async def take_unreadable(self, raw: bytes, *, reason: str) -> None:
        """Store a body that is no JSON; raises GatewayError if that fails."""
        event = unreadable(raw, self._reading, received_at=datetime.now(UTC), reason=reason)
        if not await self._is_stored([event]):
            raise Unavailable("an update could not be stored", retry_after_s=5)

    async def report_move(self, old: str, new: str) -> None:
        """Tell the gateway that a chat has a new id, as a refused send said; best effort."""
        account = self._reading.me.account
        moved = AddressMoved(
            account=account,
            external_id=f"moved:{old}:{new}",
            digest=sha256(f"{account}:{old}:{new}".encode()).digest(),
            received_at=datetime.now(UTC),
            old=Address(self._reading.channel, old),
            new=Address(self._reading.channel, new),
        )
        with contextlib.suppress(GatewayError):  # the platform's own word of it comes as well
            await self._is_stored([moved])

    async def close(self) -> None:
        """Stop answering button presses."""
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    def _meaning(self, update: object) -> Inbound | Ignored:
        return inbound(
            update,
            self._reading,
            received_at=datetime.now(UTC),
            is_known_album=album_of(update) in self._albums,
        )

    def _note_album(self, update: object) -> None:
        """In a group one item of an album names us, by its caption: then all of it is for us."""
        album = album_of(update)
        if album is None or not isinstance(self._meaning(update), InboundMessage):
            return
        self._albums[album] = None
        if len(self._albums) > ALBUMS:
            del self._albums[next(iter(self._albums))]

    def _note_ignored(self, update: object, meaning: Inbound | Ignored) -> None:
        if isinstance(meaning, Ignored):
            self._host.ignored(meaning.kind)
            name, number = self._reading.channel, update_id(update)
            _log.debug("update_ignored", channel=name, kind=meaning.kind, update_id=number)

    async def _take_one_by_one(
        self,
        updates: Sequence[object],
        meanings: Sequence[Inbound | Ignored],
        *,
        cursor: Cursor | None,
    ) -> None:
        """One of them cannot be stored: find it, and keep it raw."""
        for update, meaning in zip(updates, meanings, strict=True):
            if not isinstance(meaning, Ignored) and not await self._is_stored([meaning]):
                await self.take_unreadable(canonical(update), reason="could not be stored")
        if cursor is not None and not await self._is_stored([], cursor=cursor):
            raise Unavailable("the place in the updates could not be stored", retry_after_s=5)

    async def _is_stored(self, batch: Sequence[Inbound], *, cursor: Cursor | None = None) -> bool:
        """False = the gateway stumbled over this batch; an error that it explains is passed on."""
        if not batch and cursor is None:
            return True
        try:
            await self._host.accept(batch, cursor=cursor)
        except GatewayError:
            raise
        except Exception:  # noqa: BLE001 - one event must not block its chat, whatever is wrong
            _log.exception("inbound_failed", channel=self._reading.channel, updates=len(batch))
            return False
        return True

    def _answer_press(self, update: object) -> None:
        pressed = press_id(update)
        if pressed is not None:
            task = asyncio.create_task(self._answer(pressed))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _answer(self, pressed: str) -> None:
        try:
            await self._api.answer_press(pressed)
        except (Refused, NoAnswer) as error:
            if not (isinstance(error, Refused) and error.says(_TOO_OLD)):
                name, reason = self._reading.channel, str(error)
                _log.warning("press_not_answered", channel=name, reason=reason)
