"""Retention: removing what is over its time, a bounded number of rows a call.

Tables that grow by time are read from their oldest end, so that a call costs the same however much
is kept. Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.policy import Retention
from gateway.store.sqlite.clock import StoreClock
from gateway.store.sqlite.erasing import erase_session

_ROWS = 500
_SESSIONS = 500
_SESSIONS_REMOVED = 20
_HOUR = 3_600 * 1_000_000
_DAY = 24 * _HOUR
_INSTANCE_KEPT = _DAY
_UPLOAD_KEPT = _DAY
_DRAFT_KEPT = _HOUR
"""Far longer than a file may take to arrive."""
_FILES = 50
"""Each may have hundreds of pieces, which go with it."""

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
_NEXT_SESSIONS = """
SELECT project_id, session_id, pending = 0 AND updated_at < ? FROM session
 WHERE (project_id, session_id) > (?, ?) ORDER BY project_id, session_id LIMIT ?
"""


_OLD_FILES = """
DELETE FROM file WHERE (project_id, file_id) IN
  (SELECT project_id, file_id FROM file INDEXED BY file_by_age
    WHERE created_at < ?2 ORDER BY created_at LIMIT ?1)
"""
_UPLOADS_NOT_USED = """
DELETE FROM file WHERE (project_id, file_id) IN
  (SELECT project_id, file_id FROM file INDEXED BY file_not_used
    WHERE created_at < ?2 AND used_at IS NULL ORDER BY created_at LIMIT ?1)
"""
_LEFT_BEHIND = """
DELETE FROM file_draft WHERE (project_id, file_id) IN
  (SELECT project_id, file_id FROM file_draft WHERE created_at < ?2 LIMIT ?1)
"""


@dataclass(slots=True)
class Sweeper:
    """Sweeps again and again; `place` is the session it looked at last, to go on from there.

    Time that the clock jumped over has not passed: it counts for nobody's age.
    """

    clock: StoreClock
    place: tuple[str, str] = ("", "")

    def sweep(self, db: sqlite3.Connection, retention: Retention, now: int) -> Mapping[str, int]:
        """Remove up to a few hundred rows of each table; how many went, by table."""
        removed = {
            "turn_event": self._remove(db, _OLD_EVENTS, now, retention.turn_events_h * _HOUR),
            "inbox": self._remove(db, _OLD_INBOX, now, retention.inbox_days * _DAY),
            "idempotency": self._remove(db, _OLD_KEYS, now, retention.idempotency_h * _HOUR),
            "instance": db.execute(_OLD_INSTANCES, (now - _INSTANCE_KEPT,)).rowcount,
            "file": self._remove_files(db, now, retention.files_days * _DAY),
            "file_draft": self._remove(db, _LEFT_BEHIND, now, _DRAFT_KEPT, limit=_FILES),
            "session": self._remove_sessions(db, now, retention.messages_days * _DAY),
        }
        return {table: count for table, count in removed.items() if count}

    def _remove_sessions(self, db: sqlite3.Connection, now: int, kept: float) -> int:
        """Look at the next sessions, remove those in which nothing has happened for so long."""
        if kept <= 0:
            return 0
        before = self._before(now, kept)
        rows = db.execute(_NEXT_SESSIONS, (before, *self.place, _SESSIONS)).fetchall()
        old = [(project_id, session_id) for project_id, session_id, is_old in rows if is_old]
        gone = old[:_SESSIONS_REMOVED]
        for project_id, session_id in gone:
            erase_session(db, project_id, session_id, now)
        if len(gone) < len(old):
            self.place = gone[-1]
        else:
            self.place = rows[-1][:2] if len(rows) == _SESSIONS else ("", "")
        return len(gone)

    def _remove_files(self, db: sqlite3.Connection, now: int, kept: float) -> int:
        unused = self._remove(db, _UPLOADS_NOT_USED, now, _UPLOAD_KEPT, limit=_FILES)
        return unused + self._remove(db, _OLD_FILES, now, kept, limit=_FILES)

    def _remove(
        self, db: sqlite3.Connection, sql: str, now: int, kept: float, *, limit: int = _ROWS
    ) -> int:
        if kept <= 0:
            return 0
        return db.execute(sql, (limit, self._before(now, kept))).rowcount

    def _before(self, now: int, kept: float) -> int:
        """What is older than that has been kept for long enough."""
        return now - int(kept) - self.clock.jumped_ahead(within=kept)
