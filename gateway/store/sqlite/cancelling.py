"""Cancelling turns, one or all of a session: what nobody works on ends, the rest is asked to stop.

Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3

from gateway.domain.turns import TERMINAL, Turn
from gateway.store.rows import to_turn
from gateway.store.sqlite.columns import TurnAt
from gateway.store.sqlite.opening import close_left_behind
from gateway.store.sqlite.sessions import Sheet, keep_place, load_sheet, save_sheet

_TURN = "SELECT * FROM turn_row WHERE project_id = ? AND turn_id = ?"
_ASK_TO_STOP = "UPDATE turn SET cancel_requested = 1 WHERE project_id = ? AND turn_id = ?"
_CANCEL = """
UPDATE turn SET state = 'cancelled', cancel_requested = 1, finished_at = ?, waiting_at = NULL
 WHERE project_id = ? AND turn_id = ?
"""
_CANCEL_ALL = """
UPDATE turn INDEXED BY turn_unfinished
   SET state = 'cancelled', finished_at = ?, waiting_at = NULL, cancel_requested = 1
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state IN ('queued', 'waiting')
"""
_ASK_ALL_TO_STOP = """
UPDATE turn INDEXED BY turn_unfinished SET cancel_requested = 1
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'running'
"""


def cancel_turn(db: sqlite3.Connection, project_id: str, turn_id: str, now: int) -> Turn | None:
    """Cancel a queued or waiting turn, ask a running one to stop; None = unknown."""
    row = db.execute(_TURN, (project_id, turn_id)).fetchone()
    if row is None:
        return None
    if row[TurnAt.STATE] in TERMINAL:
        return to_turn(row)
    if row[TurnAt.STATE] == "running":
        db.execute(_ASK_TO_STOP, (project_id, turn_id))
        return to_turn(db.execute(_TURN, (project_id, turn_id)).fetchone())
    sheet = load_sheet(db, project_id, row[TurnAt.SESSION_ID])
    db.execute(_CANCEL, (now, project_id, turn_id))
    if sheet is not None:
        close_left_behind(db, sheet.address_id, now)
        sheet.pending -= 1
        sheet.queued -= row[TurnAt.STATE] == "queued"
        if sheet.owner is None:
            keep_place(db, sheet, now)
        save_sheet(db, sheet, now)
    return to_turn(db.execute(_TURN, (project_id, turn_id)).fetchone())


def cancel_turns(db: sqlite3.Connection, sheet: Sheet, now: int) -> None:
    """Cancel what is queued and waiting in a session, and ask what runs to stop."""
    key = (sheet.project_id, sheet.session_id)
    cancelled = db.execute(_CANCEL_ALL, (now, *key)).rowcount
    sheet.pending -= cancelled
    sheet.queued = 0
    close_left_behind(db, sheet.address_id, now)
    if sheet.owner is None:
        sheet.ready_at = None
    else:
        db.execute(_ASK_ALL_TO_STOP, key)
