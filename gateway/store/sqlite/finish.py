"""T3: what a turn leaves, in one commit, if its lease still holds.

Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.domain.conversation import Message
from gateway.domain.turns import TERMINAL, Lease, Turn, TurnOutcome, TurnState
from gateway.store.protocol.turns import Committed
from gateway.store.rows import (
    Row,
    clean,
    from_tool_calls,
    to_time,
    to_turn,
)
from gateway.store.sqlite.columns import SessionAt
from gateway.store.sqlite.lanes import Origin, add_deliveries
from gateway.store.sqlite.opening import fill_open, find_open
from gateway.store.sqlite.recent import Recent
from gateway.store.sqlite.sessions import (
    Sheet,
    decline_waiting,
    holds,
    load_sheet,
    refresh_ready,
    save_sheet,
)
from gateway.store.sqlite.transcript import add_message, turn_messages

_TURN = "SELECT * FROM turn_row WHERE project_id = ? AND turn_id = ?"
_STATUS = """
SELECT state, cancel_requested, parts FROM turn WHERE project_id = ? AND turn_id = ?
"""
_FINISH = """
UPDATE turn
   SET state = ?, finished_at = ?, waiting_at = ?, ready_at = ?, crash_count = ?,
       attempts = attempts - ?, first_message = coalesce(first_message, ?),
       last_message = coalesce(?, last_message), parts = parts + ?, final_agent = ?, model = ?,
       input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, error_code = ?,
       error_message = ?, error_retryable = ?, is_incomplete = ?,
       bot_version = coalesce(?, bot_version), tool_calls = ?
 WHERE project_id = ? AND turn_id = ?
"""
_ADD_USAGE = """
INSERT INTO usage (project_id, bot, day, turns, input_tokens, output_tokens)
VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET turns = turns + excluded.turns,
                              input_tokens = input_tokens + excluded.input_tokens,
                              output_tokens = output_tokens + excluded.output_tokens
"""
_QUEUED_MESSAGE = """
SELECT 1 FROM turn INDEXED BY turn_unfinished
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'queued'
   AND kind = 'message' LIMIT 1
"""
_MICROSECONDS_A_DAY = 86_400 * 1_000_000


def finish_turn(
    db: sqlite3.Connection,
    lease: Lease,
    turn_id: str,
    outcome: TurnOutcome,
    *,
    recent: Recent,
    now: int,
) -> Committed:
    """Write the outcome and give the session back; a lost lease changes nothing."""
    key = (lease.project_id, turn_id)
    sheet = load_sheet(db, lease.project_id, lease.session_id)
    status = db.execute(_STATUS, key).fetchone()
    is_running = status is not None and status[0] == "running"
    if sheet is None or not is_running or not holds(sheet, lease):
        row = db.execute(_TURN, key).fetchone()
        return Committed(False, None if row is None else to_turn(row))
    state = _state(outcome, was_to_stop=bool(status[1]))
    _check(outcome, sheet)
    turn, own = recent.take_claimed(turn_id) or _load_turn(db, key)
    channel = turn.channel or sheet.row[SessionAt.CHANNEL]
    stored = [
        add_message(db, sheet, message, turn_id=turn_id, channel=channel, now=now)
        for message in outcome.messages
    ]
    recent.add(sheet, stored)
    opened = None if state == "queued" else find_open(db, key, status[2])
    parts = len(outcome.deliveries) - bool(opened and outcome.deliveries)
    _write_turn(db, turn, outcome, state, stored=stored, parts=parts, now=now)
    has_deliveries = _write_deliveries(
        db, sheet, turn, outcome, opened=opened, first_part=status[2], now=now
    )
    state = _write_session(db, sheet, outcome, state, now=now)
    _count_usage(db, turn, outcome, state, now)
    if state in TERMINAL:
        finished = _finished(turn, outcome, state, (*own, *stored), was_to_stop=status[1], now=now)
    else:
        finished = _load_turn(db, key)[0]
    return Committed(True, finished, has_deliveries=has_deliveries, has_more=sheet.queued > 0)


def holds_lease(db: sqlite3.Connection, lease: Lease) -> bool:
    """Whether the lease is still the session's."""
    sheet = load_sheet(db, lease.project_id, lease.session_id)
    return sheet is not None and holds(sheet, lease)


def _load_turn(db: sqlite3.Connection, key: tuple[str, str]) -> tuple[Turn, tuple[Message, ...]]:
    row = db.execute(_TURN, key).fetchone()
    messages = turn_messages(db, row)
    return to_turn(row, messages), messages


def _state(outcome: TurnOutcome, *, was_to_stop: bool) -> TurnState:
    """Where the turn really goes: one that was to stop is not tried again, and does not wait."""
    is_going_on = outcome.state in {"queued", "waiting"}
    return "cancelled" if is_going_on and was_to_stop else outcome.state


