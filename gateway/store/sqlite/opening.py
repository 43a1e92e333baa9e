"""T2b: the place in its lane of a message that is shown while its turn still runs, and its end.

Such an `open` row is the next part of its turn: from the moment it is written it is counted among
the turn's parts and blocks its lane. Whatever ends the turn fills or closes it.

Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3

from gateway.domain.delivery import NewDelivery
from gateway.domain.turns import Lease
from gateway.store.protocol.turns import OpenPart
from gateway.store.rows import Row, clean, to_delivery, to_json_always
from gateway.store.sqlite.columns import DeliveryAt
from gateway.store.sqlite.lanes import Origin, add_open, closed, is_first, promote_lane
from gateway.store.sqlite.sessions import holds, load_sheet

_STATUS = "SELECT state, parts FROM turn WHERE project_id = ? AND turn_id = ?"
_MAY_STAND = "UPDATE outbox SET opened_at = ? WHERE delivery_id = ?"
_WAS_NOT_OPENED = """
UPDATE outbox SET opened_at = NULL
 WHERE project_id = ? AND delivery_id = ? AND state = 'open' AND open_ref IS NULL
"""
_COUNT_PART = "UPDATE turn SET parts = parts + 1 WHERE project_id = ? AND turn_id = ?"
_LAST_PART = """
SELECT * FROM delivery_row
 WHERE project_id = ? AND turn_id = ? AND part_no = ? AND state = 'open'
"""
_KEEP_REF = """
UPDATE outbox SET open_ref = ? WHERE project_id = ? AND delivery_id = ? AND state = 'open'
"""
_FILL = """
UPDATE outbox SET state = 'pending', part = ?, message_id = ?, created_at = ? WHERE delivery_id = ?
"""
_CLOSE = """
UPDATE outbox SET state = 'cancelled', error = ?, settled_at = ? WHERE delivery_id = ?
"""
_LEFT_BEHIND = """
SELECT d.* FROM delivery_row AS d
  JOIN turn AS t ON t.project_id = d.project_id AND t.turn_id = d.turn_id
 WHERE d.address_id = ? AND d.settled_at IS NULL AND d.state = 'open' AND t.finished_at IS NOT NULL
"""

NOTHING_SHOWN = "nothing_shown"


def open_part(
    db: sqlite3.Connection, lease: Lease, turn_id: str, delivery_id: str, now: int
) -> OpenPart | None:
    """Write the open row of the turn's next part, or find the one an earlier attempt left.

    None without the lease, without an address that can be reached, or behind somebody in the lane.
    """
    sheet = load_sheet(db, lease.project_id, lease.session_id)
    key = (lease.project_id, turn_id)
    status = db.execute(_STATUS, key).fetchone()
    if sheet is None or not holds(sheet, lease) or sheet.address_id is None:
        return None
    if status is None or status[0] != "running":
        return None
    parts: int = status[1]
    found = find_open(db, key, parts)
    if found is not None:
        return OpenPart(to_delivery(found), is_new=False) if is_first(db, found) else None
    origin = Origin(lease.project_id, lease.session_id, turn_id, sheet.address_id, first_part=parts)
    if not add_open(db, origin, delivery_id, now):
        return None
    db.execute(_MAY_STAND, (now, delivery_id))
    db.execute(_COUNT_PART, key)
    made: Row = db.execute(_LAST_PART, (*key, parts)).fetchone()
    return OpenPart(to_delivery(made), is_new=True)


def keep_open_ref(
    db: sqlite3.Connection, lease: Lease, delivery_id: str, open_ref: str | None
) -> bool:
    """Store where the platform shows the message; False, and nothing, without the lease.

    None = it is certain that the platform was not asked for one, or did not make it.
    """
    sheet = load_sheet(db, lease.project_id, lease.session_id)
    if sheet is None or not holds(sheet, lease):
        return False
    if open_ref is None:
        found = db.execute(_WAS_NOT_OPENED, (lease.project_id, delivery_id))
    else:
        found = db.execute(_KEEP_REF, (clean(open_ref), lease.project_id, delivery_id))
    return found.rowcount > 0


def find_open(db: sqlite3.Connection, turn: tuple[str, str], parts: int) -> Row | None:
    """The open row of a turn (project, turn) with so many parts: only the last can be open."""
    if not parts:
        return None
    row: Row | None = db.execute(_LAST_PART, (*turn, parts - 1)).fetchone()
    return row


def fill_open(db: sqlite3.Connection, row: Row, new: NewDelivery | None, now: int) -> bool:
    """Give an open row the part it was opened for; whether there is something to send.

    None = the turn leaves nothing: an empty part, which takes the message back from the platform,
    also where it is only possible that it stands there.
    """
    delivery_id, address_id = row[DeliveryAt.DELIVERY_ID], row[DeliveryAt.ADDRESS_ID]
    reason = closed(db, address_id)
    is_shown = row[DeliveryAt.OPEN_REF] is not None or row[DeliveryAt.OPENED_AT] is not None
    is_sent = reason is None and (new is not None or is_shown)
    if is_sent:
        part, message_id = ({}, None) if new is None else (new.part, new.message_id)
        db.execute(_FILL, (to_json_always(part), message_id, now, delivery_id))
    else:
        db.execute(_CLOSE, (reason or NOTHING_SHOWN, now, delivery_id))
    promote_lane(db, address_id, now)
    return is_sent


def close_left_behind(db: sqlite3.Connection, address_id: int | None, now: int) -> None:
    """Take back what is shown at an address for turns that were ended without being run again."""
    if address_id is not None:
        for row in db.execute(_LEFT_BEHIND, (address_id,)).fetchall():
            fill_open(db, row, None, now)
