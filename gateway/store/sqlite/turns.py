"""Turns at work: claim, heartbeat, finish, cancel, resume, tool calls and events."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from gateway.domain.conversation import ToolCall
from gateway.domain.ids import DeliveryId, ProjectId, TurnId
from gateway.domain.turns import ClaimedTurn, Lease, Turn, TurnOutcome
from gateway.errors import Conflict, Unprocessable
from gateway.store.protocol.inbox import ClaimTerms
from gateway.store.protocol.turns import (
    Committed,
    LeaseNews,
    OpenPart,
    StoredEvent,
    StoredToolResult,
)
from gateway.store.rows import (
    Row,
    clean,
    from_json,
    to_json_always,
    to_message,
    to_tool_calls,
    to_turn,
)
from gateway.store.sqlite.area import Area
from gateway.store.sqlite.cancelling import cancel_turn
from gateway.store.sqlite.claims import claim_sessions
from gateway.store.sqlite.columns import TurnAt
from gateway.store.sqlite.finish import finish_turn, holds_lease
from gateway.store.sqlite.opening import keep_open_ref, open_part
from gateway.store.sqlite.sessions import (
    keep_place,
    load_sheet,
    resume,
    save_sheet,
)

_TURN = "SELECT * FROM turn_row WHERE project_id = ? AND turn_id = ?"
_MESSAGES = """
SELECT * FROM message_row
 WHERE project_id = ? AND session_id = ? AND seq BETWEEN ? AND ? AND turn_id = ?
 ORDER BY seq
"""
_PROLONG = """
UPDATE session SET ready_at = ?
 WHERE project_id = ? AND session_id = ? AND owner = ? AND epoch = ?
"""
_TO_STOP = """
SELECT turn_id FROM turn INDEXED BY turn_unfinished
 WHERE project_id = ? AND session_id = ? AND finished_at IS NULL AND state = 'running'
   AND cancel_requested
"""
_RELEASE = """
UPDATE session SET ready_at = ?
 WHERE ready_at > ? AND owner IS NOT NULL AND owner NOT IN (SELECT value FROM json_each(?))
