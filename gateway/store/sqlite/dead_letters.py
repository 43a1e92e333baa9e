"""Dead letters: given-up parts and unreadable events, and an operator's decisions about them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Literal

from gateway.domain.delivery import Delivery
from gateway.domain.ids import DeliveryId, ProjectId
from gateway.store.protocol.dead_letters import (
    DeadDelivery,
    DeadLetterFilter,
    Decision,
    UnreadableEvent,
)
from gateway.store.rows import Row, from_json, to_delivery, to_json, to_time
from gateway.store.sqlite.area import Area
from gateway.store.sqlite.columns import DeliveryAt
from gateway.store.sqlite.lanes import (
    EARLIER_PART,
    home_of,
    promote,
    promote_lane,
    take_number,
)

_GIVEN_UP = ("held", "dead", "expired")
_EVENT_PREFIX = "evt_"

# The literal states are the condition of the index that holds only such rows.
_LIST = """
SELECT * FROM delivery_row AS d
 WHERE d.state IN ('held', 'dead', 'expired')
   AND d.state IN (SELECT value FROM json_each(?1)) AND (?2 IS NULL OR d.channel = ?2)
"""
_NEWEST = "ORDER BY d.settled_at DESC, d.created_at DESC, d.turn_id DESC, d.part_no DESC LIMIT ?3"
_OLDEST = "ORDER BY d.created_at, d.turn_id, d.part_no LIMIT ?3"
_ONE = "SELECT * FROM delivery_row WHERE delivery_id = ?"
_CUT_OFF = """
SELECT delivery_id FROM outbox
 WHERE project_id = ? AND turn_id = ? AND part_no > ? AND state = 'dead' AND error = ?
 ORDER BY part_no
"""
_REPLAY = """
UPDATE outbox
   SET state = 'pending', settled_at = NULL, next_at = NULL, error = NULL, attempts = 0,
       receipt = NULL, refused_id = NULL, provider_id = NULL, out_no = ?, created_at = ?,
       address_id = ?, channel = ?
 WHERE delivery_id = ?
"""
_GIVE_UP = """
UPDATE outbox SET state = 'cancelled', error = 'given up by an operator', next_at = NULL
 WHERE delivery_id = ?
"""
_EVENTS = """
SELECT inbox_id, project_id, account, event_id, reason, raw, received_at, kind FROM inbox
 WHERE kind = 'unreadable' AND created_at > 0 ORDER BY created_at DESC LIMIT ?
"""
_EVENT = """
SELECT inbox_id, project_id, account, event_id, reason, raw, received_at, kind FROM inbox
 WHERE inbox_id = ? AND kind IN ('unreadable', 'dropped')
"""
_DROP_EVENT = """
UPDATE inbox SET kind = 'dropped' WHERE inbox_id = ? AND kind = 'unreadable'
RETURNING project_id, reason
"""
_DECIDED = "INSERT INTO audit (project_id, action, target, detail, at) VALUES (?, ?, ?, ?, ?)"
_DECISIONS = """
SELECT action, target, detail, at FROM audit
 WHERE target IN (SELECT value FROM json_each(?)) ORDER BY audit_id
