"""Retention: removing what is over its time, a bounded number of rows a call.

Tables that grow by time are read from their oldest end, so that a call costs the same however much
is kept. Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from gateway.domain.policy import Retention
from gateway.store.sqlite.erasing import erase_session

_ROWS = 500
_SESSIONS = 20
_HOUR = 3_600 * 1_000_000
_DAY = 24 * _HOUR
_INSTANCE_KEPT = _DAY

# The inner query walks the primary key from its oldest end and stops at its limit.
_OLD_EVENTS = """
DELETE FROM turn_event WHERE event_id IN
  (SELECT event_id FROM (SELECT event_id, created_at FROM turn_event ORDER BY event_id LIMIT ?)
    WHERE created_at < ?)
"""
_OLD_INBOX = """
DELETE FROM inbox WHERE inbox_id IN
  (SELECT inbox_id FROM (SELECT inbox_id, created_at FROM inbox ORDER BY inbox_id LIMIT ?)
    WHERE created_at < ?)
"""
_OLD_KEYS = """
DELETE FROM idempotency WHERE idempotency_id IN
  (SELECT idempotency_id
     FROM (SELECT idempotency_id, created_at FROM idempotency ORDER BY idempotency_id LIMIT ?)
    WHERE created_at < ?)
"""
_OLD_INSTANCES = "DELETE FROM instance WHERE heartbeat_at < ?"
_OLD_SESSIONS = """
SELECT project_id, session_id FROM session
 WHERE pending = 0 AND updated_at < ?1 AND created_at < ?1
 LIMIT ?2
"""


def sweep(db: sqlite3.Connection, retention: Retention, now: int) -> Mapping[str, int]:
    """Remove up to a few hundred rows of each table; how many went, by table."""
    removed = {
        "turn_event": _remove(db, _OLD_EVENTS, now, retention.turn_events_h * _HOUR),
        "inbox": _remove(db, _OLD_INBOX, now, retention.inbox_days * _DAY),
        "idempotency": _remove(db, _OLD_KEYS, now, retention.idempotency_h * _HOUR),
        "instance": db.execute(_OLD_INSTANCES, (now - _INSTANCE_KEPT,)).rowcount,
        "session": _remove_sessions(db, now, retention.messages_days * _DAY),
    }
    return {table: count for table, count in removed.items() if count}


def _remove(db: sqlite3.Connection, sql: str, now: int, kept: float) -> int:
    if kept <= 0:
        return 0
    return db.execute(sql, (_ROWS, now - int(kept))).rowcount


def _remove_sessions(db: sqlite3.Connection, now: int, kept: float) -> int:
    """Remove sessions in which nothing has happened for so long."""
    if kept <= 0:
        return 0
    old = db.execute(_OLD_SESSIONS, (now - int(kept), _SESSIONS)).fetchall()
    return sum(erase_session(db, project_id, session_id, now) for project_id, session_id in old)
