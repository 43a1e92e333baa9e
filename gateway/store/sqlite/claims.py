"""T2: taking sessions to work on, with everything their turns need to run.

A claim sets the owner, raises the epoch (which fences whoever had the session before) and counts
the attempt, all in the commit that gives the turn away. Runs in the writer's thread only.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import replace

from gateway.domain.turns import ClaimedTurn, Lease
from gateway.store.protocol.inbox import Accepted, ClaimTerms, NewTurn
from gateway.store.rows import Row, to_turn
from gateway.store.sqlite.new_turns import Draft, write_turn
from gateway.store.sqlite.placement import Place
from gateway.store.sqlite.sessions import Sheet, load_sheet, next_turn, refresh_ready, save_sheet
from gateway.store.sqlite.transcript import load_earlier, load_window

_READY = """
SELECT project_id, session_id FROM session
 WHERE ready_at <= ? AND project_id NOT IN (SELECT value FROM json_each(?))
 ORDER BY ready_at LIMIT ?
"""
_SOMEBODY_WAITS = "SELECT 1 FROM session WHERE ready_at <= ? AND owner IS NULL LIMIT 1"
_RUNNING_HERE = """
SELECT project_id, count(*) FROM session WHERE ready_at > ? AND owner = ? GROUP BY project_id
"""
_RUNNING_TURN = """
SELECT turn_id, cancel_requested FROM turn
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'running'
"""
_CANCEL = """
UPDATE turn SET state = 'cancelled', finished_at = ? WHERE project_id = ? AND turn_id = ?
"""
_START = """
UPDATE turn
   SET state = 'running', attempts = attempts + 1, crash_count = crash_count + 1,
       started_at = coalesce(started_at, ?)
 WHERE project_id = ? AND turn_id = ?
"""
_TURN = "SELECT * FROM turn_row WHERE project_id = ? AND turn_id = ?"
_MICROSECONDS = 1_000_000


def claim_sessions(db: sqlite3.Connection, terms: ClaimTerms, now: int) -> list[ClaimedTurn]:
    """Take up to `terms.limit` sessions, longest ready first.

    A project that has its share of this process's turns stands back while others wait; with
    `turns_per_project` set it stands back always.
    """
    limits = terms.limits
    share = limits.turns_per_project or max(limits.turns // 2, 1)
    running = Counter(dict(db.execute(_RUNNING_HERE, (now, terms.owner)).fetchall()))
    claimed: list[ClaimedTurn] = []
    _claim_round(db, terms, claimed, running, share=share, now=now)
    if not limits.turns_per_project:
        _claim_round(db, terms, claimed, running, share=limits.turns + terms.limit, now=now)
    return claimed


def claim_now(
    db: sqlite3.Connection, new: NewTurn, place: Place, terms: ClaimTerms, now: int
) -> Accepted | None:
    """Write a turn of an idle session as running already; None when others wait before it."""
    if db.execute(_SOMEBODY_WAITS, (now,)).fetchone() is not None:
        return None
    sheet = place.sheet
    own = new.message is not None
    earlier = load_earlier(db, sheet, limit=terms.history_messages - own)
    accepted = write_turn(db, new, place, Draft("running", now), now)
    lease = _lease(sheet, terms, now)
    save_sheet(db, sheet, now)
    turn = accepted.turn
    if turn is None:
        return None
    history = (*earlier, *turn.messages)
    bare = replace(turn, messages=())
    claimed = ClaimedTurn(lease=lease, session=sheet.session(), turn=bare, history=history)
    return Accepted(
        is_new=True,
        turn_id=turn.id,
        session_id=sheet.session_id,
        participant_id=place.participant_id,
        message_id=accepted.message_id,
        state="running",
        claimed=claimed,
        turn=bare,
    )


def _claim_round(
    db: sqlite3.Connection,
    terms: ClaimTerms,
    claimed: list[ClaimedTurn],
    running: Counter[str],
    *,
    share: int,
    now: int,
) -> None:
    full = {project for project, count in running.items() if count >= share}
    while len(claimed) < terms.limit:
        room = terms.limit - len(claimed)
        ready = db.execute(_READY, (now, json.dumps(sorted(full)), room)).fetchall()
        for project_id, session_id in ready:
            if project_id in full:
                continue
            turn = _claim_session(db, project_id, session_id, terms, now)
            if turn is not None:
                claimed.append(turn)
                running[project_id] += 1
                if running[project_id] >= share:
                    full.add(project_id)
        if not ready:
            return


def _claim_session(
    db: sqlite3.Connection, project_id: str, session_id: str, terms: ClaimTerms, now: int
) -> ClaimedTurn | None:
    """Take one ready session; None when there turns out to be nothing to run in it."""
    sheet = load_sheet(db, project_id, session_id)
    if sheet is None:
        return None
    turn_id = _abandoned_turn(db, sheet, now)
    if turn_id is None:
        upcoming = next_turn(db, sheet)
        if upcoming is None or upcoming.ready_at > now or sheet.waiting:
            refresh_ready(db, sheet, now)
            save_sheet(db, sheet, now)
            return None
        turn_id = upcoming.turn_id
        sheet.queued -= 1
    db.execute(_START, (now, project_id, turn_id))
    lease = _lease(sheet, terms, now)
    save_sheet(db, sheet, now)
    row: Row = db.execute(_TURN, (project_id, turn_id)).fetchone()
    return ClaimedTurn(
        lease=lease,
        session=sheet.session(),
        turn=to_turn(row),
        history=load_window(db, sheet, row, limit=terms.history_messages),
    )


def _abandoned_turn(db: sqlite3.Connection, sheet: Sheet, now: int) -> str | None:
    """The turn that the former owner left running; one that was to stop is cancelled here."""
    if sheet.owner is None:
        return None
    sheet.owner = None
    row = db.execute(_RUNNING_TURN, (sheet.project_id, sheet.session_id)).fetchone()
    if row is None:
        return None
    turn_id: str = row[0]
    if not row[1]:
        return turn_id
    db.execute(_CANCEL, (now, sheet.project_id, turn_id))
    sheet.pending -= 1
    return None


def _lease(sheet: Sheet, terms: ClaimTerms, now: int) -> Lease:
    sheet.owner = terms.owner
    sheet.epoch += 1
    sheet.ready_at = now + int(terms.lease_s * _MICROSECONDS)
    return Lease(
        session_id=sheet.session_id,
        project_id=sheet.project_id,
        owner=terms.owner,
        epoch=sheet.epoch,
    )
