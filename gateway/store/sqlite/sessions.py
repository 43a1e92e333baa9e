"""The session row inside a transaction: its counters, its lease, and which turn is next.

Every operation that adds, claims or finishes a turn loads the `Sheet` of its session, changes it
and saves it once. Runs in the writer's thread only.

The rules kept here: `pending` = queued + running + waiting turns; a session with an owner has
exactly one running turn; `ready_at` is None when there is nothing to claim, else the time at which
its next turn is due, or (with an owner) at which the lease ends.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from gateway.domain.conversation import Session
from gateway.domain.ids import ProjectId, SessionId
from gateway.domain.turns import Lease
from gateway.store.rows import Row, to_json, to_session
from gateway.store.sqlite.columns import SessionAt

_SELECT = "SELECT * FROM session_row WHERE project_id = ? AND session_id = ?"
_SAVE = """
UPDATE session
   SET next_seq = ?, next_message_seq = ?, last_message_at = ?, pending = ?, queued = ?,
       ready_at = ?, owner = ?, epoch = ?, agent = ?, version = ?, ended_at = ?, end_reason = ?,
       updated_at = ?
 WHERE project_id = ? AND session_id = ?
"""
_COUNT = """
INSERT INTO project (project_id, queued) VALUES (?, ?)
    ON CONFLICT DO UPDATE SET queued = queued + excluded.queued
"""
_QUEUED = """
SELECT turn_id, seq, attempts, ready_at, source_order FROM turn INDEXED BY turn_unfinished
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'queued'
 ORDER BY seq
"""
_WAITING = """
SELECT turn_id FROM turn INDEXED BY turn_unfinished
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'waiting'
"""
_RESUME = """
UPDATE turn
   SET state = 'queued', waiting_at = NULL, ready_at = ?, tool_calls = NULL,
       options = json_set(coalesce(options, '{}'), '$.tool_results', json(?))
 WHERE project_id = ? AND turn_id = ?
"""


@dataclass(slots=True)
class NextTurn:
    """The turn a session would run next."""

    turn_id: str
    seq: int
    attempts: int
    ready_at: int


class Sheet:
    """A session row being changed; `save` writes it back."""

    __slots__ = (
        "address_id",
        "agent",
        "end_reason",
        "ended_at",
        "epoch",
        "last_message_at",
        "next_message_seq",
        "next_seq",
        "owner",
        "pending",
        "project_id",
        "queued",
        "queued_before",
        "ready_at",
        "row",
        "session_id",
        "updated_at",
        "version",
    )

    def __init__(self, row: Row) -> None:
        self.row = row
        self.session_id: SessionId = row[SessionAt.SESSION_ID]
        self.project_id: ProjectId = row[SessionAt.PROJECT_ID]
        self.agent: str | None = row[SessionAt.AGENT]
        self.version: int = row[SessionAt.VERSION]
        self.pending: int = row[SessionAt.PENDING]
        self.ended_at: int | None = row[SessionAt.ENDED_AT]
        self.end_reason: str | None = row[SessionAt.END_REASON]
        self.updated_at: int = row[SessionAt.UPDATED_AT]
        self.address_id: int | None = row[SessionAt.ADDRESS_ID]
        self.next_seq: int = row[SessionAt.NEXT_SEQ]
        self.next_message_seq: int = row[SessionAt.NEXT_MESSAGE_SEQ]
        self.last_message_at: int = row[SessionAt.LAST_MESSAGE_AT]
        self.queued: int = row[SessionAt.QUEUED]
        self.queued_before: int = row[SessionAt.QUEUED]
        self.ready_at: int | None = row[SessionAt.READY_AT]
        self.owner: str | None = row[SessionAt.OWNER]
        self.epoch: int = row[SessionAt.EPOCH]

    @property
    def waiting(self) -> int:
        """How many turns wait for a person or a caller."""
        return self.pending - self.queued - (self.owner is not None)

    def session(self, *, state: str | None = None) -> Session:
        """The session as it stands now; `state` is its document where it was just changed."""
        row = list(self.row)
        row[SessionAt.AGENT] = self.agent
        row[SessionAt.VERSION], row[SessionAt.PENDING] = self.version, self.pending
        row[SessionAt.ENDED_AT], row[SessionAt.END_REASON], row[SessionAt.UPDATED_AT] = (
            self.ended_at,
            self.end_reason,
            self.updated_at,
        )
        if state is not None:
            row[SessionAt.STATE] = state
        return to_session(row)

    def take_seq(self) -> int:
        """The next place of a turn."""
        seq = self.next_seq
        self.next_seq = seq + 1
        return seq

    def take_message_place(self, now: int) -> tuple[int, int]:
        """The next place of a message, and its time: later than that of the one before."""
        seq = self.next_message_seq
        self.next_message_seq = seq + 1
        self.last_message_at = max(now, self.last_message_at + 1)
        return seq, self.last_message_at

    def end(self, reason: str, now: int) -> None:
        """Close the session; what is queued in it still runs."""
        if self.ended_at is None:
            self.ended_at, self.end_reason = now, reason
            self.version += 1


def load_sheet(db: sqlite3.Connection, project_id: str, session_id: str) -> Sheet | None:
    """The sheet of a session of that project, or None."""
    row = db.execute(_SELECT, (project_id, session_id)).fetchone()
    return None if row is None else Sheet(row)


def holds(sheet: Sheet, lease: Lease) -> bool:
    """Whether a lease is still the session's."""
    return sheet.epoch == lease.epoch and sheet.owner == lease.owner


