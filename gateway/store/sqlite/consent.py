"""Whom nothing is sent to: people who have opted out, and people an operator has blocked.

Both stand on the identity. An address that is one person's alone is closed while theirs is: what
waits there is cancelled when it closes, what is made later is written as cancelled, and nothing
begins to be sent (`lanes.closed`). Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3

from gateway.domain.ids import SessionId
from gateway.store.sqlite.cancelling import cancel_turns
from gateway.store.sqlite.lanes import BLOCKED, OPTED_OUT, close_lane
from gateway.store.sqlite.sessions import Sheet, load_sheet, save_sheet

Person = tuple[str, str, str]
"""What an identity is found by: project, platform, the platform's id."""

_SET_OPTED_OUT = """
UPDATE identity SET opted_out = ? WHERE project_id = ? AND platform = ? AND external_id = ?
"""
_SET_BLOCKED = """
UPDATE identity SET blocked = ? WHERE project_id = ? AND platform = ? AND external_id = ?
"""
_ADDRESSES = """
SELECT address_id FROM address INDEXED BY address_by_person
 WHERE project_id = ? AND platform = ? AND external_id = ?
"""
_BEHIND = "SELECT project_id, platform, external_id FROM address WHERE address_id = ?"
_AT_WORK = """
SELECT project_id, session_id FROM session INDEXED BY session_by_address
 WHERE address_id = ? AND pending > 0
"""


def opt_out(
    db: sqlite3.Connection,
    person: Person,
    *,
    is_opted_out: bool,
    now: int,
    present: Sheet | None = None,
) -> tuple[SessionId, ...]:
    """Note whether a person wants messages; sessions in which something runs that is to stop.

    `present` is a sheet that the caller saves.
    """
    db.execute(_SET_OPTED_OUT, (is_opted_out, *person))
    return _close(db, person, OPTED_OUT, now, present=present) if is_opted_out else ()


def block(
    db: sqlite3.Connection, person: Person, *, is_blocked: bool, now: int
) -> tuple[SessionId, ...]:
    """Note whether a person is blocked; sessions in which something runs that is to stop."""
    db.execute(_SET_BLOCKED, (is_blocked, *person))
    return _close(db, person, BLOCKED, now, present=None) if is_blocked else ()


def opt_out_behind(db: sqlite3.Connection, address_id: int, now: int) -> None:
    """The platform says that the person behind an address has opted out; a group has none."""
    row = db.execute(_BEHIND, (address_id,)).fetchone()
    if row is not None and row[1] is not None:
        opt_out(db, (row[0], row[1], row[2]), is_opted_out=True, now=now)


def _close(
    db: sqlite3.Connection, person: Person, reason: str, now: int, *, present: Sheet | None
) -> tuple[SessionId, ...]:
    """Cancel what waits and is worked on at every address of a person."""
    stopped: list[SessionId] = []
    for (address_id,) in db.execute(_ADDRESSES, person).fetchall():
        close_lane(db, address_id, now, with_held=True, with_open=True, reason=reason)
        for project_id, session_id in db.execute(_AT_WORK, (address_id,)).fetchall():
            stopped.append(session_id)
            is_present = present is not None and present.session_id == session_id
            sheet = present if is_present else load_sheet(db, project_id, session_id)
            if sheet is not None:
                cancel_turns(db, sheet, now)
                save_sheet(db, sheet, now)
    return tuple(stopped)
