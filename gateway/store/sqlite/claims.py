"""T2: taking sessions to work on, with everything their turns need to run.

A claim sets the owner, raises the epoch (which fences whoever had the session before) and counts
the attempt, all in the commit that gives the turn away. Runs in the writer's thread only.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field

from gateway.domain.turns import ClaimedTurn, Lease
from gateway.store.protocol.inbox import Accepted, ClaimTerms, NewTurn
from gateway.store.rows import to_turn
from gateway.store.sqlite.new_turns import Draft, write_turn
from gateway.store.sqlite.opening import close_left_behind
from gateway.store.sqlite.placement import Place
from gateway.store.sqlite.recent import Recent
from gateway.store.sqlite.sessions import Sheet, load_sheet, next_turn, refresh_ready, save_sheet
from gateway.store.sqlite.transcript import load_window

_READY = """
SELECT project_id, session_id FROM session INDEXED BY session_ready
 WHERE ready_at <= ? AND project_id NOT IN (SELECT value FROM json_each(?))
 ORDER BY ready_at LIMIT ?
"""
_SOMEBODY_WAITS = """
SELECT 1 FROM session INDEXED BY session_ready WHERE ready_at <= ? AND owner IS NULL LIMIT 1
"""
_RUNNING_HERE = """
SELECT project_id, count(*) FROM session INDEXED BY session_ready
 WHERE ready_at > ? AND owner = ? GROUP BY project_id
"""
_RUNNING_TURN = """
SELECT turn_id, cancel_requested FROM turn INDEXED BY turn_unfinished
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


def claim_sessions(
    db: sqlite3.Connection, terms: ClaimTerms, *, recent: Recent, now: int
) -> list[ClaimedTurn]:
    """Take up to `terms.limit` sessions, longest ready first.

    A project that has its share of this process's turns stands back while others wait; with
    `turns_per_project` set it stands back always.
    """
    limits = terms.limits
    share = limits.turns_per_project or max(limits.turns // 2, 1)
    running = Counter(dict(db.execute(_RUNNING_HERE, (now, terms.owner)).fetchall()))
    claiming = _Claiming(db, terms, recent, now, running)
    claiming.fill(share)
    if not limits.turns_per_project:
        claiming.fill(limits.turns + terms.limit)
    return claiming.claimed


def claim_now(
    db: sqlite3.Connection,
    new: NewTurn,
    place: Place,
    terms: ClaimTerms,
    *,
    recent: Recent,
    now: int,
) -> Accepted | None:
    """Write a turn of an idle session as running already; None when others wait before it."""
    if db.execute(_SOMEBODY_WAITS, (now,)).fetchone() is not None:
        return None
    sheet = place.sheet
    own_count = int(new.message is not None)
    earlier = recent.newest(db, sheet, terms.history_messages - own_count)
    accepted, own = write_turn(db, new, place, Draft("running", now), now)
    lease = _lease(sheet, terms, now)
    save_sheet(db, sheet, now)
    turn = accepted.turn
    if turn is None:
        return None
    recent.add(sheet, own)
    recent.put_claimed(turn, own)
    claimed = ClaimedTurn(lease=lease, session=sheet.session(), turn=turn, history=(*earlier, *own))
    return Accepted(
        is_new=True,
        turn_id=turn.id,
        session_id=sheet.session_id,
        participant_id=place.participant_id,
        message_id=accepted.message_id,
        state="running",
        claimed=claimed,
        turn=turn,
    )


@dataclass(slots=True)
class _Claiming:
    """One claim at work; `running` counts this process's turns by project."""

    db: sqlite3.Connection
    terms: ClaimTerms
    recent: Recent
    now: int
    running: Counter[str]
    claimed: list[ClaimedTurn] = field(default_factory=list)

    def fill(self, share: int) -> None:
        """Claim until the terms are met, nothing waits, or every project has its share."""
        full = {project for project, count in self.running.items() if count >= share}
        while len(self.claimed) < self.terms.limit:
            room = self.terms.limit - len(self.claimed)
            ready = self.db.execute(_READY, (self.now, json.dumps(sorted(full)), room)).fetchall()
            for project_id, session_id in ready:
                if project_id not in full and self._claim(project_id, session_id):
                    self.running[project_id] += 1
                    if self.running[project_id] >= share:
                        full.add(project_id)
            if not ready:
                return

    def _claim(self, project_id: str, session_id: str) -> bool:
        """Take one ready session; False when there turns out to be nothing to run in it."""
        db, now = self.db, self.now
        sheet = load_sheet(db, project_id, session_id)
        if sheet is None:
            return False
        turn_id = _abandoned_turn(db, sheet, now)
        if turn_id is None:
            upcoming = next_turn(db, sheet)
            if upcoming is None or upcoming.ready_at > now or sheet.waiting:
                refresh_ready(db, sheet, now)
                save_sheet(db, sheet, now)
                return False
            turn_id = upcoming.turn_id
            sheet.queued -= 1
        db.execute(_START, (now, project_id, turn_id))
        lease = _lease(sheet, self.terms, now)
        save_sheet(db, sheet, now)
        row = db.execute(_TURN, (project_id, turn_id)).fetchone()
        history, own = load_window(
            db, sheet, row, recent=self.recent, limit=self.terms.history_messages
        )
        turn = to_turn(row)
        self.recent.put_claimed(turn, own)
        self.claimed.append(
            ClaimedTurn(lease=lease, session=sheet.session(), turn=turn, history=history)
        )
        return True


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
    close_left_behind(db, sheet.address_id, now)
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
