"""Lanes of deliveries inside a transaction: adding parts, and who goes next.

A lane is an address. Of the parts that stand in it unsettled only the first has a `next_at`; the
others wait behind it with none, so that looking for due parts never walks through a lane. Answers
to commands keep no lane: the parts of one answer go one after the other, and an answer waits for
an earlier one only while that may leave or is leaving.

Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.delivery import NewDelivery
from gateway.store.rows import Row, to_json_always
from gateway.store.sqlite.columns import DeliveryAt

_FIND_ADDRESS = """
SELECT address_id, session_id, is_reachable, busy_told_at, external_id IS NOT NULL FROM address
 WHERE project_id = ? AND channel = ? AND account = ? AND chat = ? AND thread = ?
"""
_ADD_ADDRESS = """
INSERT INTO address (project_id, channel, account, chat, thread, created_at)
VALUES (?, ?, ?, ?, ?, ?)
"""
_LANE = """
SELECT a.next_out_no, a.is_reachable, a.channel,
       max(a.blocked_until, coalesce((SELECT b.blocked_until FROM account_block AS b
                                       WHERE b.channel = a.channel AND b.account = a.account), 0)),
       i.blocked, i.opted_out
  FROM address AS a
  LEFT JOIN identity AS i ON i.project_id = a.project_id AND i.platform = a.platform
                         AND i.external_id = a.external_id
 WHERE a.address_id = ?
"""
_CLOSED = """
SELECT a.is_reachable, i.blocked, i.opted_out
  FROM address AS a
  LEFT JOIN identity AS i ON i.project_id = a.project_id AND i.platform = a.platform
                         AND i.external_id = a.external_id
 WHERE a.address_id = ?
"""
_TAKE_NUMBERS = "UPDATE address SET next_out_no = next_out_no + ? WHERE address_id = ?"
_IS_OCCUPIED = """
SELECT 1 FROM outbox
 WHERE address_id = ? AND settled_at IS NULL AND is_command_answer = 0 LIMIT 1
"""
_INSERT = """
INSERT INTO outbox (project_id, turn_id, part_no, delivery_id, session_id, message_id, channel,
                    address_id, out_no, state, next_at, error, is_command_answer, settled_at,
                    created_at, part)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_FIRST_OF_LANE = """
SELECT delivery_id, state, next_at FROM outbox
 WHERE address_id = ? AND settled_at IS NULL AND is_command_answer = 0
 ORDER BY out_no LIMIT 1
"""
_FIRST_OF_ANSWER = """
SELECT delivery_id, state, next_at FROM outbox
 WHERE project_id = ? AND turn_id = ? AND settled_at IS NULL
 ORDER BY part_no LIMIT 1
"""
_SET_NEXT_AT = "UPDATE outbox SET next_at = ? WHERE delivery_id = ?"
_CANCEL_LANE = """
UPDATE outbox INDEXED BY outbox_lane
   SET state = 'cancelled', error = ?, next_at = NULL, settled_at = ?
 WHERE address_id = ? AND settled_at IS NULL AND state = 'pending'
"""
_SENT_TO = """
SELECT a.address_id, i.blocked, i.opted_out
  FROM outbox AS o
  JOIN address AS a ON a.address_id = o.address_id
  LEFT JOIN identity AS i ON i.project_id = a.project_id AND i.platform = a.platform
                         AND i.external_id = a.external_id
 WHERE o.delivery_id = ?
"""
_CANCEL_OPEN = """
UPDATE outbox INDEXED BY outbox_lane SET state = 'cancelled', error = ?, settled_at = ?
 WHERE address_id = ? AND settled_at IS NULL AND state = 'open'
"""
_CANCEL_HELD = """
UPDATE outbox INDEXED BY outbox_held SET state = 'cancelled', error = ?, settled_at = ?
 WHERE address_id = ? AND state = 'held'
"""

_END_LATER_PARTS = """
UPDATE outbox SET state = 'dead', error = ?, next_at = NULL, settled_at = ?
 WHERE project_id = ? AND turn_id = ? AND part_no > ? AND state = 'pending'
"""

_MOVED_TO = "SELECT moved_to FROM address WHERE address_id = ?"
_TAKE_NUMBER = """
UPDATE address SET next_out_no = next_out_no + 1 WHERE address_id = ?
RETURNING next_out_no - 1, channel
"""
_PUT_BACK = """
UPDATE outbox SET state = 'pending', settled_at = NULL, next_at = NULL WHERE delivery_id = ?
"""
_MOVE = "UPDATE outbox SET address_id = ?, out_no = ?, channel = ? WHERE delivery_id = ?"
_LET_WAIT = """
UPDATE outbox SET next_at = NULL
 WHERE address_id = ? AND settled_at IS NULL AND state = 'pending' AND out_no > ?
   AND is_command_answer = ? AND (NOT is_command_answer OR turn_id = ?)
"""

