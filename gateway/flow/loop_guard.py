"""The guard against loops: who answers a machine that answers us back is stopped.

Counts, for each chat, messages that no person would write: those of bots that were let in, and the
same text of the same sender again. When there are too many within a while, the chat is answered no
more, until a person says something else there or the while is over. Remembers a bounded number of
chats, in memory only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

import structlog

from gateway.contract import Address, InboundMessage

log = structlog.get_logger(__name__)

MAX_MESSAGES = 10
"""Messages no person would write that are still answered within the window."""
WINDOW_S = 300.0
MAX_CHATS = 1000


@dataclass(slots=True)
class _Chat:
    """What was said last (sender, hash of the text), and the times of the events that count."""

    said: tuple[str, int] | None = None
    counted: dict[str, float] = field(default_factory=dict)
    is_stopped: bool = False


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
            chat.is_stopped = False
            chat.counted.clear()
            return False
        return self._count(chat, message)

    def _count(self, chat: _Chat, message: InboundMessage) -> bool:
        now = self._now()
        chat.counted[message.second_id or message.external_id] = now
        newest = list(chat.counted.items())[-MAX_MESSAGES - 1 :]
        chat.counted = {one: at for one, at in newest if now - at <= WINDOW_S}
        was_stopped, chat.is_stopped = chat.is_stopped, len(chat.counted) > MAX_MESSAGES
        if chat.is_stopped and not was_stopped:
            log.warning(
                "loop_guard_stopped",
                channel=message.address.channel,
                chat=message.address.chat,
                is_bot=message.sender.is_bot,
            )
        return chat.is_stopped

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
