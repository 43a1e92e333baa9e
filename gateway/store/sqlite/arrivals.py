"""T1 for a new turn: dedupe, place, bounds, the turn with its message, and T2 where it may run now.

Takes a `NewTurn` inside the batch's transaction; gives `Accepted`, or raises what the caller is to
be told. A copy of something seen before is answered before any bound is looked at.

Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from gateway.domain.ids import TurnId
from gateway.domain.policy import ALBUM_ITEMS, ALBUM_SILENCE_S, QueueLimits
from gateway.domain.turns import TurnError
from gateway.errors import Conflict, TooMany, Unavailable
from gateway.store.protocol.inbox import Accepted, ClaimTerms, NewTurn, TerminalTurn
from gateway.store.rows import Row, clean_or_none, to_turn
from gateway.store.sqlite.cancelling import cancel_turns
from gateway.store.sqlite.claims import claim_now
from gateway.store.sqlite.dedupe import find_copy, find_repeat, remember
from gateway.store.sqlite.doorway import at_the_door, note_consent
from gateway.store.sqlite.new_turns import Draft, write_turn
from gateway.store.sqlite.placement import Place, find_place, is_talked_at
from gateway.store.sqlite.recent import Recent
from gateway.store.sqlite.sessions import Sheet, decline_waiting, keep_place, save_sheet
from gateway.store.sqlite.transcript import add_message

_TURN = "SELECT * FROM turn_row WHERE project_id = ? AND turn_id = ?"
_DEPTHS = """
SELECT (SELECT queued FROM project WHERE project_id = ''),
       (SELECT queued FROM project WHERE project_id = ?)
"""
_NEWEST_QUEUED = """
SELECT turn_id, ready_at, group_id, attempts, created_at, first_message, last_message
  FROM turn INDEXED BY turn_unfinished
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'queued'
   AND kind = 'message'
 ORDER BY seq DESC
"""
_JOIN = """
UPDATE turn
   SET last_message = ?, first_message = coalesce(first_message, ?), ready_at = ?,
       group_id = coalesce(group_id, ?)
 WHERE project_id = ? AND turn_id = ?
"""
_INTERRUPT = """
UPDATE turn INDEXED BY turn_unfinished SET cancel_requested = 1
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'running'
   AND kind = 'message' AND (group_id IS NULL OR group_id IS NOT ?)
RETURNING turn_id
"""
_COUNT_MESSAGES = """
SELECT count(*) FROM message
 WHERE project_id = ? AND session_id = ? AND seq BETWEEN ? AND ? AND turn_id = ? AND role = 'user'