UNREACHABLE = "unreachable"
OPTED_OUT = "the person has opted out of messages"
BLOCKED = "the person is blocked"
EARLIER_PART = "earlier_part"


@dataclass(frozen=True, slots=True)
class Origin:
    """The turn that makes deliveries: where they are written from."""

    project_id: str
    session_id: str
    turn_id: str
    address_id: int
    first_part: int = 0
    is_command_answer: bool = False


def put_address(
    db: sqlite3.Connection, key: tuple[str, str, str, str, str], now: int
) -> tuple[int, str | None, bool, int, bool]:
    """The address of (project, channel, account, chat, thread), made if it is new.

    Gives its id, its current session, whether it can be reached, when it was last told "busy", and
    whether it is known whose alone it is.
    """
    row = db.execute(_FIND_ADDRESS, key).fetchone()
    if row is not None:
        return row[0], row[1], bool(row[2]), row[3], bool(row[4])
    cursor = db.execute(_ADD_ADDRESS, (*key, now))
    return cursor.lastrowid or 0, None, True, 0, False


def closed(db: sqlite3.Connection, address_id: int) -> str | None:
    """Why nothing is to be sent to an address; None = it is open."""
    return _why_closed(*db.execute(_CLOSED, (address_id,)).fetchone())


def unwanted(db: sqlite3.Connection, delivery_id: str) -> tuple[int, str | None]:
    """The address a part goes to, and why the person there is sent nothing (None = they are)."""
    address_id, blocked, opted_out = db.execute(_SENT_TO, (delivery_id,)).fetchone()
    return address_id, _why_closed(1, blocked, opted_out)


def add_deliveries(
    db: sqlite3.Connection, origin: Origin, deliveries: Sequence[NewDelivery], now: int
) -> bool:
    """Put parts at the end of their lane; whether there is something to send.

    To an address that is closed they are written as cancelled, with the reason.
    """
    if not deliveries:
        return False
    address_id = origin.address_id
    out_no, is_reachable, channel, blocked_until, blocked, opted_out = db.execute(
        _LANE, (address_id,)
    ).fetchone()
    reason = _why_closed(is_reachable, blocked, opted_out)
    db.execute(_TAKE_NUMBERS, (len(deliveries), address_id))
    keeps_lane = not origin.is_command_answer
    is_behind = keeps_lane and db.execute(_IS_OCCUPIED, (address_id,)).fetchone() is not None
    next_at = max(now, blocked_until) if reason is None and not is_behind else None
    for offset, new in enumerate(deliveries):
        db.execute(
            _INSERT,
            (
                origin.project_id,
                origin.turn_id,
                origin.first_part + offset,
                new.id,
                origin.session_id,
                new.message_id,
                channel,
                address_id,
                out_no + offset,
                "pending" if reason is None else "cancelled",
                next_at,
                reason,
                origin.is_command_answer,
                None if reason is None else now,
                now,
                to_json_always(new.part),
            ),
        )
        next_at = None
    return reason is None


def add_open(db: sqlite3.Connection, origin: Origin, delivery_id: str, now: int) -> bool:
    """Put a part that is still to be written at the front of its lane; False = it is not free.

    Free means: it is not closed, nobody throttles it, and nothing unsettled stands in it.
    """
    address_id = origin.address_id
    out_no, is_reachable, channel, blocked_until, blocked, opted_out = db.execute(
        _LANE, (address_id,)
    ).fetchone()
    is_closed = _why_closed(is_reachable, blocked, opted_out) is not None
    is_behind = db.execute(_IS_OCCUPIED, (address_id,)).fetchone() is not None
    if is_behind or is_closed or blocked_until > now:
        return False
    db.execute(_TAKE_NUMBERS, (1, address_id))
    place = (origin.project_id, origin.turn_id, origin.first_part, delivery_id, origin.session_id)
    lane = (None, channel, address_id, out_no, "open", None, None, False, None, now)
    db.execute(_INSERT, (*place, *lane, "{}"))
    return True


def promote(db: sqlite3.Connection, delivery: Row, now: int) -> str | None:
    """Make the part that is now first due, after `delivery` (a `delivery_row`) was settled.

    Gives its id when it may leave at once.
    """
    first = _first(db, delivery)
    if first is None or first[1] != "pending":
        return None
    delivery_id: str = first[0]
    blocked_until: int = db.execute(_LANE, (delivery[DeliveryAt.ADDRESS_ID],)).fetchone()[3]
    next_at = max(now if first[2] is None else first[2], blocked_until)
    if next_at != first[2]:
        db.execute(_SET_NEXT_AT, (next_at, delivery_id))
    return delivery_id if next_at <= now else None