def save_sheet(db: sqlite3.Connection, sheet: Sheet, now: int) -> None:
    """Write a sheet back, and what it changes in the counts of queued turns."""
    sheet.updated_at = now
    db.execute(
        _SAVE,
        (
            sheet.next_seq,
            sheet.next_message_seq,
            sheet.last_message_at,
            sheet.pending,
            sheet.queued,
            sheet.ready_at,
            sheet.owner,
            sheet.epoch,
            sheet.agent,
            sheet.version,
            sheet.ended_at,
            sheet.end_reason,
            now,
            sheet.project_id,
            sheet.session_id,
        ),
    )
    added = sheet.queued - sheet.queued_before
    if added:
        db.execute(_COUNT, (sheet.project_id, added))
        db.execute(_COUNT, ("", added))
        sheet.queued_before = sheet.queued


def next_turn(db: sqlite3.Connection, sheet: Sheet) -> NextTurn | None:
    """The queued turn that runs next: one begun before, else the source's order, else `seq`."""
    if not sheet.queued:
        return None
    rows = db.execute(_QUEUED, (sheet.project_id, sheet.session_id)).fetchall()
    first = next((row for row in rows if row[2]), rows[0])
    if not first[2] and first[4] is not None:
        first = min((row for row in rows if row[4] is not None), key=_source_order)
    return NextTurn(first[0], first[1], first[2], first[3])


def refresh_ready(db: sqlite3.Connection, sheet: Sheet, now: int) -> None:
    """Set when a session without an owner is due again, at the tail of those that are."""
    turn = None if sheet.waiting else next_turn(db, sheet)
    sheet.ready_at = None if turn is None else max(now, turn.ready_at)


def keep_place(db: sqlite3.Connection, sheet: Sheet, now: int) -> None:
    """Set when a session without an owner is due after its queue has changed.

    One that stood in line already stays where it stood: who writes again does not wait longer.
    """
    refresh_ready(db, sheet, now if sheet.ready_at is None else min(now, sheet.ready_at))


def decline_waiting(db: sqlite3.Connection, sheet: Sheet, now: int) -> None:
    """Queue the waiting turns of a session again; calls without a result count as declined."""
    if not sheet.waiting:
        return
    waiting = db.execute(_WAITING, (sheet.project_id, sheet.session_id)).fetchall()
    for (turn_id,) in waiting:
        resume(db, sheet, turn_id, {}, now)


def resume(
    db: sqlite3.Connection, sheet: Sheet, turn_id: str, results: dict[str, str], now: int
) -> None:
    """Queue one waiting turn again with the results of its calls."""
    document = to_json(results) or "{}"
    db.execute(_RESUME, (now, document, sheet.project_id, turn_id))
    sheet.queued += 1


def _source_order(row: Row) -> tuple[Any, ...]:
    return row[4], row[1]