"""
_TELL_BUSY = "UPDATE address SET busy_told_at = ? WHERE address_id = ?"

_MICROSECONDS = 1_000_000
_ALBUM_SILENCE = int(ALBUM_SILENCE_S * _MICROSECONDS)
_BUSY_PAUSE = 60 * _MICROSECONDS
_BUSY = TurnError("overloaded", "Too much waits already; this message was not worked on.", True)
_MAX_GATHERING = 5
"""A turn that gathers messages waits at most this many times its delay."""


@dataclass(slots=True)
class Batch:
    """What all entries of one `accept` share; `claims_left` counts down."""

    now: int
    limits: QueueLimits
    claim: ClaimTerms | None
    claims_left: int
    recent: Recent


def accept_turn(db: sqlite3.Connection, new: NewTurn, batch: Batch) -> Accepted:
    """Write a new turn, or give what its first copy became."""
    copy = find_copy(db, new.project_id, new.event) or find_repeat(db, new.idempotency)
    if copy is not None:
        return copy
    if new.needs_session and not is_talked_at(db, new):
        return Accepted(is_new=False, state="done")
    # Looked at first, so that a flood of refused calls writes nothing.
    has_room = new.terminal is not None or _has_room(db, new, batch.limits)
    new, place = at_the_door(db, new, find_place(db, new, batch.now), batch.now)
    if new.terminal is not None:
        accepted = _write_terminal(db, new, new.terminal, place, batch.now)
    else:
        accepted = _join(db, new, place, batch) or (
            _write_queued(db, new, place, batch)
            if has_room
            else _write_busy(db, new, place, batch.now)
        )
        if accepted.state == "queued":
            accepted = replace(accepted, interrupts=_interrupt(db, new, place.sheet))
    remember(db, new, accepted, batch.now)
    return accepted


# ---------------------------------------------------------------- terminal turns


def _write_terminal(
    db: sqlite3.Connection, new: NewTurn, terminal: TerminalTurn, place: Place, now: int
) -> Accepted:
    sheet = place.sheet
    stops = note_consent(db, new, terminal, place, now)
    if terminal.cancels:
        cancel_turns(db, sheet, now)
        stops = (*stops, sheet.session_id)
    draft = Draft(
        terminal.state,
        now,
        error=terminal.error,
        messages=terminal.messages,
        deliveries=terminal.deliveries,
        is_command_answer=new.kind == "command",
    )
    accepted = write_turn(db, new, place, draft, now)[0]
    if terminal.ends_session is not None:
        sheet.end(terminal.ends_session, now)
    save_sheet(db, sheet, now)
    return replace(accepted, stops=stops)


# ---------------------------------------------------------------- queued turns


def _interrupt(db: sqlite3.Connection, new: NewTurn, sheet: Sheet) -> TurnId | None:
    """Ask the message that is being answered to stop, if this one wants it; which turn that is.

    Not for what is left of an album that is being answered.
    """
    is_said = new.kind == "message" and new.message is not None
    if not is_said or new.when_busy != "interrupt" or sheet.owner is None:
        return None
    key = (sheet.project_id, sheet.session_id, clean_or_none(new.group_id))
    found = db.execute(_INTERRUPT, key).fetchone()
    return None if found is None else TurnId(found[0])


def _join(db: sqlite3.Connection, new: NewTurn, place: Place, batch: Batch) -> Accepted | None:
    """Add the message to a turn that still gathers, or to the newest one of a full session."""
    sheet, now, message = place.sheet, batch.now, new.message
    if message is None or new.kind != "message" or not sheet.queued:
        return None
    queued = db.execute(_NEWEST_QUEUED, (sheet.project_id, sheet.session_id)).fetchall()
    ready_at = 0
    for target in queued:
        until = _gathers_until(db, target, new, sheet, now)
        if until is not None:
            ready_at = until
            break
    else:
        is_full = sheet.queued >= batch.limits.queued_per_session
        if not queued or new.when_full != "join" or not is_full:
            return None
        target = queued[0]
    stored = add_message(db, sheet, message, turn_id=target[0], channel=new.channel, now=now)
    group_id = clean_or_none(new.group_id)
    ready_at = max(ready_at, target[1])
    place_of = (new.project_id, target[0])
    db.execute(_JOIN, (stored.seq, stored.seq, ready_at, group_id, *place_of))
    if sheet.owner is None:
        keep_place(db, sheet, now)
    save_sheet(db, sheet, now)
    row = db.execute(_TURN, place_of).fetchone()
    return Accepted(
        is_new=True,
        turn_id=target[0],
        session_id=sheet.session_id,
        participant_id=place.participant_id,
        message_id=stored.id,
        was_joined=True,
        turn=to_turn(row),
    )


def _gathers_until(
    db: sqlite3.Connection, queued: Row, new: NewTurn, sheet: Sheet, now: int
) -> int | None:
    """Until when a queued turn waits for more after it took this message; None = it takes it not.

    It does so for the same album, inside its window, or where everything that waits is one turn.
    """
    turn_id, ready_at, group_id, attempts, created_at, first, last = queued
    if attempts:
        return None
    delay = int(new.delay_s * _MICROSECONDS)
    until = min(now + delay, int(created_at) + _MAX_GATHERING * delay)
    if new.group_id is not None and new.group_id == group_id:
        key = (sheet.project_id, sheet.session_id, first, last, turn_id)
        items = db.execute(_COUNT_MESSAGES, key).fetchone()[0] + 1
        if items <= ALBUM_ITEMS:
            return max(until, now + _ALBUM_SILENCE)
    if new.when_busy != "queue" or (delay > 0 and ready_at > now):
        return max(until, now + _ALBUM_SILENCE) if new.group_id is not None else until
    return None


def _write_queued(db: sqlite3.Connection, new: NewTurn, place: Place, batch: Batch) -> Accepted:
    sheet, now = place.sheet, batch.now
    _check_session(new, sheet, batch.limits)
    if new.kind == "message":
        decline_waiting(db, sheet, now)
    delay = int(new.delay_s * _MICROSECONDS)
    ready_at = now + (delay if new.group_id is None else max(delay, _ALBUM_SILENCE))
    if batch.claims_left and batch.claim and not sheet.pending and ready_at == now:
        accepted = claim_now(db, new, place, batch.claim, recent=batch.recent, now=now)
        if accepted is not None:
            batch.claims_left -= 1
            return accepted
    accepted = write_turn(db, new, place, Draft("queued", ready_at), now)[0]
    if sheet.owner is None:
        keep_place(db, sheet, now)
    save_sheet(db, sheet, now)
    return accepted


def _has_room(db: sqlite3.Connection, new: NewTurn, limits: QueueLimits) -> bool:
    """Whether project and gateway allow one more queued turn; raises for who is to be refused."""
    queued, queued_in_project = db.execute(_DEPTHS, (new.project_id,)).fetchone()
    refuses = new.when_full == "refuse"
    if queued >= limits.queued:
        if refuses:
            raise Unavailable("Too much waits already. Try again later.", retry_after_s=5)
        return False
    if (queued_in_project or 0) >= limits.queued_per_project:
        if refuses:
            raise TooMany(
                "Too much waits already in this project. Try again later.", retry_after_s=5
            )
        return False
    return True


def _check_session(new: NewTurn, sheet: Sheet, limits: QueueLimits) -> None:
    if new.when_full == "refuse" and sheet.queued >= limits.queued_per_session:
        raise Conflict(
            f"{sheet.queued} messages already wait in this session.",
            code="session_busy",
            retry_after_s=1,
        )


def _write_busy(db: sqlite3.Connection, new: NewTurn, place: Place, now: int) -> Accepted:
    """Keep a message that cannot be worked on: its turn failed; the note at most once a minute."""
    sheet = place.sheet
    note = new.busy_reply if now - place.busy_told_at >= _BUSY_PAUSE else ()
    if note and sheet.address_id is not None:
        db.execute(_TELL_BUSY, (now, sheet.address_id))
    draft = Draft("failed", now, error=_BUSY, deliveries=note, is_command_answer=True)
    accepted = write_turn(db, new, place, draft, now)[0]
    save_sheet(db, sheet, now)
    return accepted
