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
from channels.telegram.parse import Reading, canonical, inbound, press_id, unreadable, update_id
from channels.telegram.transport import NoAnswer, Refused
from gateway.contract import Address, AddressMoved, ChannelHost, Inbound
from gateway.errors import GatewayError, Unavailable

_log: Final = structlog.get_logger(__name__)

Cursor = tuple[str, str]


class Door:
    """The way in of one connected account."""

    def __init__(self, host: ChannelHost, api: BotApi, *, reading: Reading) -> None:
        self._host = host
        self._api = api
        self._reading = reading
        self._answers: set[asyncio.Task[None]] = set()

    async def take(self, updates: Sequence[object], *, cursor: Cursor | None = None) -> None:
        """Store what the updates mean, and the cursor with it; raises GatewayError if not."""
        meanings = [self._meaning(update) for update in updates]
        batch = [meaning for meaning in meanings if meaning is not None]
        if not await self._is_stored(batch, cursor=cursor):
            await self._take_one_by_one(updates, cursor=cursor)
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

    def _meaning(self, update: object) -> Inbound | None:
        meaning = inbound(update, self._reading, received_at=datetime.now(UTC))
        if meaning is None:
            _log.debug("update_ignored", channel=self._reading.channel, update_id=update_id(update))
        return meaning

    async def _take_one_by_one(self, updates: Sequence[object], *, cursor: Cursor | None) -> None:
        """One of them cannot be stored: find it, and keep it raw."""
        for update in updates:
            meaning = self._meaning(update)
            if meaning is not None and not await self._is_stored([meaning]):
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
            _log.debug("press_not_answered", channel=self._reading.channel, reason=str(error))
