"""What stands on the plain platform: messages, each with the delivery id it was sent under.

Keeps them in the order in which they appeared. The platform forbids nothing: a second message under
the same delivery id stands beside the first, so that whoever sends twice is seen.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.testing.plain.files import PlainFile


@dataclass(slots=True)
class PlainMessage:
    """A message to the people of a chat.

    `at` is when it got its last text, on the monotonic clock. While it is not `is_final` it still
    grows; `earlier` are the texts it had before. Once removed nobody sees it. One with a `file` has
    no text.
    """

    id: str
    chat: str
    thread: str | None
    delivery_id: str
    text: str
    at: float
    is_final: bool = True
    is_removed: bool = False
    earlier: list[str] = field(default_factory=list)
    file: PlainFile | None = None


class Messages:
    """Every message there ever was. `counts` are those that people may see as final, by chat."""

    def __init__(self) -> None:
        self.all: list[PlainMessage] = []
        self.counts: Counter[str] = Counter()
        self._by_id: dict[str, PlainMessage] = {}
        self._by_chat: defaultdict[str, list[PlainMessage]] = defaultdict(list)

    def add(
        self,
        chat: str,
        text: str,
        *,
        thread: str | None,
        delivery_id: str,
        is_final: bool,
        file: PlainFile | None = None,
    ) -> PlainMessage:
        """A new message, always."""
        message = PlainMessage(
            id=f"m{len(self.all) + 1}",
            chat=chat,
            thread=thread,
            delivery_id=delivery_id,
            text=text,
            at=time.monotonic(),
            is_final=is_final,
            file=file,
        )
        self.all.append(message)
        self._by_id[message.id] = message
        self._by_chat[chat].append(message)
        self.counts[chat] += is_final
        return message

    def change(self, message: PlainMessage, text: str, *, is_final: bool) -> None:
        """Another text; a final message stays one."""
        if text != message.text:
            message.earlier.append(message.text)
        if is_final and not message.is_final:
            self.counts[message.chat] += 1
        message.text, message.at = text, time.monotonic()
        message.is_final |= is_final

    def remove(self, message: PlainMessage) -> None:
        """Take it from people's eyes."""
        message.is_removed = True
        self.counts[message.chat] -= message.is_final

    def find(self, message_id: str) -> PlainMessage | None:
        """A message that stands, or None."""
        message = self._by_id.get(message_id)
        return None if message is None or message.is_removed else message

    def standing(self, chat: str | None = None) -> Sequence[PlainMessage]:
        """What people see (of that chat), oldest place first."""
        messages = self.all if chat is None else self._by_chat.get(chat, [])
        return [message for message in messages if not message.is_removed]
