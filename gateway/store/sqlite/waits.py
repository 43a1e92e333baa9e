"""Waits across a jump of the clock: what is left of each stays what it was.

Leases, retries, throttles, debounces and the age of what is on its way are stored as times. When
the clock jumps, these rows are moved with it in one transaction. Times that are history stay as
they were written. Runs in the writer's thread, or before it is started.
"""

from __future__ import annotations

import sqlite3

from gateway.store.rows import from_json, to_json_always
from gateway.store.sqlite.clock import MICROSECONDS, Mark, StoreClock

_LONGEST_WAIT = 24 * 3_600 * MICROSECONDS
"""Nothing waits longer than a part lives; what says so was written by a clock that was wrong."""

# `:jump` is how far the clock jumps, `:before` what it showed until then. When a send was begun is
# asked of platforms, who live by their own clocks: it may be too early, and never too late.
_MOVES = (
    "UPDATE session SET ready_at = ready_at + :jump WHERE ready_at IS NOT NULL",
    """
UPDATE turn INDEXED BY turn_unfinished
   SET ready_at = ready_at + :jump, waiting_at = waiting_at + :jump
 WHERE finished_at IS NULL
""",
    """
UPDATE outbox INDEXED BY outbox_lane
   SET next_at = next_at + :jump, created_at = created_at + :jump,
       sent_started_at = sent_started_at + min(:jump, 0), opened_at = opened_at + min(:jump, 0)
 WHERE settled_at IS NULL
""",
    """
UPDATE address SET blocked_until = iif(blocked_until > :before, blocked_until + :jump, 0)
 WHERE blocked_until > 0
""",
    "UPDATE address SET busy_told_at = busy_told_at + :jump WHERE busy_told_at > 0",
    """
UPDATE account_block SET blocked_until = iif(blocked_until > :before, blocked_until + :jump, 0)
 WHERE blocked_until > 0
""",
)
_LIMITS = (
    "UPDATE session SET ready_at = :now WHERE ready_at > :latest",
    """
UPDATE turn INDEXED BY turn_unfinished SET ready_at = :now
 WHERE finished_at IS NULL AND ready_at > :latest
""",
    """
UPDATE outbox INDEXED BY outbox_lane SET next_at = :now
 WHERE settled_at IS NULL AND next_at > :latest
""",
    "UPDATE address SET blocked_until = :now WHERE blocked_until > :latest",
    "UPDATE account_block SET blocked_until = :now WHERE blocked_until > :latest",
)
# No channel has an empty name.
_READ_MARK = "SELECT value FROM note WHERE owner = '' AND key = 'clock'"
_PUT_MARK = """
INSERT INTO note (owner, key, value, updated_at) VALUES ('', 'clock', ?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
"""


def take_over_clock(db: sqlite3.Connection, clock: StoreClock) -> None:
    """Set the clock as the process that served last had it, if one did."""
    row = db.execute(_READ_MARK).fetchone()
    if row is not None:
        document = from_json(row[0])
        clock.go_on_from(Mark(document["boot"], document["counted"], document["at"]))


def leave_mark(db: sqlite3.Connection, mark: Mark) -> None:
    """Write the clock down for the next process."""
    document = {"boot": mark.boot, "counted": mark.counted, "at": mark.at}
    db.execute(_PUT_MARK, (to_json_always(document), mark.at))


def follow_wall(db: sqlite3.Connection, clock: StoreClock) -> int:
    """Follow a jump of the wall, and all waits with it; by how many microseconds, mostly 0.

    Begins and ends its own transaction: the clock may not go on without the rows.
    """
    jump = clock.jump()
    if not jump:
        return 0
    db.execute("BEGIN IMMEDIATE")
    try:
        mark = clock.mark()
        for move in _MOVES:
            db.execute(move, {"jump": jump, "before": mark.at})
        now = mark.at + jump
        for limit in _LIMITS:
            db.execute(limit, {"now": now, "latest": now + _LONGEST_WAIT})
        leave_mark(db, Mark(mark.boot, mark.counted, now))
        db.execute("COMMIT")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    clock.follow(jump)
    return jump
