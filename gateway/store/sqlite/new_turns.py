"""Writing a turn with its messages and deliveries: queued, running at once, or already over.

Runs in the writer's thread only. The sheet of the session is changed, not saved.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gateway.domain.conversation import Message
from gateway.domain.delivery import NewDelivery
from gateway.domain.turns import TERMINAL, Turn, TurnError, TurnState
from gateway.store.protocol.inbox import Accepted, NewTurn
from gateway.store.rows import clean_or_none, from_options, to_time
from gateway.store.sqlite.lanes import Origin, add_deliveries
from gateway.store.sqlite.placement import Place
from gateway.store.sqlite.transcript import add_message

_INSERT = """
INSERT INTO turn (project_id, turn_id, session_id, seq, kind, state, bot, channel, participant_id,
                  attempts, crash_count, ready_at, source_order, group_id, created_at, started_at,
                  finished_at, first_message, last_message, parts, error_code, error_message,
                  error_retryable, options)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """What becomes of a turn when it is written, beside what the caller said about it."""

    state: TurnState
    ready_at: int
    error: TurnError | None = None
    messages: tuple[Message, ...] = ()
    deliveries: tuple[NewDelivery, ...] = ()
    is_command_answer: bool = False


def write_turn(
    db: sqlite3.Connection, new: NewTurn, place: Place, draft: Draft, now: int
) -> tuple[Accepted, tuple[Message, ...]]:
    """Write the turn at the end of its session; what is answered, and its messages as stored."""
    sheet = place.sheet
    seq = sheet.take_seq()
    messages = draft.messages if new.message is None else (new.message, *draft.messages)
    _insert(db, new, place, draft, seq=seq, count=len(messages), now=now)
    stored = tuple(
        [
            add_message(db, sheet, message, turn_id=new.turn_id, channel=new.channel, now=now)
            for message in messages
        ]
    )
    if draft.state not in TERMINAL:
        sheet.pending += 1
        sheet.queued += draft.state == "queued"
    if draft.deliveries and sheet.address_id is not None:
        origin = Origin(
            new.project_id,
            sheet.session_id,
            new.turn_id,
            sheet.address_id,
            is_command_answer=draft.is_command_answer,
        )
        add_deliveries(db, origin, draft.deliveries, now)
    accepted = Accepted(
        is_new=True,
        turn_id=new.turn_id,
        session_id=sheet.session_id,
        participant_id=place.participant_id,
        message_id=None if new.message is None else new.message.id,
        state=draft.state,
        turn=_turn(new, place, draft, seq=seq, now=now),
    )
    return accepted, stored


def _insert(
    db: sqlite3.Connection,
    new: NewTurn,
    place: Place,
    draft: Draft,
    *,
    seq: int,
    count: int,
    now: int,
) -> None:
    sheet, error = place.sheet, draft.error
    is_running = draft.state == "running"
    first = sheet.next_message_seq if count else None
    db.execute(
        _INSERT,
        (
            new.project_id,
            new.turn_id,
            sheet.session_id,
            seq,
            new.kind,
            draft.state,
            new.bot,
            new.channel,
            place.participant_id,
            int(is_running),
            int(is_running),
            draft.ready_at,
            new.source_order,
            clean_or_none(new.group_id),
            now,
            now if is_running else None,
            now if draft.state in TERMINAL else None,
            first,
            None if first is None else first + count - 1,
            len(draft.deliveries),
            None if error is None else error.code,
            None if error is None else error.message,
            error is not None and error.is_retryable,
            from_options(new.options),
        ),
    )


def _turn(new: NewTurn, place: Place, draft: Draft, *, seq: int, now: int) -> Turn:
    is_running, at = draft.state == "running", to_time(now)
    return Turn(
        id=new.turn_id,
        project_id=new.project_id,
        session_id=place.sheet.session_id,
        seq=seq,
        kind=new.kind,
        state=draft.state,
        bot=new.bot,
        attempts=int(is_running),
        crash_count=int(is_running),
        options=new.options,
        error=draft.error,
        participant_id=place.participant_id,
        channel=new.channel,
        created_at=at,
        started_at=at if is_running else None,
        finished_at=at if draft.state in TERMINAL else None,
    )