"""
_OVERDUE = """
SELECT project_id, session_id, turn_id FROM turn WHERE waiting_at < ? LIMIT 200
"""
_BEGIN_TOOL = """
INSERT INTO tool_call (project_id, turn_id, step, call_id, name, arguments, begun_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET call_id = excluded.call_id, name = excluded.name,
                              arguments = excluded.arguments, result = NULL, is_ok = 0,
                              begun_at = excluded.begun_at, ended_at = NULL
"""
_END_TOOL = """
UPDATE tool_call SET result = ?, is_ok = ?, ended_at = ?
 WHERE project_id = ? AND turn_id = ? AND step = ?
"""
_TOOLS = """
SELECT step, call_id, name, arguments, result, is_ok FROM tool_call
 WHERE project_id = ? AND turn_id = ? ORDER BY step
"""
_ADD_EVENT = """
INSERT INTO turn_event (project_id, turn_id, number, data, created_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (project_id, turn_id, number) DO NOTHING
"""
_EVENTS = """
SELECT number, data FROM turn_event WHERE project_id = ? AND turn_id = ? AND number > ?
 ORDER BY number
"""
_MICROSECONDS = 1_000_000


class SqliteTurns(Area):
    """Turns, their tool calls and their events, in one SQLite file."""

    async def claim(self, terms: ClaimTerms) -> list[ClaimedTurn]:
        """Take sessions with queued turns, longest ready first, and the next turn of each (T2)."""
        return await self._writer.run(
            lambda db: claim_sessions(db, terms, recent=self._recent, now=self._clock())
        )

    async def heartbeat(self, leases: Sequence[Lease], *, lease_s: float) -> LeaseNews:
        """Prolong leases."""

        def operation(db: sqlite3.Connection) -> LeaseNews:
            until = self._clock() + int(lease_s * _MICROSECONDS)
            lost: set[str] = set()
            to_stop: set[TurnId] = set()
            for lease in leases:
                key = (lease.project_id, lease.session_id)
                if not db.execute(_PROLONG, (until, *key, lease.owner, lease.epoch)).rowcount:
                    lost.add(lease.session_id)
                    continue
                to_stop.update(row[0] for row in db.execute(_TO_STOP, key).fetchall())
            return LeaseNews(frozenset(lost), frozenset(to_stop))

        return await self._writer.run(operation)

    async def release_abandoned(self, *, living: Sequence[str]) -> int:
        """Make sessions whose lease owner no longer lives ready at once; how many."""
        owners = json.dumps(list(living))

        def operation(db: sqlite3.Connection) -> int:
            now = self._clock()
            return db.execute(_RELEASE, (now, now, owners)).rowcount

        return await self._writer.run(operation)

    async def commit_turn(self, lease: Lease, turn_id: TurnId, outcome: TurnOutcome) -> Committed:
        """Write what a turn leaves and give the session back to the tail (T3)."""
        return await self._writer.run(
            lambda db: finish_turn(
                db, lease, turn_id, outcome, recent=self._recent, now=self._clock()
            )
        )

    async def open_part(
        self, lease: Lease, turn_id: TurnId, *, delivery_id: DeliveryId
    ) -> OpenPart | None:
        """Take the next place of the lane for a message that will grow (T2b); None = not now."""
        return await self._writer.run(
            lambda db: open_part(db, lease, turn_id, delivery_id, self._clock())
        )

    async def keep_open_ref(
        self, lease: Lease, delivery_id: DeliveryId, *, open_ref: str | None
    ) -> bool:
        """Store where the platform shows an opened message; False without the lease."""
        return await self._writer.run(lambda db: keep_open_ref(db, lease, delivery_id, open_ref))

    async def begin_tool(self, lease: Lease, turn_id: TurnId, *, step: int, call: ToolCall) -> bool:
        """Write that a call is about to be made; False, and nothing, without the lease."""

        def operation(db: sqlite3.Connection) -> bool:
            if not holds_lease(db, lease):
                return False
            stored = (clean(call.id), clean(call.name), clean(call.arguments))
            key = (lease.project_id, turn_id, step)
            db.execute(_BEGIN_TOOL, (*key, *stored, self._clock()))
            return True

        return await self._writer.run(operation)

    async def end_tool(
        self, lease: Lease, turn_id: TurnId, *, step: int, result: str, is_ok: bool
    ) -> None:
        """Write what came back; without the lease nothing is written."""

        def operation(db: sqlite3.Connection) -> None:
            if holds_lease(db, lease):
                key = (lease.project_id, turn_id, step)
                db.execute(_END_TOOL, (clean(result), is_ok, self._clock(), *key))

        await self._writer.run(operation)

    async def tool_results(
        self, project_id: ProjectId, turn_id: TurnId
    ) -> Mapping[int, StoredToolResult]:
        """Tool calls of earlier attempts by step."""
        rows = await self._readers.all(_TOOLS, (project_id, turn_id))
        return {row[0]: to_tool_result(row) for row in rows}

    async def request_cancel(self, project_id: ProjectId, turn_id: TurnId) -> Turn | None:
        """Cancel a queued or waiting turn at once, ask a running one to stop; None = unknown."""
        return await self._writer.run(
            lambda db: cancel_turn(db, project_id, turn_id, self._clock())
        )

    async def resume_turn(
        self, project_id: ProjectId, turn_id: TurnId, *, results: Mapping[str, str]
    ) -> Turn | None:
        """Queue a waiting turn again with the caller's tool results; None = unknown."""
        return await self._writer.run(
            lambda db: _resume(db, (project_id, turn_id), results, self._clock())
        )

    async def expire_waiting(self, *, after_s: float) -> int:
        """Queue turns that have waited for so long; their calls have no result: declined."""

        def operation(db: sqlite3.Connection) -> int:
            now = self._clock()
            overdue = db.execute(_OVERDUE, (now - int(after_s * _MICROSECONDS),)).fetchall()
            for project_id, session_id, turn_id in overdue:
                _queue_again(db, (project_id, session_id, turn_id), {}, now)
            return len(overdue)

        return await self._writer.run(operation)

    async def turn(
        self, project_id: ProjectId, turn_id: TurnId, *, with_messages: bool = False
    ) -> Turn | None:
        """One turn, or None."""
        row = await self._readers.one(_TURN, (project_id, turn_id))
        if row is None:
            return None
        if not with_messages or row[TurnAt.FIRST_MESSAGE] is None:
            return to_turn(row)
        rows = await self._readers.all(
            _MESSAGES,
            (
                project_id,
                row[TurnAt.SESSION_ID],
                row[TurnAt.FIRST_MESSAGE],
                row[TurnAt.LAST_MESSAGE],
                turn_id,
            ),
        )
        return to_turn(row, tuple([to_message(message) for message in rows]))

    async def add_events(
        self, project_id: ProjectId, turn_id: TurnId, events: Sequence[StoredEvent]
    ) -> None:
        """Keep events of a running turn for readers elsewhere or later; known numbers stay."""

        def operation(db: sqlite3.Connection) -> None:
            now = self._clock()
            if db.execute(_TURN, (project_id, turn_id)).fetchone() is not None:
                for event in events:
                    data = to_json_always(event.data)
                    db.execute(_ADD_EVENT, (project_id, turn_id, event.number, data, now))

        await self._writer.run(operation)

    async def events(
        self, project_id: ProjectId, turn_id: TurnId, *, after: int
    ) -> list[StoredEvent]:
        """Kept events with a number above `after`, in order."""
        rows = await self._readers.all(_EVENTS, (project_id, turn_id, after))
        return [StoredEvent(row[0], from_json(row[1])) for row in rows]


def to_tool_result(row: Row) -> StoredToolResult:
    """A row of (step, call id, name, arguments, result, is_ok) as a stored tool call."""
    return StoredToolResult(ToolCall(row[1], row[2], row[3]), row[4], bool(row[5]))


def _resume(
    db: sqlite3.Connection, key: tuple[str, str], results: Mapping[str, str], now: int
) -> Turn | None:
    row = db.execute(_TURN, key).fetchone()
    if row is None:
        return None
    if row[TurnAt.STATE] != "waiting":
        raise Conflict("This turn does not wait for results.", code="already_completed")
    wanted = [call.id for call in to_tool_calls(row[TurnAt.TOOL_CALLS])]
    missing = [call_id for call_id in wanted if call_id not in results]
    if missing:
        raise Unprocessable(f"There is no result for the calls {', '.join(missing)}.")
    kept = {call_id: clean(results[call_id]) for call_id in wanted}
    _queue_again(db, (key[0], row[TurnAt.SESSION_ID], key[1]), kept, now)
    return to_turn(db.execute(_TURN, key).fetchone())


def _queue_again(
    db: sqlite3.Connection, key: tuple[str, str, str], results: dict[str, str], now: int
) -> None:
    """Queue the waiting turn (project, session, turn) again."""
    project_id, session_id, turn_id = key
    sheet = load_sheet(db, project_id, session_id)
    if sheet is not None:
        resume(db, sheet, turn_id, results, now)
        if sheet.owner is None:
            keep_place(db, sheet, now)
        save_sheet(db, sheet, now)