def _check(outcome: TurnOutcome, sheet: Sheet) -> None:
    if outcome.state == "queued" and (outcome.messages or outcome.deliveries):
        raise ValueError("a turn that is tried again leaves neither messages nor deliveries")
    if outcome.deliveries and sheet.address_id is None:
        raise ValueError("deliveries need a session with an address")
    if outcome.state == "running":
        raise ValueError("an outcome ends the attempt: `running` is none")


def _write_turn(
    db: sqlite3.Connection,
    turn: Turn,
    outcome: TurnOutcome,
    state: TurnState,
    *,
    stored: Sequence[Message],
    parts: int,
    now: int,
) -> None:
    error, usage = outcome.error, outcome.usage
    db.execute(
        _FINISH,
        (
            state,
            now if state in TERMINAL else None,
            now if state == "waiting" else None,
            now,
            0 if state in {"queued", "waiting"} else turn.crash_count,
            0 if outcome.counts_attempt else 1,
            stored[0].seq if stored else None,
            stored[-1].seq if stored else None,
            parts,
            outcome.final_agent,
            outcome.model,
            usage.input_tokens,
            usage.output_tokens,
            None if error is None else error.code,
            None if error is None else clean(error.message),
            error is not None and error.is_retryable,
            outcome.is_incomplete,
            outcome.bot_version,
            from_tool_calls(outcome.tool_calls) if outcome.tool_calls else None,
            turn.project_id,
            turn.id,
        ),
    )


def _write_deliveries(
    db: sqlite3.Connection,
    sheet: Sheet,
    turn: Turn,
    outcome: TurnOutcome,
    *,
    opened: Row | None,
    first_part: int,
    now: int,
) -> bool:
    """Send what the turn leaves; the first part fills the message that was shown meanwhile."""
    further = outcome.deliveries
    is_any = False
    if opened is not None:
        is_any = fill_open(db, opened, further[0] if further else None, now)
        further = further[1:]
    if not further or sheet.address_id is None:
        return is_any
    origin = Origin(
        turn.project_id, turn.session_id, turn.id, sheet.address_id, first_part=first_part
    )
    return add_deliveries(db, origin, further, now) or is_any


def _write_session(
    db: sqlite3.Connection,
    sheet: Sheet,
    outcome: TurnOutcome,
    state: TurnState,
    *,
    now: int,
) -> TurnState:
    """Give the session back to the tail; where the turn went after all."""
    sheet.owner = None
    if state in TERMINAL:
        sheet.pending -= 1
    elif state == "queued":
        sheet.queued += 1
    key = (sheet.project_id, sheet.session_id)
    if state == "waiting" and sheet.queued and db.execute(_QUEUED_MESSAGE, key).fetchone():
        # The person has written on already: that declines the question.
        decline_waiting(db, sheet, now)
        state = "queued"
    if outcome.next_agent is not None and outcome.next_agent != sheet.agent:
        sheet.agent = outcome.next_agent
        sheet.version += 1
    refresh_ready(db, sheet, now)
    save_sheet(db, sheet, now)
    return state


def _finished(
    turn: Turn,
    outcome: TurnOutcome,
    state: TurnState,
    messages: tuple[Message, ...],
    *,
    was_to_stop: bool,
    now: int,
) -> Turn:
    """The turn as it now stands, without reading it again."""
    return Turn(
        id=turn.id,
        project_id=turn.project_id,
        session_id=turn.session_id,
        seq=turn.seq,
        kind=turn.kind,
        state=state,
        bot=turn.bot,
        attempts=turn.attempts - (not outcome.counts_attempt),
        crash_count=turn.crash_count,
        options=turn.options,
        final_agent=outcome.final_agent,
        model=outcome.model,
        usage=turn.usage + outcome.usage,
        error=outcome.error,
        is_incomplete=outcome.is_incomplete,
        cancel_requested=bool(was_to_stop),
        bot_version=outcome.bot_version if outcome.bot_version is not None else turn.bot_version,
        tool_calls=outcome.tool_calls,
        messages=messages,
        participant_id=turn.participant_id,
        channel=turn.channel,
        created_at=turn.created_at,
        started_at=turn.started_at,
        finished_at=to_time(now),
    )


def _count_usage(
    db: sqlite3.Connection, turn: Turn, outcome: TurnOutcome, state: TurnState, now: int
) -> None:
    usage = outcome.usage
    is_over = state in TERMINAL
    if is_over or usage.input_tokens or usage.output_tokens:
        day = now // _MICROSECONDS_A_DAY
        tokens = (usage.input_tokens, usage.output_tokens)
        db.execute(_ADD_USAGE, (turn.project_id, turn.bot, day, int(is_over), *tokens))
