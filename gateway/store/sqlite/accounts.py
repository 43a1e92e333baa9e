"""Keys: stored by the hash of their text, with a record of every change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.domain.access import ApiKey
from gateway.domain.ids import KeyId, ProjectId
from gateway.store.key_rows import from_key, to_key
from gateway.store.protocol.accounts import FoundKey
from gateway.store.rows import from_time, to_json
from gateway.store.sqlite.area import Area

_ADD = """
INSERT INTO api_key (project_id, key_id, key_hash, created_at, fields) VALUES (?, ?, ?, ?, ?)
"""
_BY_HASH = """
SELECT fields, 0 FROM api_key WHERE key_hash = ?1
 UNION ALL
SELECT fields, 1 FROM api_key WHERE previous_hash = ?1
"""
_ONE = "SELECT fields FROM api_key WHERE key_id = ?1 AND (?2 IS NULL OR project_id = ?2)"
_ALL = """
SELECT fields FROM api_key WHERE ?1 IS NULL OR project_id = ?1 ORDER BY created_at, key_id
"""
_CHANGE = "UPDATE api_key SET fields = ? WHERE key_id = ?"
_ROTATE = "UPDATE api_key SET previous_hash = key_hash, key_hash = ? WHERE key_id = ?"
_AUDIT = "INSERT INTO audit (project_id, action, target, detail, at) VALUES (?, ?, ?, ?, ?)"
_UNREMARKABLE = frozenset({"last_used_at"})


class SqliteAccounts(Area):
    """Keys, in one SQLite file."""

    async def add_key(self, key: ApiKey, *, key_hash: bytes) -> None:
        """Write a new key."""

        def operation(db: sqlite3.Connection) -> None:
            created_at = from_time(key.created_at)
            db.execute(_ADD, (key.project_id, key.id, key_hash, created_at, from_key(key)))
            self._audit(db, key, "key_created", {"kind": key.kind, "role": key.role})

        await self._writer.run(operation)

    async def find_key(self, key_hash: bytes) -> FoundKey | None:
        """The key with that hash, revoked and expired ones included; None = none."""
        row = await self._readers.one(_BY_HASH, (key_hash,))
        return None if row is None else FoundKey(to_key(row[0]), bool(row[1]))

    async def key(self, project_id: ProjectId | None, key_id: KeyId) -> ApiKey | None:
        """One key; project None = any (operators' commands)."""
        row = await self._readers.one(_ONE, (key_id, project_id))
        return None if row is None else to_key(row[0])

    async def keys(self, project_id: ProjectId | None) -> list[ApiKey]:
        """All keys, oldest first; project None = of all projects."""
        return [to_key(row[0]) for row in await self._readers.all(_ALL, (project_id,))]

    async def change_key(
        self, project_id: ProjectId | None, key_id: KeyId, changes: Mapping[str, Any]
    ) -> ApiKey | None:
        """Replace fields of `ApiKey` by name; None = unknown."""

        def change(key: ApiKey) -> ApiKey:
            return replace(key, **changes)

        is_remarkable = not _UNREMARKABLE.issuperset(changes)
        action = "key_changed" if is_remarkable else None
        detail = {"fields": sorted(changes)}
        return await self._change(project_id, key_id, change, action=action, detail=detail)

    async def rotate_key(
        self,
        project_id: ProjectId | None,
        key_id: KeyId,
        *,
        key_hash: bytes,
        hint: str,
        previous_until: datetime,
    ) -> ApiKey | None:
        """Give a key a new secret; the old one opens until `previous_until`. None = unknown."""

        def change(key: ApiKey) -> ApiKey:
            return replace(key, hint=hint, previous_until=previous_until)

        return await self._change(
            project_id, key_id, change, action="key_rotated", new_hash=key_hash
        )

    async def revoke_key(
        self, project_id: ProjectId | None, key_id: KeyId, *, at: datetime
    ) -> ApiKey | None:
        """Close a key for good; a second call changes nothing. None = unknown."""

        def change(key: ApiKey) -> ApiKey:
            return replace(key, revoked_at=key.revoked_at or at)

        return await self._change(project_id, key_id, change, action="key_revoked")

    async def _change(
        self,
        project_id: ProjectId | None,
        key_id: KeyId,
        change: Callable[[ApiKey], ApiKey],
        *,
        action: str | None,
        detail: Mapping[str, Any] | None = None,
        new_hash: bytes | None = None,
    ) -> ApiKey | None:
        def operation(db: sqlite3.Connection) -> ApiKey | None:
            row = db.execute(_ONE, (key_id, project_id)).fetchone()
            if row is None:
                return None
            before = to_key(row[0])
            after = change(before)
            if after == before and new_hash is None:
                return after
            db.execute(_CHANGE, (from_key(after), key_id))
            if new_hash is not None:
                db.execute(_ROTATE, (new_hash, key_id))
            if action is not None:
                self._audit(db, after, action, detail)
            return after

        return await self._writer.run(operation)

    def _audit(
        self, db: sqlite3.Connection, key: ApiKey, action: str, detail: Mapping[str, Any] | None
    ) -> None:
        db.execute(_AUDIT, (key.project_id, action, key.id, to_json(detail), self._clock()))
