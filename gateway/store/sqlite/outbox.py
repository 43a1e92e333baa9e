"""Deliveries on their way: T4, T5, and what operators and the doubtful need."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence, Set
from dataclasses import replace

from gateway.domain.delivery import UNSETTLED, Delivery
from gateway.store.protocol.outbox import DeliveryFilter, SendResult
from gateway.store.rows import Row, clean_or_none, to_delivery
from gateway.store.sqlite.area import Area
from gateway.store.sqlite.clock import MICROSECONDS
from gateway.store.sqlite.columns import DeliveryAt
from gateway.store.sqlite.consent import opt_out_behind
from gateway.store.sqlite.lanes import (
    close_lane,
    end_later_parts,
    is_first,
    promote,
    unwanted,
)

_DUE = """
SELECT d.delivery_id FROM delivery_row AS d
 WHERE d.channel = ?1 AND d.next_at <= ?2 AND d.state = 'pending' AND d.blocked_until <= ?2
   AND NOT EXISTS (SELECT 1 FROM outbox AS earlier
                    WHERE earlier.address_id = d.address_id AND earlier.settled_at IS NULL
                      AND earlier.out_no < d.out_no
                      AND earlier.is_command_answer = d.is_command_answer
                      AND (d.is_command_answer = 0 OR earlier.state = 'sending'
                           OR (earlier.state = 'pending' AND earlier.next_at <= ?2)))
 ORDER BY d.next_at LIMIT ?3
"""
_BEGIN = """
UPDATE outbox
   SET state = 'sending', owner = ?, attempts = attempts + 1, next_at = NULL, sent_started_at = ?
 WHERE delivery_id = ?
"""
_ONE = "SELECT * FROM delivery_row WHERE delivery_id = ?"
FOUND_ANOTHER = "only a message of the same words was found; an operator decides"

_ANOTHERS = """
SELECT 1 FROM outbox INDEXED BY outbox_by_provider_id
 WHERE project_id = ? AND provider_id = ? AND address_id = ? AND delivery_id <> ?
"""

_END = """
UPDATE outbox
   SET state = ?, owner = NULL, attempts = max(attempts - ?, 0), next_at = ?, error = ?,
       provider_id = coalesce(?, provider_id), settled_at = ?
 WHERE delivery_id = ?
"""
_BLOCK_ADDRESS = "UPDATE address SET blocked_until = max(blocked_until, ?) WHERE address_id = ?"
_BLOCK_ACCOUNT = """
INSERT INTO account_block (channel, account, blocked_until) VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET blocked_until = max(blocked_until, excluded.blocked_until)
"""
_HOLD_ACCOUNT = """
UPDATE outbox SET next_at = ?
 WHERE channel = ? AND next_at < ? AND state = 'pending'
   AND EXISTS (SELECT 1 FROM address AS a
                WHERE a.address_id = outbox.address_id AND a.account = ?)
"""
_SET_UNREACHABLE = "UPDATE address SET is_reachable = 0 WHERE address_id = ?"
_DOUBT = """
UPDATE outbox SET state = 'ambiguous', owner = NULL, next_at = ?
 WHERE owner IS NOT NULL AND owner NOT IN (SELECT value FROM json_each(?))
"""
_AMBIGUOUS = """
SELECT * FROM delivery_row
 WHERE state = 'ambiguous' AND next_at <= ?1
   AND (?2 IS NULL OR channel IN (SELECT value FROM json_each(?2)))
 ORDER BY next_at LIMIT ?3
"""
_STRANDED = """
SELECT * FROM delivery_row WHERE delivery_id IN
  (SELECT delivery_id FROM outbox INDEXED BY outbox_lane
    WHERE settled_at IS NULL AND created_at < ?
      AND (state = 'ambiguous' OR (state = 'pending' AND next_at IS NOT NULL))
      AND channel NOT IN (SELECT value FROM json_each(?))
    LIMIT 200)
