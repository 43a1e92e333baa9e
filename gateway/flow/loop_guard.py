"""The guard against loops: who answers a machine that answers us back is stopped.

Counts, for each chat, messages that no person would write: those of bots that were let in and, with
more patience, the same text of a person again. When there are too many of one kind within a while,
they are answered no more, until a person says something else there or the while is over. Remembers
a bounded number of chats, in memory only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import structlog

from gateway.contract import Address, InboundMessage

log = structlog.get_logger(__name__)

MAX_OF_BOTS = 10
"""Messages of bots in a chat that are still answered within the window."""
MAX_REPEATS = 30
"""Repeats of a person's last words that are still answered within the window."""
WINDOW_S = 300.0
MAX_CHATS = 1000


@dataclass(slots=True)
class _Count:
    """The newest events of one kind with their times, and how many of them are answered."""

    limit: int
    events: dict[str, float] = field(default_factory=dict)
    is_over: bool = False

    def add(self, event: str, now: float) -> bool:
        """Count an event, a copy of it once; whether this makes them too many."""
        self.events[event] = now
        newest = list(self.events.items())[-self.limit - 1 :]
        self.events = {one: at for one, at in newest if now - at <= WINDOW_S}
        was_over, self.is_over = self.is_over, len(self.events) > self.limit
        return self.is_over and not was_over

    def clear(self) -> None:
        """Begin anew."""
        self.events.clear()
        self.is_over = False


@dataclass(slots=True)
class _Chat:
    """What was said last (sender, hash of the text), and what counts."""

    said: tuple[str, int] | None = None
    bots: _Count = field(default_factory=lambda: _Count(MAX_OF_BOTS))
    repeats: _Count = field(default_factory=lambda: _Count(MAX_REPEATS))


class LoopGuard:
    """Watches the chats of one process."""

    def __init__(self, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._chats: OrderedDict[tuple[str, Address], _Chat] = OrderedDict()

    def stops(self, message: InboundMessage) -> bool:
        """Whether a message is not to be answered; a copy of an event counts once."""
        chat = self._chat(message)
        said = None if message.attachments else (message.sender.external_id, hash(message.text))
        is_new = said is None or said != chat.said
        chat.said = said
        if is_new and not message.sender.is_bot:
            chat.bots.clear()
            chat.repeats.clear()
            return False
        count = chat.bots if message.sender.is_bot else chat.repeats
        if count.add(message.second_id or message.external_id, self._now()):
            log.warning(
                "loop_guard_stopped",
                channel=message.address.channel,
                chat=message.address.chat,
                is_bot=message.sender.is_bot,
            )
        return count.is_over

    def _chat(self, message: InboundMessage) -> _Chat:
        key = (message.account, message.address)
        chat = self._chats.get(key)
        if chat is None:
            chat = self._chats[key] = _Chat()
            if len(self._chats) > MAX_CHATS:
                self._chats.popitem(last=False)
        else:
            self._chats.move_to_end(key)
        return chat