"""


class SqliteDeadLetters(Area):
    """Dead letters, in one SQLite file."""

    async def dead_deliveries(self, which: DeadLetterFilter) -> list[DeadDelivery]:
        """Parts that were given up, the last one given up first unless asked otherwise."""
        states = json.dumps(sorted(which.states or _GIVEN_UP))
        sql = f"{_LIST} {_OLDEST if which.oldest_first else _NEWEST}"
        rows = await self._readers.all(sql, (states, which.channel, which.limit))
        return [_to_dead(row) for row in rows]

    async def unreadable_events(self, *, limit: int) -> list[UnreadableEvent]:
        """Events that could not be read and were not dropped, newest first."""
        return [_to_event(row) for row in await self._readers.all(_EVENTS, (limit,))]

    async def dead_delivery(self, delivery_id: str) -> DeadDelivery | None:
        """A part in whatever state it is; None = unknown."""
        row = await self._readers.one(_ONE, (delivery_id,))
        return None if row is None else _to_dead(row)

    async def unreadable_event(self, event_id: str) -> UnreadableEvent | None:
        """An event by our id, also a dropped one; None = unknown."""
        number = _event_number(event_id)
        row = None if number is None else await self._readers.one(_EVENT, (number,))
        return None if row is None else _to_event(row)

    async def cut_off(self, delivery_id: str) -> list[DeliveryId]:
        """The parts that ended only because this one did, and go with it when it is replayed."""
        row = await self._readers.one(_ONE, (delivery_id,))
        if row is None:
            return []
        return [DeliveryId(part[0]) for part in await self._readers.all(_CUT_OFF, _behind(row))]

    async def replay(
        self, project_id: ProjectId, delivery_id: DeliveryId, *, to: Literal["pending", "cancelled"]
    ) -> Delivery | None:
        """Decide about a given-up part, as it stands now; None = no such row in such a state."""

        def operation(db: sqlite3.Connection) -> Delivery | None:
            row = _stored(db, delivery_id)
            if (
                row is None
                or row[DeliveryAt.PROJECT_ID] != project_id
                or row[DeliveryAt.STATE] not in _GIVEN_UP
            ):
                return None
            now = self._clock()
            if to == "cancelled":
                _decided(db, row, "delivery_dropped", now)
                db.execute(_GIVE_UP, (delivery_id,))
            else:
                _replay(db, row, now)
            after = _stored(db, delivery_id)
            return None if after is None else to_delivery(after)

        return await self._writer.run(operation)

    async def drop_event(self, event_id: str) -> bool:
        """Put an unreadable event aside; False = there is none, or it was dropped before."""
        number = _event_number(event_id)

        def operation(db: sqlite3.Connection) -> bool:
            row = db.execute(_DROP_EVENT, (number,)).fetchone()
            if row is None:
                return False
            detail = to_json({"reason": row[1]})
            db.execute(_DECIDED, (row[0], "event_dropped", event_id, detail, self._clock()))
            return True

        return await self._writer.run(operation)

    async def decisions(self, targets: Sequence[str]) -> list[Decision]:
        """What was decided about these deliveries and events, oldest first."""
        return [
            Decision(action=row[0], target=row[1], detail=from_json(row[2]), at=to_time(row[3]))
            for row in await self._readers.all(_DECISIONS, (json.dumps(list(targets)),))
        ]


def _stored(db: sqlite3.Connection, delivery_id: str) -> Row | None:
    row: Row | None = db.execute(_ONE, (delivery_id,)).fetchone()
    return row


def _decided(db: sqlite3.Connection, row: Row, action: str, now: int) -> None:
    """Write down a decision, with what the row looked like before it."""
    before = to_delivery(row)
    detail = {"state": before.state, "error": before.error, "attempts": before.attempts}
    db.execute(_DECIDED, (before.project_id, action, before.id, to_json(detail), now))


def _replay(db: sqlite3.Connection, row: Row, now: int) -> None:
    """Put a part, and those that ended because of it, at the end of the lane as it is now."""
    address_id = home_of(db, row[DeliveryAt.ADDRESS_ID])
    cut_off = db.execute(_CUT_OFF, _behind(row)).fetchall()
    for delivery_id in (row[DeliveryAt.DELIVERY_ID], *(part[0] for part in cut_off)):
        _decided(db, _stored(db, delivery_id) or row, "delivery_replayed", now)
        out_no, channel = take_number(db, address_id)
        db.execute(_REPLAY, (out_no, now, address_id, channel, delivery_id))
    if row[DeliveryAt.IS_COMMAND_ANSWER]:
        promote(db, row, now)
    else:
        promote_lane(db, address_id, now)


def _behind(row: Row) -> tuple[str, str, int, str]:
    """What finds the parts that ended because of this one."""
    part = (row[DeliveryAt.PROJECT_ID], row[DeliveryAt.TURN_ID], row[DeliveryAt.PART_NO])
    return (*part, EARLIER_PART)


def _event_number(event_id: str) -> int | None:
    """The row behind our id of an event; None when it is no such id."""
    digits = event_id.removeprefix(_EVENT_PREFIX)
    is_ours = event_id.startswith(_EVENT_PREFIX) and digits.isascii() and digits.isdigit()
    return int(digits) if is_ours and len(digits) <= 18 else None


def _to_dead(row: Row) -> DeadDelivery:
    settled_at = row[DeliveryAt.SETTLED_AT]
    delivery = to_delivery(row)
    since = delivery.created_at if settled_at is None else to_time(settled_at)
    return DeadDelivery(delivery, since, row[DeliveryAt.MESSAGE_ID])


def _to_event(row: Row) -> UnreadableEvent:
    return UnreadableEvent(
        id=f"{_EVENT_PREFIX}{row[0]}",
        project_id=row[1],
        account=row[2],
        event_id=row[3],
        reason=row[4] or "",
        raw=row[5] or b"",
        received_at=to_time(row[6]),
        is_dropped=row[7] == "dropped",
    )
