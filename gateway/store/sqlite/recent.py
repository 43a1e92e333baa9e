"""What the writer still knows of sessions it has just worked on, so that a turn reads little.

Two things, both bounded: the transcript windows of long talks (a turn then costs the same however
long the talk is), and the turns that were claimed here with their own messages. Everything in it is
a copy of rows; whatever is missing is read again. It must be forgotten when a transaction is undone
and when another process has written, for then the rows may be others.

Used in the writer's thread only.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.conversation import ImagePart, Message, TextPart
from gateway.domain.turns import Turn
from gateway.store.rows import to_message
from gateway.store.sqlite.sessions import Sheet

_NEWEST = """
SELECT * FROM message_row WHERE project_id = ? AND session_id = ? ORDER BY seq DESC LIMIT ?
"""
_SINCE = """
SELECT * FROM message_row WHERE project_id = ? AND session_id = ? AND seq >= ? ORDER BY seq
"""
_MIN_MESSAGES = 16
"""Shorter talks are read as fast as they are looked up."""
_MAX_WEIGHT = 2 * 1024 * 1024
_MESSAGE_WEIGHT = 800
"""About what a message takes beside its text, in bytes."""
_MAX_CLAIMED = 1024


@dataclass(slots=True)
class _Window:
    """The newest messages of a session up to, not including, `next_seq`."""

    messages: list[Message]
    next_seq: int
    keep: int
    weight: int


class Recent:
    """Windows and claimed turns, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()
        self._claimed: OrderedDict[str, tuple[Turn, tuple[Message, ...]]] = OrderedDict()
        self._weight = 0

    def forget(self) -> None:
        """Forget everything."""
        self._windows.clear()
        self._claimed.clear()
        self._weight = 0

    def forget_session(self, project_id: str, session_id: str) -> None:
        """Forget one session: one of its messages was changed."""
        self._drop((project_id, session_id))
        self._claimed.clear()

    def newest(self, db: sqlite3.Connection, sheet: Sheet, count: int) -> list[Message]:
        """The newest messages of a session, at most `count`, oldest first."""
        if sheet.next_message_seq == 1 or count <= 0:
            return []
        key = (sheet.project_id, sheet.session_id)
        known = self._windows.get(key)
        wanted = min(count, sheet.next_message_seq - 1)
        if known is None or known.next_seq > sheet.next_message_seq:
            return self._read(db, sheet, wanted, keep=count)
        known.keep = count
        new = sheet.next_message_seq - known.next_seq
        if len(known.messages) + new < wanted:
            return self._read(db, sheet, wanted, keep=count)
        if new:
            rows = db.execute(_SINCE, (*key, known.next_seq)).fetchall()
            self.add(sheet, [to_message(row) for row in rows])
        self._windows.move_to_end(key)
        return known.messages[len(known.messages) - wanted :]

    def add(self, sheet: Sheet, messages: Sequence[Message]) -> None:
        """Add messages just written at the end of a session whose window is known up to them."""
        known = self._windows.get((sheet.project_id, sheet.session_id))
        if known is None or not messages or messages[0].seq != known.next_seq:
            return
        known.messages.extend(messages)
        gone = known.messages[: max(len(known.messages) - known.keep, 0)]
        del known.messages[: len(gone)]
        known.next_seq = messages[-1].seq + 1
        change = _weigh(messages) - _weigh(gone)
        known.weight += change
        self._weight += change
        self._shrink()

    def put_claimed(self, turn: Turn, own: tuple[Message, ...]) -> None:
        """Remember a claimed turn with its own messages until it is finished."""
        self._claimed[turn.id] = turn, own
        if len(self._claimed) > _MAX_CLAIMED:
            self._claimed.popitem(last=False)

    def take_claimed(self, turn_id: str) -> tuple[Turn, tuple[Message, ...]] | None:
        """A claimed turn as it was when it was claimed, and what the person said."""
        return self._claimed.pop(turn_id, None)

    def _read(
        self, db: sqlite3.Connection, sheet: Sheet, count: int, *, keep: int
    ) -> list[Message]:
        key = (sheet.project_id, sheet.session_id)
        rows = db.execute(_NEWEST, (*key, count)).fetchall()
        messages = [to_message(row) for row in reversed(rows)]
        self._drop(key)
        if len(messages) >= _MIN_MESSAGES:
            weight = _weigh(messages)
            self._windows[key] = _Window(messages, sheet.next_message_seq, keep, weight)
            self._weight += weight
            self._shrink()
        return list(messages)

    def _drop(self, key: tuple[str, str]) -> None:
        window = self._windows.pop(key, None)
        if window is not None:
            self._weight -= window.weight

    def _shrink(self) -> None:
        while self._weight > _MAX_WEIGHT and self._windows:
            self._weight -= self._windows.popitem(last=False)[1].weight


def _weigh(messages: Sequence[Message]) -> int:
    return sum(_MESSAGE_WEIGHT + _chars(message) for message in messages)


def _chars(message: Message) -> int:
    """The length of all that a message holds: texts, what was read in files, whole pictures."""
    if len(message.content) == 1 and isinstance(message.content[0], TextPart):
        return len(message.content[0].text)
    return sum(
        len(part.url) if isinstance(part, ImagePart) else len(part.text or "")
        for part in message.content
    )
