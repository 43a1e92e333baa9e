"""T1 for what makes no turn: edits, moved chats, reachability.

Runs in the writer's thread only. What names something unknown changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.domain.conversation import TextPart
from gateway.domain.delivery import DeliveryState
from gateway.store.protocol.inbox import (
    Accepted,
    EditMessage,
    MoveAddress,
    SetReachability,
)
from gateway.store.rows import Row, clean, from_content, to_message
from gateway.store.sqlite.cancelling import cancel_turn
from gateway.store.sqlite.file_uses import leave_files
from gateway.store.sqlite.lanes import (
    close_lane,
    promote_lane,
    put_address,
)
from gateway.store.sqlite.recent import Recent

_FIND_ADDRESS = """
SELECT address_id, session_id, next_out_no FROM address
 WHERE project_id = ? AND channel = ? AND account = ? AND chat = ? AND thread = ?
"""
_FIND_MESSAGE = """
SELECT r.*
  FROM session AS s
  JOIN message AS m INDEXED BY message_by_ref
    ON m.project_id = s.project_id AND m.session_id = s.session_id
   AND m.message_ref = ? AND m.role = 'user'
  JOIN message_row AS r
    ON r.project_id = m.project_id AND r.session_id = m.session_id AND r.seq = m.seq
 WHERE s.address_id = ?
 ORDER BY m.created_at DESC LIMIT 1
"""
_EDIT = """
UPDATE message SET text = ?, parts = ? WHERE project_id = ? AND session_id = ? AND seq = ?
"""
_IS_UNSAID = """
SELECT 1 FROM turn AS t
 WHERE t.project_id = ? AND t.turn_id = ? AND t.state = 'queued' AND t.attempts = 0
   AND NOT EXISTS (SELECT 1 FROM message AS m
                    WHERE m.project_id = t.project_id AND m.session_id = t.session_id
                      AND m.seq BETWEEN t.first_message AND t.last_message
                      AND m.turn_id = t.turn_id AND m.role = 'user'
                      AND (m.text IS NOT NULL OR m.parts IS NOT NULL))
"""
_REKEY = "UPDATE address SET channel = ?, chat = ?, thread = ? WHERE address_id = ?"
_MOVE_SESSIONS = "UPDATE session SET address_id = ? WHERE address_id = ?"
_NOT_OVER = """
SELECT delivery_id, state, is_command_answer, created_at, out_no, next_at
  FROM outbox INDEXED BY outbox_lane WHERE address_id = ?1 AND settled_at IS NULL
 UNION ALL
SELECT delivery_id, state, is_command_answer, created_at, out_no, next_at
  FROM outbox INDEXED BY outbox_held WHERE address_id = ?1 AND state = 'held'
"""
_PLACE = """
UPDATE outbox SET address_id = ?, channel = ?, out_no = ?, next_at = ? WHERE delivery_id = ?
"""
_MAKE_ROOM = """
UPDATE address
   SET next_out_no = next_out_no + ?, session_id = coalesce(session_id, ?), moved_to = NULL
 WHERE address_id = ?
