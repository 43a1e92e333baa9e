"""Keys and what they used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.domain.access import ApiKey
from gateway.domain.ids import KeyId, ProjectId


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key found by its hash; `by_previous` when the hash is the one before the rotation."""

    key: ApiKey
    by_previous: bool


class AccountStore(Protocol):
    """Keys."""

    async def add_key(self, key: ApiKey, *, key_hash: bytes) -> None:
        """Write a new key."""
        ...

    async def find_key(self, key_hash: bytes) -> FoundKey | None:
        """The key with that hash, revoked and expired ones included; None = none."""
        ...

    async def key(self, project_id: ProjectId | None, key_id: KeyId) -> ApiKey | None:
        """One key; project None = any (operators' commands)."""
        ...

    async def keys(self, project_id: ProjectId | None) -> list[ApiKey]:
        """All keys, oldest first; project None = of all projects."""
        ...

    async def change_key(
        self, project_id: ProjectId | None, key_id: KeyId, changes: Mapping[str, Any]
    ) -> ApiKey | None:
        """Replace fields of `ApiKey` by name; None = unknown."""
        ...

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
        ...

    async def revoke_key(
        self, project_id: ProjectId | None, key_id: KeyId, *, at: datetime
    ) -> ApiKey | None:
        """Close a key for good; a second call changes nothing. None = unknown."""
        ...
