"""Removing a session with everything that belongs to it.

What stays is the bare dedupe record of its events, so that a copy of one still makes no new turn.
Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3

from gateway.store.sqlite.lanes import promote_lane
from gateway.store.sqlite.sessions import load_sheet, save_sheet

_FORGET_EVENTS = """
UPDATE inbox SET turn_id = NULL, session_id = NULL, message_id = NULL
 WHERE project_id = ?1
   AND turn_id IN (SELECT turn_id FROM turn WHERE project_id = ?1 AND session_id = ?2)
"""
_FORGET_KEYS = """
DELETE FROM idempotency
 WHERE project_id = ?1
   AND turn_id IN (SELECT turn_id FROM turn WHERE project_id = ?1 AND session_id = ?2)
"""
_FORGET_CURRENT = "UPDATE address SET session_id = NULL WHERE address_id = ? AND session_id = ?"
_DELETE = "DELETE FROM session WHERE project_id = ? AND session_id = ?"


def erase_session(db: sqlite3.Connection, project_id: str, session_id: str, now: int) -> bool:
    """Remove a session; False = there is none. A turn that runs in it leaves nothing any more."""
    sheet = load_sheet(db, project_id, session_id)
    if sheet is None:
        return False
    sheet.queued = 0
    save_sheet(db, sheet, now)
    key = (project_id, session_id)
    db.execute(_FORGET_EVENTS, key)
    db.execute(_FORGET_KEYS, key)
    db.execute(_DELETE, key)
    if sheet.address_id is not None:
        db.execute(_FORGET_CURRENT, (sheet.address_id, session_id))
        promote_lane(db, sheet.address_id, now)
    return True
