"""Sessions and messages for readers, and the changes callers make to a session."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.domain.conversation import Message, Session
from gateway.domain.delivery import DeliveryStatus, DeliveryView, shown_status
from gateway.domain.ids import ProjectId, SessionId, TurnId
from gateway.errors import Conflict, PreconditionFailed
from gateway.store.protocol.history import (
    NewSession,
    Page,
    SessionChanges,
    SessionFilter,
    TurnTrace,
)
from gateway.store.rows import (
    Row,
    clean,
    clean_or_none,
    from_time,
    to_delivery,
    to_json,
    to_message,
    to_session,
    to_turn,
)
from gateway.store.sqlite.area import Area
from gateway.store.sqlite.erasing import erase_session
from gateway.store.sqlite.lanes import put_address
from gateway.store.sqlite.placement import require_participant
from gateway.store.sqlite.sessions import load_sheet, save_sheet
from gateway.store.sqlite.turns import to_tool_result

_SESSION = "SELECT * FROM session_row WHERE project_id = ? AND session_id = ?"
_ADD = """
INSERT INTO session (project_id, session_id, bot, channel, participant_id, address_id, agent, title,
                     metadata, state, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SET_CURRENT = "UPDATE address SET session_id = ? WHERE address_id = ?"
_CHANGE = """
UPDATE session SET title = ?, metadata = ?, state = ?, tags = ?
 WHERE project_id = ? AND session_id = ?
"""
_DOCUMENTS = (
    "SELECT title, metadata, state, tags FROM session_row WHERE project_id = ? AND session_id = ?"
)
_DROP_TAGS = "DELETE FROM session_tag WHERE project_id = ? AND session_id = ?"
_ADD_TAG = "INSERT INTO session_tag (project_id, tag, session_id) VALUES (?, ?, ?)"

# A list of sessions: the conditions that were asked for, then the order.
_LIST = "SELECT * FROM session_row AS s WHERE s.project_id = ?1"
_CONDITIONS = {
    "participant_id": "AND s.participant_id = ?2",
    "channel": "AND s.channel = ?3",
    "bot": "AND s.bot = ?4",
    "bots": "AND s.bot IN (SELECT value FROM json_each(?5))",
    "agent": "AND s.agent = ?6",
    "status": "AND (s.ended_at IS NOT NULL) = (?7 = 'ended')",
    "tag": "AND s.session_id IN"
    " (SELECT t.session_id FROM session_tag AS t WHERE t.project_id = ?1 AND t.tag = ?8)",
    "updated_after": "AND s.updated_at > ?9",
    "updated_before": "AND s.updated_at < ?10",
}
_ORDERS = {
    "desc": "AND (s.created_at, s.session_id) < (?11, ?12)"
    " ORDER BY s.created_at DESC, s.session_id DESC LIMIT ?13",
    "asc": "AND (s.created_at, s.session_id) > (?11, ?12)"
    " ORDER BY s.created_at, s.session_id LIMIT ?13",
}
_NEWEST_MESSAGES = """
SELECT * FROM message_row
 WHERE project_id = ? AND session_id = ? AND seq < ? AND is_internal <= ?
 ORDER BY seq DESC LIMIT ?
"""
_OLDEST_MESSAGES = """
SELECT * FROM message_row
 WHERE project_id = ? AND session_id = ? AND seq > ? AND is_internal <= ?
 ORDER BY seq LIMIT ?
"""
_STATES = """
SELECT message_id, state, receipt, provider_id, error FROM outbox
 WHERE project_id = ? AND turn_id IN (SELECT value FROM json_each(?)) AND message_id IS NOT NULL
 ORDER BY part_no
"""
_FIND_PROJECT = """
WITH RECURSIVE known (project_id) AS (
    SELECT min(project_id) FROM session
     UNION ALL
    SELECT (SELECT min(project_id) FROM session WHERE project_id > known.project_id)
      FROM known WHERE known.project_id IS NOT NULL
)
SELECT project_id FROM known AS p
 WHERE EXISTS (SELECT 1 FROM session AS s WHERE s.project_id = p.project_id AND s.session_id = ?1)
    OR EXISTS (SELECT 1 FROM turn AS t WHERE t.project_id = p.project_id AND t.turn_id = ?1)
    OR EXISTS (SELECT 1 FROM message AS m WHERE m.project_id = p.project_id AND m.message_id = ?1)
    OR p.project_id = (SELECT o.project_id FROM outbox AS o WHERE o.delivery_id = ?1)
"""
_TURN_OF = """
SELECT turn_id FROM message WHERE project_id = ?1 AND message_id = ?2
 UNION ALL
SELECT turn_id FROM outbox WHERE project_id = ?1 AND delivery_id = ?2
"""
_TURNS = """
SELECT * FROM turn_row
 WHERE project_id = ?1 AND session_id = ?2 AND (?3 IS NULL OR turn_id = ?3) ORDER BY seq
"""
_TURN_MESSAGES = """
SELECT * FROM message_row
 WHERE project_id = ?1 AND session_id = ?2 AND (?3 IS NULL OR turn_id = ?3) ORDER BY seq
"""
_TURN_DELIVERIES = """
SELECT * FROM delivery_row
 WHERE project_id = ? AND turn_id IN (SELECT value FROM json_each(?)) ORDER BY turn_id, part_no
"""
_TURN_TOOLS = """
SELECT step, call_id, name, arguments, result, is_ok, turn_id FROM tool_call
 WHERE project_id = ? AND turn_id IN (SELECT value FROM json_each(?)) ORDER BY turn_id, step
"""
_BEYOND_ALL = 2**62
_PROGRESS: tuple[DeliveryStatus, ...] = ("failed", "pending", "sent", "delivered", "read")


class SqliteHistory(Area):
    """Sessions and messages, in one SQLite file."""

    async def create_session(self, new: NewSession) -> Session:
        """Write a session; raises NotFound (participant) and Conflict (`session_exists`)."""
        return await self._writer.run(lambda db: _create(db, new, self._clock()))

    async def session(self, project_id: ProjectId, session_id: SessionId) -> Session | None:
        """One session, or None."""
        row = await self._readers.one(_SESSION, (project_id, session_id))
        return None if row is None else to_session(row)

    async def find_project(self, identifier: str) -> ProjectId | None:
        """The project of a session, turn, message or delivery id; for operators' commands only."""
        row = await self._readers.one(_FIND_PROJECT, (identifier,))
        return None if row is None else row[0]

    async def turn_of(self, project_id: ProjectId, identifier: str) -> TurnId | None:
        """The turn that a message or delivery id belongs to; for operators' commands only."""
        row = await self._readers.one(_TURN_OF, (project_id, identifier))
        return None if row is None else row[0]

    async def sessions(
        self, project_id: ProjectId, which: SessionFilter, *, page: Page
    ) -> list[Session]:
        """Sessions in the page's order."""
        asked = [sql for name, sql in _CONDITIONS.items() if getattr(which, name)]
        after = page.after or ((_BEYOND_ALL, "") if page.order == "desc" else (-1, ""))
        parameters = (
            project_id,
            which.participant_id,
            which.channel,
            which.bot,
            json.dumps(sorted(which.bots)),
            which.agent,
            which.status,
            which.tag,
            which.updated_after and from_time(which.updated_after),
            which.updated_before and from_time(which.updated_before),
            *after,
            page.limit,
        )
        rows = await self._readers.all(" ".join((_LIST, *asked, _ORDERS[page.order])), parameters)
        return [to_session(row) for row in rows]

    async def change_session(
        self,
        project_id: ProjectId,
        session_id: SessionId,
        changes: SessionChanges,
        *,
        if_version: int | None = None,
    ) -> Session | None:
        """Change a session; None = unknown. Raises PreconditionFailed on another version."""

        def operation(db: sqlite3.Connection) -> Session | None:
            sheet = load_sheet(db, project_id, session_id)
            if sheet is None:
                return None
            if if_version is not None and sheet.version != if_version:
                raise PreconditionFailed("The session was changed meanwhile.")
            if "agent" in changes.fields:
                sheet.agent = changes.agent
            _change_documents(db, (project_id, session_id), changes)
            sheet.version += 1
            save_sheet(db, sheet, self._clock())
            return to_session(db.execute(_SESSION, (project_id, session_id)).fetchone())

        return await self._writer.run(operation)

    async def end_session(
        self, project_id: ProjectId, session_id: SessionId, *, reason: str
    ) -> Session | None:
        """End a session; a second call changes nothing. None = unknown."""

        def operation(db: sqlite3.Connection) -> Session | None:
            sheet = load_sheet(db, project_id, session_id)
            if sheet is None:
                return None
            if sheet.ended_at is None:
                now = self._clock()
                sheet.end(clean(reason), now)
                save_sheet(db, sheet, now)
            return sheet.session()

        return await self._writer.run(operation)

    async def delete_session(self, project_id: ProjectId, session_id: SessionId) -> bool:
        """Remove a session with all its rows; False = unknown."""

        def operation(db: sqlite3.Connection) -> bool:
            self._recent.forget()
            return erase_session(db, project_id, session_id, self._clock())

        return await self._writer.run(operation)

    async def messages(
        self,
        project_id: ProjectId,
        session_id: SessionId,
        *,
        page: Page,
        with_internal: bool = False,
    ) -> list[Message]:
        """Messages with their delivery state, in the page's order."""
        is_newest_first = page.order == "desc"
        sql = _NEWEST_MESSAGES if is_newest_first else _OLDEST_MESSAGES
        after = page.after[0] if page.after else (_BEYOND_ALL if is_newest_first else 0)
        rows = await self._readers.all(
            sql, (project_id, session_id, after, int(with_internal), page.limit)
        )
        return await self._with_deliveries(project_id, [to_message(row) for row in rows])

    async def traces(
        self, project_id: ProjectId, session_id: SessionId, *, turn_id: TurnId | None = None
    ) -> list[TurnTrace]:
        """What happened in the turns of a session (or one of them), oldest first."""
        key = (project_id, session_id, turn_id)
        turns = await self._readers.all(_TURNS, key)
        ids = json.dumps([row[0] for row in turns])
        found = [to_message(row) for row in await self._readers.all(_TURN_MESSAGES, key)]
        messages: dict[Any, list[Message]] = defaultdict(list)
        for message in await self._with_deliveries(project_id, found):
            messages[message.turn_id].append(message)
        deliveries = _by(await self._readers.all(_TURN_DELIVERIES, (project_id, ids)), 3)
        tools = _by(await self._readers.all(_TURN_TOOLS, (project_id, ids)), 6)
        return [
            TurnTrace(
                to_turn(row, tuple(messages[row[0]])),
                [to_tool_result(tool) for tool in tools[row[0]]],
                [to_delivery(delivery) for delivery in deliveries[row[0]]],
            )
            for row in turns
        ]

    async def _with_deliveries(
        self, project_id: ProjectId, messages: list[Message]
    ) -> list[Message]:
        turns = {message.turn_id for message in messages if message.role != "user"}
        if not turns:
            return messages
        ids = json.dumps(sorted(turn for turn in turns if turn))
        parts = _by(await self._readers.all(_STATES, (project_id, ids)), 0)
        return [
            replace(message, delivery=_view(parts[message.id])) if message.id in parts else message
            for message in messages
        ]


def _create(db: sqlite3.Connection, new: NewSession, now: int) -> Session:
    participant_id = require_participant(db, new.project_id, new.participant_id)
    if load_sheet(db, new.project_id, new.id) is not None:
        raise Conflict("There is a session with this id already.", code="session_exists")
    address_id, address = None, new.address
    if address is not None:
        place = (address.channel, new.account or "", clean(address.chat), address.thread or "")
        address_id = put_address(db, (new.project_id, *place), now)[0]
    db.execute(
        _ADD,
        (
            new.project_id,
            new.id,
            new.bot,
            new.channel,
            participant_id,
            address_id,
            new.agent,
            clean_or_none(new.title),
            to_json(new.metadata),
            to_json(new.state),
            now,
            now,
        ),
    )
    if address_id is not None:
        db.execute(_SET_CURRENT, (new.id, address_id))
    return to_session(db.execute(_SESSION, (new.project_id, new.id)).fetchone())


def _change_documents(
    db: sqlite3.Connection, key: tuple[str, str], changes: SessionChanges
) -> None:
    fields = changes.fields
    title, metadata, state, tags = db.execute(_DOCUMENTS, key).fetchone()
    if "title" in fields:
        title = clean_or_none(changes.title)
    if "metadata" in fields:
        metadata = to_json(changes.metadata)
    if "state" in fields:
        state = to_json(changes.state)
    if "tags" in fields:
        unique = sorted(set(changes.tags))
        tags = to_json(unique)
        db.execute(_DROP_TAGS, key)
        db.executemany(_ADD_TAG, [(key[0], tag, key[1]) for tag in unique])
    db.execute(_CHANGE, (title, metadata, state, tags, *key))


def _by(rows: Sequence[Row], column: int) -> dict[str, list[Row]]:
    """Rows in groups of the same value in a column."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups


def _view(parts: Sequence[Row]) -> DeliveryView:
    """What is said of a message that went out in parts: the one that fared worst."""
    worst = min(parts, key=lambda part: _PROGRESS.index(shown_status(part[1], part[2])))
    return DeliveryView(shown_status(worst[1], worst[2]), parts[0][3], worst[4])
