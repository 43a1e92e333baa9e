"""T1 for what makes no turn: edits, moved chats, reachability, platforms' reports on deliveries.

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
    ReportDelivery,
    SetReachability,
)
from gateway.store.rows import Row, clean, clean_or_none, from_content
from gateway.store.sqlite.columns import DeliveryAt
from gateway.store.sqlite.lanes import (
    close_lane,
    end_later_parts,
    promote,
    promote_lane,
    put_address,
)
from gateway.store.sqlite.recent import Recent

_FIND_ADDRESS = """
SELECT address_id, session_id, next_out_no FROM address
 WHERE project_id = ? AND channel = ? AND account = ? AND chat = ? AND thread = ?
"""
_FIND_MESSAGE = """
SELECT m.session_id, m.seq, m.message_id, m.turn_id
  FROM session AS s
  JOIN message AS m INDEXED BY message_by_ref
    ON m.project_id = s.project_id AND m.session_id = s.session_id
   AND m.message_ref = ? AND m.role = 'user'
 WHERE s.address_id = ?
 ORDER BY m.created_at DESC LIMIT 1
"""
_EDIT = """
UPDATE message SET text = ?, parts = ? WHERE project_id = ? AND session_id = ? AND seq = ?
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
_BY_ID = "SELECT * FROM delivery_row WHERE project_id = ? AND delivery_id = ?"
_BY_PROVIDER_ID = """
SELECT d.* FROM outbox AS o INDEXED BY outbox_by_provider_id
  JOIN delivery_row AS d ON d.delivery_id = o.delivery_id
 WHERE o.project_id = ? AND o.provider_id = ? AND d.account = ?
 ORDER BY o.created_at DESC LIMIT 1
"""
_SET_RECEIPT = """
UPDATE outbox
   SET receipt = ?, error = coalesce(?, error), state = ?, settled_at = ?, next_at = ?,
       provider_id = coalesce(provider_id, ?)
 WHERE delivery_id = ?
"""
_MERGED_LATER: dict[DeliveryState, int] = {"open": 1, "pending": 2}
_RANK = {None: 0, "sent": 0, "delivered": 1, "read": 2, "failed": 3}


def edit_message(db: sqlite3.Connection, edit: EditMessage, recent: Recent) -> Accepted:
    """Replace the text of a stored user message of that chat."""
    address = edit.address
    key = (edit.project_id, address.channel, edit.account, address.chat, address.thread or "")
    place = db.execute(_FIND_ADDRESS, key).fetchone()
    found = place and db.execute(_FIND_MESSAGE, (edit.message_ref, place[0])).fetchone()
    if not found:
        return Accepted(is_new=True, state="done")
    session_id, seq, message_id, turn_id = found
    text, parts = from_content((TextPart(edit.text),))
    db.execute(_EDIT, (text, parts, edit.project_id, session_id, seq))
    recent.forget_session(edit.project_id, session_id)
    return Accepted(
        is_new=True, turn_id=turn_id, session_id=session_id, message_id=message_id, state="done"
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


def report_delivery(db: sqlite3.Connection, report: ReportDelivery, now: int) -> None:
    """Move the receipt of a delivery forward; a doubtful one is settled by it."""
    row = _find_delivery(db, report)
    if row is None or _RANK[report.status] < _RANK[row[DeliveryAt.RECEIPT]]:
        return
    if report.status == "failed" and row[DeliveryAt.RECEIPT] is not None:
        return
    receipt = row[DeliveryAt.RECEIPT] if report.status == "sent" else report.status
    state: DeliveryState = row[DeliveryAt.STATE]
    settled_at, next_at = row[DeliveryAt.SETTLED_AT], row[DeliveryAt.NEXT_AT]
    if state == "ambiguous":
        state = "dead" if report.status == "failed" else "sent"
        settled_at, next_at = now, None
    error = clean_or_none(report.error)
    provider_id = clean_or_none(report.provider_id)
    db.execute(
        _SET_RECEIPT,
        (receipt, error, state, settled_at, next_at, provider_id, row[DeliveryAt.DELIVERY_ID]),
    )
    if state != row[DeliveryAt.STATE]:
        if state == "dead":
            end_later_parts(db, row, now)
        promote(db, row, now)


def _find_delivery(db: sqlite3.Connection, report: ReportDelivery) -> Row | None:
    row: Row | None = None
    if report.delivery_id is not None:
        row = db.execute(_BY_ID, (report.project_id, report.delivery_id)).fetchone()
    if row is None and report.provider_id is not None:
        key = (report.project_id, report.provider_id, report.account)
        row = db.execute(_BY_PROVIDER_ID, key).fetchone()
    return row


def _key(
    notice: MoveAddress | SetReachability, channel: str, chat: str, thread: str | None
) -> tuple[str, str, str, str, str]:
    return notice.project_id, channel, clean(notice.account), clean(chat), clean(thread or "")
