"""T3: what a turn leaves, in one commit, if its lease still holds.

Runs in the writer's thread only.
"""

from __future__ import annotations

import sqlite3

from gateway.domain.conversation import Message
from gateway.domain.turns import TERMINAL, Lease, TurnOutcome, TurnState
from gateway.store.protocol.turns import Committed
from gateway.store.rows import Row, clean, from_time, from_tool_calls, to_json, to_turn
from gateway.store.sqlite.lanes import Origin, add_deliveries
from gateway.store.sqlite.sessions import (
    Sheet,
    decline_waiting,
    load_sheet,
    refresh_ready,
    save_sheet,
)
from gateway.store.sqlite.transcript import add_message, turn_messages

_TURN = "SELECT * FROM turn_row WHERE project_id = ? AND turn_id = ?"
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
_SET_STATE = "UPDATE session SET state = ? WHERE project_id = ? AND session_id = ?"
_ADD_USAGE = """
INSERT INTO usage (project_id, bot, day, turns, input_tokens, output_tokens)
VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET turns = turns + excluded.turns,
                              input_tokens = input_tokens + excluded.input_tokens,
                              output_tokens = output_tokens + excluded.output_tokens
"""
_QUEUED_MESSAGE = """
SELECT 1 FROM turn
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'queued'
   AND kind = 'message' LIMIT 1
"""
_MICROSECONDS_A_DAY = 86_400 * 1_000_000


def finish_turn(
    db: sqlite3.Connection, lease: Lease, turn_id: str, outcome: TurnOutcome, now: int
) -> Committed:
    """Write the outcome and give the session back; a lost lease changes nothing."""
    sheet = load_sheet(db, lease.project_id, lease.session_id)
    turn = db.execute(_TURN, (lease.project_id, turn_id)).fetchone()
    if not _holds(sheet, lease) or sheet is None or turn is None or turn[5] != "running":
        return Committed(False, None if turn is None else to_turn(turn))
    state = _state(turn, outcome)
    _check(outcome, state, sheet)
    stored = _write_messages(db, sheet, turn, outcome, now)
    _write_turn(db, turn, outcome, state, stored=stored, now=now)
    has_deliveries = _write_deliveries(db, sheet, turn, outcome, now)
    _write_session(db, sheet, outcome, state, now)
    _count_usage(db, turn, outcome, state, now)
    row = db.execute(_TURN, (lease.project_id, turn_id)).fetchone()
    return Committed(
        True,
        to_turn(row, turn_messages(db, row)),
        has_deliveries=has_deliveries,
        has_more=sheet.queued > 0,
    )


def _holds(sheet: Sheet | None, lease: Lease) -> bool:
    return sheet is not None and sheet.epoch == lease.epoch and sheet.owner == lease.owner


def holds_lease(db: sqlite3.Connection, lease: Lease) -> bool:
    """Whether the lease is still the session's."""
    return _holds(load_sheet(db, lease.project_id, lease.session_id), lease)


def _state(turn: Row, outcome: TurnOutcome) -> TurnState:
    """Where the turn really goes: one that was to stop is not tried again, and does not wait."""
    is_going_on = outcome.state in {"queued", "waiting"}
    return "cancelled" if is_going_on and turn[18] else outcome.state


def _check(outcome: TurnOutcome, state: TurnState, sheet: Sheet) -> None:
    if outcome.state == "queued" and (outcome.messages or outcome.deliveries):
        raise ValueError("a turn that is tried again leaves neither messages nor deliveries")
    if outcome.deliveries and sheet.address_id is None:
        raise ValueError("deliveries need a session with an address")
    if state == "running":
        raise ValueError("an outcome ends the attempt: `running` is none")


def _write_messages(
    db: sqlite3.Connection, sheet: Sheet, turn: Row, outcome: TurnOutcome, now: int
) -> list[Message]:
    return [
        add_message(db, sheet, message, turn_id=turn[0], channel=turn[22] or sheet.row[4], now=now)
        for message in outcome.messages
    ]


def _write_turn(
    db: sqlite3.Connection,
    turn: Row,
    outcome: TurnOutcome,
    state: TurnState,
    *,
    stored: list[Message],
    now: int,
) -> None:
    error, usage = outcome.error, outcome.usage
    ready_at = now if outcome.retry_at is None else from_time(outcome.retry_at)
    db.execute(
        _FINISH,
        (
            state,
            now if state in TERMINAL else None,
            now if state == "waiting" else None,
            ready_at,
            0 if state in {"queued", "waiting"} else turn[8],
            0 if outcome.counts_attempt else 1,
            stored[0].seq if stored else None,
            stored[-1].seq if stored else None,
            len(outcome.deliveries),
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
            turn[1],
            turn[0],
        ),
    )


def _write_deliveries(
    db: sqlite3.Connection, sheet: Sheet, turn: Row, outcome: TurnOutcome, now: int
) -> bool:
    if not outcome.deliveries or sheet.address_id is None:
        return False
    origin = Origin(turn[1], turn[2], turn[0], sheet.address_id, first_part=turn[28])
    return add_deliveries(db, origin, outcome.deliveries, now)


def _write_session(
    db: sqlite3.Connection, sheet: Sheet, outcome: TurnOutcome, state: TurnState, now: int
) -> None:
    """Give the session back to the tail."""
    sheet.owner = None
    if state in TERMINAL:
        sheet.pending -= 1
    elif state == "queued":
        sheet.queued += 1
    key = (sheet.project_id, sheet.session_id)
    if sheet.waiting and sheet.queued and db.execute(_QUEUED_MESSAGE, key).fetchone():
        # The person has written on already: that declines the question.
        decline_waiting(db, sheet, now)
    if outcome.next_agent is not None and outcome.next_agent != sheet.agent:
        sheet.agent = outcome.next_agent
        sheet.version += 1
    if outcome.session_state is not None:
        db.execute(_SET_STATE, (to_json(outcome.session_state), *key))
        sheet.version += 1
    refresh_ready(db, sheet, now)
    save_sheet(db, sheet, now)


def _count_usage(
    db: sqlite3.Connection, turn: Row, outcome: TurnOutcome, state: TurnState, now: int
) -> None:
    usage = outcome.usage
    is_over = state in TERMINAL
    if is_over or usage.input_tokens or usage.output_tokens:
        day = now // _MICROSECONDS_A_DAY
        tokens = (usage.input_tokens, usage.output_tokens)
        db.execute(_ADD_USAGE, (turn[1], turn[6], day, int(is_over), *tokens))
