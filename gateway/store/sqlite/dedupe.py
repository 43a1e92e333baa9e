"""What was seen before: copies of an event, repeats of a caller's own key.

A copy gets what the first one became, and nothing is written for it. Runs in the writer's thread
only.
"""

from __future__ import annotations

import sqlite3

from gateway.domain.turns import Turn
from gateway.errors import Unprocessable
from gateway.store.protocol.inbox import Accepted, Event, IdempotencyKey, NewTurn
from gateway.store.rows import clean, clean_or_none, from_time, to_turn

_BY_EVENT = """
SELECT turn_id, session_id, message_id, digest, event_id FROM inbox
 WHERE project_id = ? AND account = ? AND event_id = ?
"""
_BY_SECOND_ID = """
SELECT turn_id, session_id, message_id, digest, event_id FROM inbox
 WHERE project_id = ? AND account = ? AND second_id = ?
"""
_ADD_EVENT = """
INSERT INTO inbox (project_id, account, event_id, second_id, digest, kind, session_id, turn_id,
                   message_id, raw, reason, received_at, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_BY_KEY = """
SELECT fingerprint, project_id, turn_id FROM idempotency
 WHERE principal_id = ? AND route = ? AND key = ?
"""
_ADD_KEY = """
INSERT INTO idempotency (principal_id, route, key, fingerprint, project_id, turn_id, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_TURN = "SELECT * FROM turn_row WHERE project_id = ? AND turn_id = ?"


def find_copy(db: sqlite3.Connection, project_id: str, event: Event | None) -> Accepted | None:
    """What an event became that was accepted before, found by either of its ids."""
    if event is None:
        return None
    row = db.execute(_BY_EVENT, (project_id, event.account, event.event_id)).fetchone()
    if row is None and event.second_id is not None:
        row = db.execute(_BY_SECOND_ID, (project_id, event.account, event.second_id)).fetchone()
    if row is None:
        return None
    turn = _turn(db, project_id, row[0])
    return Accepted(
        is_new=False,
        turn_id=row[0],
        session_id=row[1],
        message_id=row[2],
        state=turn.state if turn else "done",
        digest_differs=row[4] == event.event_id and row[3] != event.digest,
        turn=turn,
    )


def find_repeat(db: sqlite3.Connection, key: IdempotencyKey | None) -> Accepted | None:
    """What the first request with a repeat key became.

    Raises Unprocessable (`idempotency_key_reused`) when that was another request.
    """
    if key is None:
        return None
    row = db.execute(_BY_KEY, (key.principal_id, key.route, key.key)).fetchone()
    if row is None:
        return None
    check_fingerprint(row[0], key)
    turn = _turn(db, row[1], row[2])
    if turn is None:
        return Accepted(is_new=False)
    return Accepted(
        is_new=False,
        turn_id=turn.id,
        session_id=turn.session_id,
        state=turn.state,
        turn=turn,
    )


def check_fingerprint(stored: bytes, key: IdempotencyKey) -> None:
    """Raise Unprocessable (`idempotency_key_reused`) unless it is the same request."""
    if stored != key.fingerprint:
        raise Unprocessable(
            "This idempotency key was used for another request.", code="idempotency_key_reused"
        )


def remember(db: sqlite3.Connection, new: NewTurn, accepted: Accepted, now: int) -> None:
    """Write by what a turn will be known again: its event, its caller's repeat key."""
    if new.event is not None:
        remember_event(db, new.project_id, new.event, accepted, kind=new.kind, now=now)
    key = new.idempotency
    if key is not None:
        identifier = (key.principal_id, clean(key.route), clean(key.key), key.fingerprint)
        db.execute(_ADD_KEY, (*identifier, new.project_id, accepted.turn_id, now))


def remember_event(
    db: sqlite3.Connection,
    project_id: str,
    event: Event,
    accepted: Accepted,
    *,
    kind: str,
    now: int,
    raw: bytes | None = None,
    reason: str | None = None,
) -> None:
    """Write the inbox row of an event."""
    db.execute(
        _ADD_EVENT,
        (
            project_id,
            clean(event.account),
            clean(event.event_id),
            clean_or_none(event.second_id),
            event.digest,
            kind,
            accepted.session_id,
            accepted.turn_id,
            accepted.message_id,
            raw,
            clean_or_none(reason),
            from_time(event.received_at),
            now,
        ),
    )


def _turn(db: sqlite3.Connection, project_id: str, turn_id: str | None) -> Turn | None:
    if turn_id is None:
        return None
    row = db.execute(_TURN, (project_id, turn_id)).fetchone()
    return None if row is None else to_turn(row)
