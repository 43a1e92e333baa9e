"""Participants, their identities, and what callers keep about them."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from gateway.domain.ids import ParticipantId, ProjectId
from gateway.domain.people import IdentityKey, Participant
from gateway.errors import PreconditionFailed
from gateway.store.protocol.history import Page
from gateway.store.protocol.people import DataDocument
from gateway.store.rows import Row, clean, from_json, to_json, to_json_always, to_participant
from gateway.store.sqlite.area import Area
from gateway.store.sqlite.placement import find_or_make_identity, require_participant

_ONE = "SELECT * FROM participant_row WHERE project_id = ? AND participant_id = ?"
_IDENTITIES = """
SELECT identity_id, project_id, participant_id, platform, external_id, name, blocked, opted_out,
       created_at
  FROM identity INDEXED BY identity_by_participant
 WHERE project_id = ? AND participant_id = ?
 ORDER BY created_at, platform, external_id
"""
_IDENTITIES_OF_MANY = """
SELECT identity_id, project_id, participant_id, platform, external_id, name, blocked, opted_out,
       created_at
  FROM identity INDEXED BY identity_by_participant
 WHERE project_id = ? AND participant_id IN (SELECT value FROM json_each(?))
 ORDER BY created_at, platform, external_id
"""
_NEWEST = """
SELECT * FROM participant_row
 WHERE project_id = ? AND (created_at, participant_id) < (?, ?)
 ORDER BY created_at DESC, participant_id DESC LIMIT ?
"""
_OLDEST = """
SELECT * FROM participant_row
 WHERE project_id = ? AND (created_at, participant_id) > (?, ?)
 ORDER BY created_at, participant_id LIMIT ?
"""
_CHANGE = """
UPDATE participant SET name = ?, metadata = ?, updated_at = ?
 WHERE project_id = ? AND participant_id = ?
"""
_DATA = """
SELECT value, version FROM participant_data
 WHERE project_id = ? AND participant_id = ? AND agent = ?
"""
_PUT_DATA = """
INSERT INTO participant_data (project_id, participant_id, agent, value, version)
VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version
"""
_BEYOND_ALL = 2**62


class SqlitePeople(Area):
    """People, in one SQLite file."""

    async def put_participant(
        self,
        project_id: ProjectId,
        identity: IdentityKey,
        *,
        name: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> tuple[Participant, bool]:
        """Find or make the participant of an identity, merge name and data; True = it is new."""

        def operation(db: sqlite3.Connection) -> tuple[Participant, bool]:
            now = self._clock()
            participant_id, is_new = find_or_make_identity(db, project_id, identity, now)
            key = (project_id, participant_id)
            if name is not None:
                row = db.execute(_ONE, key).fetchone()
                db.execute(_CHANGE, (clean(name), row[3], now, *key))
            if data:
                kept = _read_data(db, (*key, ""))
                _write_data(db, (*key, ""), {**kept.value, **data}, kept.version + 1)
            return load_participant(db, key), is_new

        return await self._writer.run(operation)

    async def participant(
        self, project_id: ProjectId, participant_id: ParticipantId
    ) -> Participant | None:
        """One participant with identities, or None."""
        key = (project_id, participant_id)
        row = await self._readers.one(_ONE, key)
        if row is None:
            return None
        return to_participant(row, await self._readers.all(_IDENTITIES, key))

    async def participants(self, project_id: ProjectId, *, page: Page) -> list[Participant]:
        """Participants in the page's order."""
        is_newest_first = page.order == "desc"
        after = page.after or ((_BEYOND_ALL, "") if is_newest_first else (-1, ""))
        sql = _NEWEST if is_newest_first else _OLDEST
        rows = await self._readers.all(sql, (project_id, *after, page.limit))
        identities: dict[str, list[Row]] = defaultdict(list)
        wanted = (project_id, json.dumps([row[0] for row in rows]))
        for identity in await self._readers.all(_IDENTITIES_OF_MANY, wanted):
            identities[identity[2]].append(identity)
        return [to_participant(row, identities[row[0]]) for row in rows]

    async def change_participant(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Participant | None:
        """Change what is given (None = stays); None = unknown."""

        def operation(db: sqlite3.Connection) -> Participant | None:
            key = (project_id, participant_id)
            row = db.execute(_ONE, key).fetchone()
            if row is None:
                return None
            new_name = row[2] if name is None else clean(name)
            document = row[3] if metadata is None else to_json(metadata)
            db.execute(_CHANGE, (new_name, document, self._clock(), *key))
            return load_participant(db, key)

        return await self._writer.run(operation)

    async def data(
        self, project_id: ProjectId, participant_id: ParticipantId, *, agent: str | None = None
    ) -> DataDocument:
        """The document kept about a participant (and agent)."""
        row = await self._readers.one(_DATA, (project_id, participant_id, agent or ""))
        return DataDocument({}, 0) if row is None else DataDocument(from_json(row[0]), row[1])

    async def put_data(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        value: Mapping[str, Any],
        *,
        agent: str | None = None,
        if_version: int | None = None,
    ) -> DataDocument:
        """Replace the document; raises PreconditionFailed on another version, NotFound."""

        def operation(db: sqlite3.Connection) -> DataDocument:
            key = (project_id, require_participant(db, project_id, participant_id), agent or "")
            kept = _read_data(db, key)
            if if_version is not None and if_version != kept.version:
                raise PreconditionFailed("The document was changed meanwhile.")
            return _write_data(db, key, value, kept.version + 1)

        return await self._writer.run(operation)


def load_participant(db: sqlite3.Connection, key: tuple[str, str]) -> Participant:
    """The participant of (project, id), who is there."""
    row = db.execute(_ONE, key).fetchone()
    return to_participant(row, db.execute(_IDENTITIES, key).fetchall())


def _read_data(db: sqlite3.Connection, key: tuple[str, str, str]) -> DataDocument:
    row = db.execute(_DATA, key).fetchone()
    return DataDocument({}, 0) if row is None else DataDocument(from_json(row[0]), row[1])


def _write_data(
    db: sqlite3.Connection, key: tuple[str, str, str], value: Mapping[str, Any], version: int
) -> DataDocument:
    text = to_json_always(dict(value))
    db.execute(_PUT_DATA, (*key, text, version))
    return DataDocument(from_json(text), version)