"""
_GIVE_UP = """
UPDATE outbox SET state = ?, error = ?, next_at = NULL, settled_at = ? WHERE delivery_id = ?
"""
STRANDED = "its channel was not connected for as long as a delivery may take"
# A list of deliveries: the conditions that were asked for, then the order.
_LIST = "SELECT * FROM delivery_row AS d WHERE true"
_CONDITIONS = {
    "project_id": "AND d.project_id = ?1",
    "session_id": "AND d.session_id = ?2",
    "turn_id": "AND d.turn_id = ?3",
    "states": "AND d.state IN (SELECT value FROM json_each(?4))",
}
_GIVEN_UP = frozenset({"held", "dead", "expired"})
_IS_GIVEN_UP = "AND d.state IN ('held', 'dead', 'expired')"
_IS_UNSETTLED = "AND d.settled_at IS NULL"
_IN_ORDER = "ORDER BY d.created_at, d.turn_id, d.part_no LIMIT ?5"


class SqliteOutbox(Area):
    """The outbox, in one SQLite file."""

    async def begin_sends(
        self, *, owner: str, limit: int, channels: Sequence[str]
    ) -> list[Delivery]:
        """Move due deliveries of these channels to `sending`, the first of each free lane (T4)."""

        def operation(db: sqlite3.Connection) -> list[Delivery]:
            now = self._clock()
            begun: list[Delivery] = []
            for channel in channels:
                due = db.execute(_DUE, (channel, now, limit - len(begun))).fetchall()
                tries = [_begin(db, row[0], owner, now) for row in due]
                begun += [delivery for delivery in tries if delivery is not None]
            return begun

        return await self._writer.run(operation)

    async def end_sends(self, results: Sequence[SendResult], *, owner: str) -> list[Delivery]:
        """Write how tries ended (T5); the next due part of each lane, already `sending`."""

        def operation(db: sqlite3.Connection) -> list[Delivery]:
            now = self._clock()
            following: list[Delivery] = []
            for result in results:
                delivery_id = _end(db, result, owner, now)
                delivery = _begin(db, delivery_id, owner, now) if delivery_id else None
                if delivery is not None:
                    following.append(delivery)
            return following

        return await self._writer.run(operation)

    async def doubt_abandoned(self, *, living: Sequence[str]) -> int:
        """Move `sending` rows whose owner no longer lives to `ambiguous`; how many."""
        owners = json.dumps(list(living))
        return await self._writer.run(
            lambda db: db.execute(_DOUBT, (self._clock(), owners)).rowcount
        )

    async def ambiguous(self, *, limit: int, channels: Set[str] | None = None) -> list[Delivery]:
        """Doubtful deliveries due for reconciliation, oldest first; `channels` None = of all."""
        names = None if channels is None else json.dumps(sorted(channels))
        now = self._clock()
        rows = await self._readers.all(_AMBIGUOUS, (now, names, limit))
        return [_aged(row, now) for row in rows]

    async def expire_stranded(self, *, connected: Set[str], after_s: float) -> int:
        """Give up what is that old and belongs to a channel that is not connected; how many."""
        names = json.dumps(sorted(connected))

        def operation(db: sqlite3.Connection) -> int:
            now = self._clock()
            before = now - int(after_s * MICROSECONDS)
            stranded = db.execute(_STRANDED, (before, names)).fetchall()
            for row in stranded:
                state = "held" if row[DeliveryAt.STATE] == "ambiguous" else "expired"
                db.execute(_GIVE_UP, (state, STRANDED, now, row[DeliveryAt.DELIVERY_ID]))
                end_later_parts(db, row, now)
                promote(db, row, now)
            return len(stranded)

        return await self._writer.run(operation)

    async def deliveries(self, which: DeliveryFilter) -> list[Delivery]:
        """Deliveries for people to look at, oldest first."""
        asked = [sql for name, sql in _CONDITIONS.items() if getattr(which, name)]
        # Said in the words of the indexes that hold only such rows.
        if which.states and which.states <= _GIVEN_UP:
            asked.append(_IS_GIVEN_UP)
        if which.states and which.states <= UNSETTLED:
            asked.append(_IS_UNSETTLED)
        states = json.dumps(sorted(which.states))
        parameters = (which.project_id, which.session_id, which.turn_id, states, which.limit)
        rows = await self._readers.all(" ".join((_LIST, *asked, _IN_ORDER)), parameters)
        return [to_delivery(row) for row in rows]


def _begin(db: sqlite3.Connection, delivery_id: str, owner: str, now: int) -> Delivery | None:
    """Mark a part as being sent; None, and what waits there cancelled, where people want nothing.

    A part may come back to its lane after that was closed: from a try that failed, from doubt, or
    by an operator.
    """
    address_id, reason = unwanted(db, delivery_id)
    if reason is not None:
        close_lane(db, address_id, now, with_held=False, reason=reason)
        return None
    db.execute(_BEGIN, (owner, now, delivery_id))
    return _aged(db.execute(_ONE, (delivery_id,)).fetchone(), now)


def _aged(row: Row, now: int) -> Delivery:
    """A delivery that knows how long it has been on its way."""
    return replace(to_delivery(row), age_s=(now - row[DeliveryAt.CREATED_AT]) / MICROSECONDS)


def _end(db: sqlite3.Connection, result: SendResult, owner: str, now: int) -> str | None:
    """Write how one try ended; the id of the part of its lane that may leave at once."""
    row = db.execute(_ONE, (result.delivery_id,)).fetchone()
    if row is None:
        return None
    is_ours = row[DeliveryAt.STATE] == "sending" and row[DeliveryAt.OWNER] == owner
    if not is_ours and row[DeliveryAt.STATE] != "ambiguous":
        return None
    if result.state == "sent" and row[DeliveryAt.RECEIPT] == "failed":
        # The platform's word on it came before the answer to our call.
        result = replace(result, state="dead", error=row[DeliveryAt.ERROR])
    if not is_ours and result.state == "sent" and _is_anothers(db, row, result):
        result = replace(result, state="held", error=FOUND_ANOTHER, provider_id=None)
    is_settled = result.state not in UNSETTLED
    next_at = None
    if result.state == "ambiguous" or (result.state == "pending" and is_first(db, row)):
        next_at = now + int(result.again_in_s * MICROSECONDS)
    db.execute(
        _END,
        (
            result.state,
            int(not result.counts),
            next_at,
            clean_or_none(result.error),
            clean_or_none(result.provider_id),
            now if is_settled else None,
            result.delivery_id,
        ),
    )
    if result.blocked_s > 0:
        _block(db, row, result, now + int(result.blocked_s * MICROSECONDS))
    if is_settled and result.state != "sent":
        end_later_parts(db, row, now)
    if result.state == "dead" and result.scope == "address":
        db.execute(_SET_UNREACHABLE, (row[DeliveryAt.ADDRESS_ID],))
        if result.opts_out:
            opt_out_behind(db, row[DeliveryAt.ADDRESS_ID], now)
        close_lane(db, row[DeliveryAt.ADDRESS_ID], now, with_held=False)
    return promote(db, row, now)


def _is_anothers(db: sqlite3.Connection, row: Row, result: SendResult) -> bool:
    """Whether the message that was found for a doubtful part is that of another delivery."""
    found = (row[DeliveryAt.PROJECT_ID], result.provider_id, row[DeliveryAt.ADDRESS_ID])
    return db.execute(_ANOTHERS, (*found, result.delivery_id)).fetchone() is not None


def _block(db: sqlite3.Connection, row: Row, result: SendResult, until: int) -> None:
    """Keep everything of the address, or of the account, waiting until then."""
    channel, account, address_id = (
        row[DeliveryAt.CHANNEL],
        row[DeliveryAt.ACCOUNT],
        row[DeliveryAt.ADDRESS_ID],
    )
    if result.scope == "account":
        db.execute(_BLOCK_ACCOUNT, (channel, account, until))
        db.execute(_HOLD_ACCOUNT, (until, channel, until, account))
    else:
        db.execute(_BLOCK_ADDRESS, (until, address_id))
