"""Fills a store with old conversations, straight into its tables: as the gateway leaves them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from gateway.domain.ids import (
    SessionId,
    TurnId,
    new_message_id,
    new_participant_id,
    new_session_id,
    new_turn_id,
)

TURNS_PER_SESSION = 5
TEXT = "An old message of an old conversation, about as long as such messages are."
SESSION = """
INSERT INTO session (project_id, session_id, bot, channel, participant_id, created_at, updated_at,
                     next_seq, next_message_seq, last_message_at)
VALUES ('default', ?, 'bench', 'api', ?, ?, ?, ?, ?, ?)
"""
TURN = """
INSERT INTO turn (project_id, turn_id, session_id, seq, kind, state, bot, channel, participant_id,
                  attempts, ready_at, created_at, started_at, finished_at, first_message,
                  last_message, final_agent, model)
VALUES ('default', ?, ?, ?, 'message', 'done', 'bench', 'api', ?, 1, ?, ?, ?, ?, ?, ?, 'Desk', 'm')
"""
MESSAGE = """
INSERT INTO message (project_id, session_id, seq, message_id, turn_id, role, is_internal, text,
                     is_incomplete, channel, created_at)
VALUES ('default', ?, ?, ?, ?, ?, 0, ?, 0, 'api', ?)
"""
PARTICIPANT = """
INSERT INTO participant (project_id, participant_id, created_at, updated_at)
VALUES ('default', ?, ?, ?)
"""


def fill(path: Path, *, messages: int) -> None:
    """Add that many messages, ten a session, to the store at `path`, which exists."""
    now = time.time_ns() // 1000
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    participant = new_participant_id()
    connection.execute(PARTICIPANT, (participant, now, now))
    for _ in range(messages // (2 * TURNS_PER_SESSION)):
        session = new_session_id()
        after = TURNS_PER_SESSION + 1
        ends = (now, now, after, 2 * TURNS_PER_SESSION + 1, now + 2 * TURNS_PER_SESSION)
        connection.execute(SESSION, (session, participant, *ends))
        turns = [(new_turn_id(), seq) for seq in range(1, after)]
        connection.executemany(
            TURN,
            [
                (turn, session, seq, participant, now, now, now, now, 2 * seq - 1, 2 * seq)
                for turn, seq in turns
            ],
        )
        connection.executemany(MESSAGE, _messages(session, turns, now))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _messages(
    session: SessionId, turns: list[tuple[TurnId, int]], now: int
) -> Iterator[tuple[object, ...]]:
    for turn, seq in turns:
        for offset, role in ((1, "user"), (0, "assistant")):
            number = 2 * seq - offset
            yield (session, number, new_message_id(), turn, role, TEXT, now + number)
