"""Stopping what a session has to do: what is queued or waits ends, what runs is asked to.

Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3

from gateway.store.sqlite.opening import close_left_behind
from gateway.store.sqlite.sessions import Sheet

_CANCEL_TURNS = """
UPDATE turn INDEXED BY turn_unfinished
   SET state = 'cancelled', finished_at = ?, waiting_at = NULL, cancel_requested = 1
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state IN ('queued', 'waiting')
"""
_CANCEL_RUNNING = """
UPDATE turn INDEXED BY turn_unfinished SET cancel_requested = 1
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'running'
"""


def cancel_turns(db: sqlite3.Connection, sheet: Sheet, now: int) -> None:
    """Cancel what is queued and waiting in a session, and ask what runs to stop."""
    key = (sheet.project_id, sheet.session_id)
    cancelled = db.execute(_CANCEL_TURNS, (now, *key)).rowcount
    sheet.pending -= cancelled
    sheet.queued = 0
    close_left_behind(db, sheet.address_id, now)
    if sheet.owner is None:
        sheet.ready_at = None
    else:
        db.execute(_CANCEL_RUNNING, key)
