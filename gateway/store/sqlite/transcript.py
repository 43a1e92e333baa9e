"""Messages inside a transaction: writing at the end of a session, reading the window of a turn.

Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.domain.conversation import Message
from gateway.domain.ids import TurnId
from gateway.store.rows import (
    Row,
    clean_or_none,
    from_content,
    from_tool_calls,
    to_message,
    to_time,
)
from gateway.store.sqlite.columns import TurnAt
from gateway.store.sqlite.file_uses import use_files
from gateway.store.sqlite.recent import Recent
from gateway.store.sqlite.sessions import Sheet

_INSERT = """
INSERT INTO message (project_id, session_id, seq, message_id, turn_id, role, is_internal, text,
                     parts, agent, tool_calls, tool_call_id, tool_name, is_incomplete, model,
                     input_tokens, output_tokens, message_ref, sender_id, sender_name, channel,
                     created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_BETWEEN = """
SELECT * FROM message_row
 WHERE project_id = ? AND session_id = ? AND seq BETWEEN ? AND ? AND turn_id = ?
 ORDER BY seq
"""
_QUEUED_TURNS = """
SELECT turn_id FROM turn INDEXED BY turn_unfinished
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'queued'
"""


def add_message(
    db: sqlite3.Connection, sheet: Sheet, message: Message, *, turn_id: str, channel: str, now: int
) -> Message:
    """Write a message at the end of the session; the message as it is stored."""
    text, parts = from_content(message.content)
    seq, created_at = sheet.take_message_place(now)
    usage, calls = message.usage, message.tool_calls
    db.execute(
        _INSERT,
        (
            sheet.project_id,
            sheet.session_id,
            seq,
            message.id,
            turn_id,
            message.role,
            message.visibility == "internal",
            text,
            parts,
            message.agent,
            from_tool_calls(calls) if calls else None,
            clean_or_none(message.tool_call_id),
            clean_or_none(message.tool_name),
            message.is_incomplete,
            message.model,
            None if usage is None else usage.input_tokens,
            None if usage is None else usage.output_tokens,
            message.message_ref,
            clean_or_none(message.sender_id),
            clean_or_none(message.sender_name),
            channel,
            created_at,
        ),
    )
    if parts is not None:
        use_files(db, sheet.project_id, sheet.session_id, message.content, now=now)
    return Message(
        id=message.id,
        role=message.role,
        content=message.content,
        visibility=message.visibility,
        agent=message.agent,
        tool_calls=calls,
        tool_call_id=message.tool_call_id,
        tool_name=message.tool_name,
        is_incomplete=message.is_incomplete,
        model=message.model,
        usage=usage,
        message_ref=message.message_ref,
        sender_id=message.sender_id,
        sender_name=message.sender_name,
        seq=seq,
        session_id=sheet.session_id,
        turn_id=TurnId(turn_id),
        channel=channel,
        created_at=to_time(created_at),
    )


def load_window(
    db: sqlite3.Connection, sheet: Sheet, turn: Row, *, recent: Recent, limit: int
) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """What a turn (a `turn_row`) gets to see, oldest first, its own messages last; and those alone.

    Messages of other turns that are still queued are left out: they are later in the talk.
    """
    turn_id, first = turn[TurnAt.TURN_ID], turn[TurnAt.FIRST_MESSAGE]
    others = _queued_turns(db, sheet, turn_id)
    # What came after this turn's first message may all belong to others.
    later = sheet.next_message_seq - first if others and first is not None else 0
    newest = recent.newest(db, sheet, limit + later)
    own = tuple([message for message in newest if message.turn_id == turn_id])
    if first is not None and (not newest or newest[0].seq > first):
        own = turn_messages(db, turn)
    earlier = [m for m in newest if m.turn_id != turn_id and m.turn_id not in others]
    room = max(limit - len(own), 0)
    return (*earlier[max(len(earlier) - room, 0) :], *own), own


def turn_messages(db: sqlite3.Connection, turn: Row) -> tuple[Message, ...]:
    """The messages of a turn (a `turn_row`), oldest first."""
    if turn[TurnAt.FIRST_MESSAGE] is None:
        return ()
    rows = db.execute(
        _BETWEEN,
        (
            turn[TurnAt.PROJECT_ID],
            turn[TurnAt.SESSION_ID],
            turn[TurnAt.FIRST_MESSAGE],
            turn[TurnAt.LAST_MESSAGE],
            turn[TurnAt.TURN_ID],
        ),
    ).fetchall()
    return tuple([to_message(row) for row in rows])


def _queued_turns(db: sqlite3.Connection, sheet: Sheet, turn_id: str) -> Sequence[str]:
    if not sheet.queued:
        return ()
    rows = db.execute(_QUEUED_TURNS, (sheet.project_id, sheet.session_id)).fetchall()
    return [row[0] for row in rows if row[0] != turn_id]
