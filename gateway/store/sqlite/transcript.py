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
from gateway.store.sqlite.sessions import Sheet

_INSERT = """
INSERT INTO message (project_id, session_id, seq, message_id, turn_id, role, is_internal, text,
                     parts, agent, tool_calls, tool_call_id, tool_name, is_incomplete, model,
                     input_tokens, output_tokens, message_ref, channel, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_NEWEST = """
SELECT * FROM message_row WHERE project_id = ? AND session_id = ? ORDER BY seq DESC LIMIT ?
"""
_BETWEEN = """
SELECT * FROM message_row
 WHERE project_id = ? AND session_id = ? AND seq BETWEEN ? AND ? AND turn_id = ?
 ORDER BY seq
"""
_QUEUED_TURNS = """
SELECT turn_id FROM turn
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'queued'
"""
_SEQ, _TURN_ID = 14, 16


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
            channel,
            created_at,
        ),
    )
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
        seq=seq,
        session_id=sheet.session_id,
        turn_id=TurnId(turn_id),
        channel=channel,
        created_at=to_time(created_at),
    )


def load_earlier(db: sqlite3.Connection, sheet: Sheet, *, limit: int) -> list[Message]:
    """The newest messages of a session, oldest first."""
    if sheet.next_message_seq == 1 or limit <= 0:
        return []
    rows = db.execute(_NEWEST, (sheet.project_id, sheet.session_id, limit)).fetchall()
    return [to_message(row) for row in reversed(rows)]


def load_window(
    db: sqlite3.Connection, sheet: Sheet, turn: Row, *, limit: int
) -> tuple[Message, ...]:
    """What a turn (a `turn_row`) gets to see: the newest messages, oldest first, its own last.

    Messages of other turns that are still queued are left out: they are later in the talk.
    """
    turn_id, first, last = turn[0], turn[26], turn[27]
    others = _queued_turns(db, sheet, turn_id)
    # What came after this turn's first message may all belong to others.
    later = sheet.next_message_seq - first if others and first is not None else 0
    rows = db.execute(_NEWEST, (sheet.project_id, sheet.session_id, limit + later)).fetchall()
    rows.reverse()
    own = [row for row in rows if row[_TURN_ID] == turn_id]
    if first is not None and (not rows or rows[0][_SEQ] > first):
        key = (sheet.project_id, sheet.session_id, first, last, turn_id)
        own = db.execute(_BETWEEN, key).fetchall()
    earlier = [row for row in rows if row[_TURN_ID] != turn_id and row[_TURN_ID] not in others]
    room = max(limit - len(own), 0)
    return tuple([to_message(row) for row in earlier[max(len(earlier) - room, 0) :] + own])


def turn_messages(db: sqlite3.Connection, turn: Row) -> tuple[Message, ...]:
    """The messages of a turn (a `turn_row`), oldest first."""
    if turn[26] is None:
        return ()
    rows = db.execute(_BETWEEN, (turn[1], turn[2], turn[26], turn[27], turn[0])).fetchall()
    return tuple([to_message(row) for row in rows])


def _queued_turns(db: sqlite3.Connection, sheet: Sheet, turn_id: str) -> Sequence[str]:
    if not sheet.queued:
        return ()
    rows = db.execute(_QUEUED_TURNS, (sheet.project_id, sheet.session_id)).fetchall()
    return [row[0] for row in rows if row[0] != turn_id]