"""
_LEAVE = "UPDATE address SET session_id = NULL, moved_to = ? WHERE address_id = ?"
_SET_REACHABLE = "UPDATE address SET is_reachable = ? WHERE address_id = ?"
_MERGED_LATER: dict[DeliveryState, int] = {"open": 1, "pending": 2}


def edit_message(db: sqlite3.Connection, edit: EditMessage, recent: Recent, now: int) -> Accepted:
    """Replace the text of a stored user message of that chat, if it is another text.

    Of a message that was removed nothing stays; a turn that has nothing left to answer, and was not
    begun yet, is cancelled.
    """
    address = edit.address
    key = (edit.project_id, address.channel, edit.account, address.chat, address.thread or "")
    place = db.execute(_FIND_ADDRESS, key).fetchone()
    found = place and db.execute(_FIND_MESSAGE, (edit.message_ref, place[0])).fetchone()
    if not found:
        return Accepted(is_new=True, state="done")
    stored = to_message(found)
    if edit.text != stored.text:
        kept = [part for part in stored.content if not isinstance(part, TextPart)]
        content = (TextPart(edit.text), *kept) if edit.text else ()
        session_id, turn_id = str(stored.session_id), str(stored.turn_id)
        db.execute(_EDIT, (*from_content(content), edit.project_id, session_id, stored.seq))
        recent.forget_session(edit.project_id, session_id)
        if not content:
            leave_files(db, edit.project_id, session_id, stored.content)
        if not content and db.execute(_IS_UNSAID, (edit.project_id, turn_id)).fetchone():
            cancel_turn(db, edit.project_id, turn_id, now)
    return Accepted(
        is_new=True,
        turn_id=stored.turn_id,
        session_id=stored.session_id,
        message_id=stored.id,
        state="done",
    )


def move_address(db: sqlite3.Connection, move: MoveAddress, now: int) -> None:
    """Re-key an address; one that stands under the new key already takes over what is not over."""
    old, new = _key(move, move.old.channel, move.old.chat, move.old.thread), move.new
    found = db.execute(_FIND_ADDRESS, old).fetchone()
    if found is None:
        return
    old_id, session_id, _next_out_no = found
    target = db.execute(_FIND_ADDRESS, _key(move, new.channel, new.chat, new.thread)).fetchone()
    if target is None:
        db.execute(_REKEY, (new.channel, clean(new.chat), clean(new.thread or ""), old_id))
        return
    target_id, _session_id, first_no = target
    if target_id == old_id:
        return
    count = _merge_lanes(db, old_id, target_id, channel=new.channel, first_no=first_no)
    db.execute(_MAKE_ROOM, (count, session_id, target_id))
    db.execute(_MOVE_SESSIONS, (target_id, old_id))
    db.execute(_LEAVE, (target_id, old_id))
    promote_lane(db, target_id, now)


def _merge_lanes(
    db: sqlite3.Connection, old_id: int, target_id: int, *, channel: str, first_no: int
) -> int:
    """Put what is not over in both lanes into one; how many parts.

    What is being sent goes first, then what is shown already, then the rest; each by age.
    """
    lanes = (db.execute(_NOT_OVER, (lane,)).fetchall() for lane in (target_id, old_id))
    rows = [placed for lane in lanes for placed in _in_line(lane)]
    rows.sort(key=lambda placed: (_MERGED_LATER.get(placed[1][1], 0), placed[0]))
    for number, (_since, row) in enumerate(rows, first_no):
        delivery_id, state, is_command_answer, _created_at, _out_no, next_at = row
        waits = state == "pending" and not is_command_answer
        place = (target_id, channel, number, None if waits else next_at)
        db.execute(_PLACE, (*place, delivery_id))
    return len(rows)


def _in_line(rows: Sequence[Row]) -> list[tuple[int, Row]]:
    """The parts of one lane in its order, each with since when it stands there.

    A message that grew has its text late, and stood before the parts behind it all the same.
    """
    placed: list[tuple[int, Row]] = []
    for row in sorted(rows, key=lambda row: int(row[4]), reverse=True):
        since = int(row[3])
        placed.append((min(since, placed[-1][0]) if placed else since, row))
    placed.reverse()
    return placed


def set_reachability(db: sqlite3.Connection, change: SetReachability, now: int) -> None:
    """Mark an address; what waits for one that cannot be reached is cancelled."""
    address = change.address
    key = _key(change, address.channel, address.chat, address.thread)
    address_id = put_address(db, key, now)[0]
    db.execute(_SET_REACHABLE, (change.is_reachable, address_id))
    if not change.is_reachable:
        close_lane(db, address_id, now, with_held=True)


def _key(
    notice: MoveAddress | SetReachability, channel: str, chat: str, thread: str | None
) -> tuple[str, str, str, str, str]:
    return notice.project_id, channel, clean(notice.account), clean(chat), clean(thread or "")
