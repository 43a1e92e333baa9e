"""How people stand: linked and merged participants, codes, blocks, consent."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime

from gateway.domain.ids import ParticipantId, ProjectId, SessionId
from gateway.domain.people import Participant
from gateway.errors import Conflict
from gateway.store.protocol.people import Standing
from gateway.store.rows import to_time
from gateway.store.sqlite.area import Area
from gateway.store.sqlite.cancelling import cancel_turns
from gateway.store.sqlite.clock import MICROSECONDS
from gateway.store.sqlite.consent import Person, block, opt_out
from gateway.store.sqlite.linking import merge
from gateway.store.sqlite.people import load_participant
from gateway.store.sqlite.placement import require_participant
from gateway.store.sqlite.sessions import load_sheet, save_sheet

_CURRENT = """
SELECT participant_id FROM participant WHERE project_id = ?1 AND participant_id = ?2
 UNION ALL
SELECT participant_id FROM participant_alias WHERE project_id = ?1 AND alias_id = ?2
"""
# A handful of projects, each looked into by key.
_FIND = """
WITH RECURSIVE known (project_id) AS (
    SELECT min(project_id) FROM participant
     UNION ALL
    SELECT (SELECT min(project_id) FROM participant WHERE project_id > known.project_id)
      FROM known WHERE known.project_id IS NOT NULL
)
SELECT known.project_id, coalesce(
         (SELECT participant_id FROM participant AS own
           WHERE own.project_id = known.project_id AND own.participant_id = ?1),
         (SELECT participant_id FROM participant_alias AS former
           WHERE former.project_id = known.project_id AND former.alias_id = ?1)) AS found
  FROM known WHERE found IS NOT NULL
"""
_DROP_ENDED = "DELETE FROM link_code WHERE expires_at <= ?"
_DROP_FORMER = """
DELETE FROM link_code INDEXED BY link_code_by_participant
 WHERE project_id = ? AND participant_id = ? AND redeemed_by IS NULL
"""
_ADD_CODE = """
INSERT INTO link_code (project_id, code_hash, participant_id, expires_at) VALUES (?, ?, ?, ?)
"""
_PEOPLE = """
SELECT project_id, platform, external_id FROM identity INDEXED BY identity_by_participant
 WHERE project_id = ? AND participant_id = ?
"""
_AT_WORK = """
SELECT session_id FROM session INDEXED BY session_by_participant
 WHERE project_id = ? AND participant_id = ? AND pending > 0 AND address_id IS NULL
"""
_TOUCH = "UPDATE participant SET updated_at = ? WHERE project_id = ? AND participant_id = ?"


class SqlitePeopleStanding(Area):
    """How people stand, in one SQLite file."""

    async def current_participant(
        self, project_id: ProjectId, participant_id: ParticipantId
    ) -> ParticipantId | None:
        """The id itself, or whom it was merged into; None = there is no such participant."""
        row = await self._readers.one(_CURRENT, (project_id, participant_id))
        return None if row is None else row[0]

    async def find_participant(
        self, participant_id: ParticipantId
    ) -> tuple[ProjectId, ParticipantId] | None:
        """The project of a participant and their present id; for operators' commands only."""
        row = await self._readers.one(_FIND, (participant_id,))
        return None if row is None else (row[0], row[1])

    async def add_link_code(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        *,
        code_hash: bytes,
        life_s: float,
    ) -> datetime:
        """Store a code by which another identity becomes this participant; when it ends."""

        def operation(db: sqlite3.Connection) -> datetime:
            now, owner = self._clock(), require_participant(db, project_id, participant_id)
            expires_at = now + int(life_s * MICROSECONDS)
            db.execute(_DROP_ENDED, (now,))
            db.execute(_DROP_FORMER, (project_id, owner))
            db.execute(_ADD_CODE, (project_id, code_hash, owner, expires_at))
            return to_time(expires_at)

        return await self._writer.run(operation)

    async def merge_participants(
        self, project_id: ProjectId, source: ParticipantId, *, into: ParticipantId
    ) -> Participant:
        """Make one participant of two; again changes nothing. Raises NotFound, Conflict."""

        def operation(db: sqlite3.Connection) -> Participant:
            target = require_participant(db, project_id, into)
            merged = require_participant(db, project_id, source)
            if source == into:
                raise Conflict("A participant cannot be merged into itself.")
            if merged != target:
                merge(db, project_id, merged, target, now=self._clock())
            return load_participant(db, (project_id, target))

        return await self._writer.run(operation)

    async def set_blocked(
        self, project_id: ProjectId, participant_id: ParticipantId, *, is_blocked: bool
    ) -> Standing:
        """Block or unblock every identity of a participant; raises NotFound."""

        def change(db: sqlite3.Connection, people: list[Person], now: int) -> tuple[SessionId, ...]:
            return tuple(
                session_id
                for person in people
                for session_id in block(db, person, is_blocked=is_blocked, now=now)
            )

        return await self._change_standing(
            project_id, participant_id, change, stops_calls=is_blocked
        )

    async def set_opted_out(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        *,
        is_opted_out: bool,
        platform: str | None = None,
    ) -> Standing:
        """Note whether a participant wants messages (on that platform); raises NotFound."""

        def change(db: sqlite3.Connection, people: list[Person], now: int) -> tuple[SessionId, ...]:
            return tuple(
                session_id
                for person in people
                if platform in (None, person[1])
                for session_id in opt_out(db, person, is_opted_out=is_opted_out, now=now)
            )

        return await self._change_standing(project_id, participant_id, change, stops_calls=False)

    async def _change_standing(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        change: Callable[[sqlite3.Connection, list[Person], int], tuple[SessionId, ...]],
        *,
        stops_calls: bool,
    ) -> Standing:
        """Change the identities of a participant; `stops_calls`: also what has no address."""

        def operation(db: sqlite3.Connection) -> Standing:
            now = self._clock()
            key = (project_id, require_participant(db, project_id, participant_id))
            stops = change(db, db.execute(_PEOPLE, key).fetchall(), now)
            if stops_calls:
                stops += _stop_calls(db, key, now)
            db.execute(_TOUCH, (now, *key))
            return Standing(load_participant(db, key), stops)

        return await self._writer.run(operation)


def _stop_calls(db: sqlite3.Connection, key: tuple[str, str], now: int) -> tuple[SessionId, ...]:
    """Stop what a participant's sessions without an address have to do."""
    stopped = [row[0] for row in db.execute(_AT_WORK, key).fetchall()]
    for session_id in stopped:
        sheet = load_sheet(db, key[0], session_id)
        if sheet is not None:
            cancel_turns(db, sheet, now)
            save_sheet(db, sheet, now)
    return tuple(stopped)