def is_first(db: sqlite3.Connection, delivery: Row) -> bool:
    """Whether a part (a `delivery_row`) has nothing before it in its lane."""
    first = _first(db, delivery)
    return first is None or first[0] == delivery[DeliveryAt.DELIVERY_ID]


def promote_lane(db: sqlite3.Connection, address_id: int, now: int) -> None:
    """Make the first part of a lane due, if it waits for nothing else."""
    first = db.execute(_FIRST_OF_LANE, (address_id,)).fetchone()
    if first is not None and first[1] == "pending" and first[2] is None:
        blocked_until: int = db.execute(_LANE, (address_id,)).fetchone()[3]
        db.execute(_SET_NEXT_AT, (max(now, blocked_until), first[0]))


def home_of(db: sqlite3.Connection, address_id: int) -> int:
    """The address that took over what belonged to this one; mostly itself."""
    while (moved_to := db.execute(_MOVED_TO, (address_id,)).fetchone()[0]) is not None:
        address_id = moved_to
    return address_id


def take_number(db: sqlite3.Connection, address_id: int) -> tuple[int, str]:
    """A place at the end of a lane: its number, and the channel of the lane."""
    out_no, channel = db.execute(_TAKE_NUMBER, (address_id,)).fetchone()
    return out_no, channel


def put_back(db: sqlite3.Connection, delivery: Row, again_at: int) -> bool:
    """Let a part that was sent (a `delivery_row`) be sent again at that time, in its old place.

    What stands behind it waits, but for what is being sent. False, and nothing, where its address
    is closed.
    """
    delivery_id, address_id = delivery[DeliveryAt.DELIVERY_ID], delivery[DeliveryAt.ADDRESS_ID]
    home = home_of(db, address_id)
    if closed(db, home) is not None:
        return False
    db.execute(_PUT_BACK, (delivery_id,))
    out_no = delivery[DeliveryAt.OUT_NO]
    if home != address_id:
        out_no, channel = take_number(db, home)
        db.execute(_MOVE, (home, out_no, channel, delivery_id))
    is_answer, turn_id = delivery[DeliveryAt.IS_COMMAND_ANSWER], delivery[DeliveryAt.TURN_ID]
    if is_answer:
        first = db.execute(_FIRST_OF_ANSWER, (delivery[DeliveryAt.PROJECT_ID], turn_id)).fetchone()
    else:
        first = db.execute(_FIRST_OF_LANE, (home,)).fetchone()
    if first[0] == delivery_id:
        db.execute(_LET_WAIT, (home, out_no, is_answer, turn_id))
        blocked_until: int = db.execute(_LANE, (home,)).fetchone()[3]
        db.execute(_SET_NEXT_AT, (max(again_at, blocked_until), delivery_id))
    return True


def close_lane(
    db: sqlite3.Connection,
    address_id: int,
    now: int,
    *,
    with_held: bool,
    with_open: bool = False,
    reason: str = UNREACHABLE,
) -> None:
    """Cancel what waits in a lane; what is being sent is left to end by itself."""
    db.execute(_CANCEL_LANE, (reason, now, address_id))
    if with_open:
        db.execute(_CANCEL_OPEN, (reason, now, address_id))
    if with_held:
        db.execute(_CANCEL_HELD, (reason, now, address_id))


def end_later_parts(db: sqlite3.Connection, delivery: Row, now: int) -> None:
    """End the parts behind one (a `delivery_row`) that ended other than sent."""
    key = (
        delivery[DeliveryAt.PROJECT_ID],
        delivery[DeliveryAt.TURN_ID],
        delivery[DeliveryAt.PART_NO],
    )
    db.execute(_END_LATER_PARTS, (EARLIER_PART, now, *key))


def _why_closed(is_reachable: int, blocked: int | None, opted_out: int | None) -> str | None:
    if blocked:
        return BLOCKED
    if opted_out:
        return OPTED_OUT
    return None if is_reachable else UNREACHABLE


def _first(db: sqlite3.Connection, delivery: Row) -> Row | None:
    """The first unsettled part where that one stands: (id, state, next_at)."""
    if delivery[DeliveryAt.IS_COMMAND_ANSWER]:
        answer = (delivery[DeliveryAt.PROJECT_ID], delivery[DeliveryAt.TURN_ID])
        found: Row | None = db.execute(_FIRST_OF_ANSWER, answer).fetchone()
    else:
        found = db.execute(_FIRST_OF_LANE, (delivery[DeliveryAt.ADDRESS_ID],)).fetchone()
    return found
