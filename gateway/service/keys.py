"""KeyService: make, list, change, rotate and close keys.

The text of a key is shown once and only its hash is stored. Nobody gives away more than they have.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.domain.access import (
    DEFAULT_SCOPES,
    PREFIXES,
    ApiKey,
    KeyKind,
    KeyLimits,
    Principal,
    Role,
    Scope,
    hash_key,
    key_text,
)
from gateway.domain.ids import KeyId, ProjectId, new_key_id
from gateway.errors import Conflict, Forbidden, NotFound
from gateway.service.access import AccessService
from gateway.service.signing import Signer
from gateway.store.protocol import Store

MAX_OVERLAP = timedelta(days=7)
HINT_LETTERS = 6

_KIND_SCOPES: dict[KeyKind, frozenset[Scope]] = {
    "publishable": frozenset({"widget"}),
    "conversation": frozenset({"conversation"}),
}
"""Kinds of keys whose scopes nobody chooses."""

_VIEWER_SCOPES: frozenset[Scope] = frozenset(
    {
        "agents:read",
        "channels:read",
        "chat",
        "events:read",
        "files:read",
        "participants:read",
        "sessions:read",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What a key shall be. `scopes` None = what its kind has by default."""

    name: str = "key"
    kind: KeyKind = "secret"
    role: Role | None = None
    scopes: frozenset[Scope] | None = None
    bots: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()
    limits: KeyLimits = field(default_factory=KeyLimits)
    owner: str | None = None
    workspace: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key with its text, which nobody will see again.

    `nonce` leads back to the text together with the server's secret (`KeyService.text`): an answer
    that must be given twice keeps the nonce and never the key.
    """

    key: ApiKey
    text: str
    nonce: str


class KeyService:
    """Keys of projects."""

    def __init__(self, store: Store, signer: Signer, *, access: AccessService) -> None:
        self._store = store
        self._signer = signer
        self._access = access

    async def create(self, project_id: ProjectId, new: NewKey) -> MadeKey:
        """Make a key; it opens as soon as this returns."""
        kind = _kind(new)
        nonce, text = self._fresh(kind)
        key = ApiKey(
            id=new_key_id(),
            project_id=project_id,
            kind=kind,
            name=new.name,
            hint=_hint(text, kind),
            role=new.role or ("admin" if kind == "admin" else "editor"),
            scopes=_scopes(new, kind),
            bots=new.bots,
            origins=new.origins,
            owner=new.owner or f"{new.name}@{project_id}.local",
            is_personal=new.owner is not None,
            workspace=new.workspace,
            limits=new.limits,
            created_at=datetime.now(UTC),
            expires_at=new.expires_at,
        )
        await self._store.add_key(key, key_hash=hash_key(text))
        return MadeKey(key, text, nonce)

    def check_grant(self, giver: Principal, new: NewKey) -> None:
        """Raise Forbidden when a key would open more than its giver's own."""
        if giver.kind == "admin" and giver.role == "admin":
            return
        kind = _kind(new)
        too_much = kind == "admin" or new.role == "admin" or new.workspace is not None
        too_wide = giver.bots and not (new.bots and new.bots <= giver.bots)
        if too_much or too_wide or not _scopes(new, kind) <= giver.scopes | {"widget"}:
            raise Forbidden("A key cannot make a key that opens more than it does itself.")

    async def key(self, project_id: ProjectId, key_id: KeyId) -> ApiKey:
        """One key of a project; raises NotFound."""
        return _found(await self._store.key(project_id, key_id))

    async def keys(self, project_id: ProjectId | None) -> list[ApiKey]:
        """All keys of a project (None = of all), oldest first, closed ones included."""
        return await self._store.keys(project_id)

    async def change(
        self, project_id: ProjectId, key_id: KeyId, changes: Mapping[str, Any]
    ) -> ApiKey:
        """Replace fields of a key by name; raises NotFound."""
        key = _found(await self._store.change_key(project_id, key_id, changes))
        self._access.forget(key_id)
        return key

    async def rotate(
        self, project_id: ProjectId | None, key_id: KeyId, *, overlap: timedelta = timedelta()
    ) -> MadeKey:
        """Give a key a new text; the old one opens for the overlap (at most 7 days).

        Raises NotFound, and Conflict when the key is closed.
        """
        old = _found(await self._store.key(project_id, key_id))
        if old.revoked_at is not None:
            raise Conflict("This key was revoked: make a new one.", code="key_revoked")
        nonce, text = self._fresh(old.kind)
        rotated = await self._store.rotate_key(
            project_id,
            key_id,
            key_hash=hash_key(text),
            hint=_hint(text, old.kind),
            previous_until=datetime.now(UTC) + min(overlap, MAX_OVERLAP),
        )
        self._access.forget(key_id)
        return MadeKey(_found(rotated), text, nonce)

    async def revoke(self, project_id: ProjectId | None, key_id: KeyId) -> ApiKey:
        """Close a key for good, here at once; a second call changes nothing. Raises NotFound."""
        key = _found(await self._store.revoke_key(project_id, key_id, at=datetime.now(UTC)))
        self._access.forget(key_id)
        return key

    def text(self, kind: KeyKind, nonce: str) -> str:
        """The text of a key that was made with that nonce."""
        return key_text(kind, self._signer.sign("key", nonce.encode()))

    def _fresh(self, kind: KeyKind) -> tuple[str, str]:
        nonce = secrets.token_hex(32)
        return nonce, self.text(kind, nonce)


def _kind(new: NewKey) -> KeyKind:
    """The kind of a key; role admin makes an admin key, scope conversation a conversation key."""
    if new.kind == "secret" and new.role == "admin":
        return "admin"
    if new.kind == "secret" and new.scopes == _KIND_SCOPES["conversation"]:
        return "conversation"
    return new.kind


def _scopes(new: NewKey, kind: KeyKind) -> frozenset[Scope]:
    if kind in _KIND_SCOPES:
        return _KIND_SCOPES[kind]
    if new.scopes is not None:
        return new.scopes
    return _VIEWER_SCOPES if new.role == "viewer" else DEFAULT_SCOPES


def _hint(text: str, kind: KeyKind) -> str:
    return text[: len(PREFIXES[kind]) + HINT_LETTERS]


def _found(key: ApiKey | None) -> ApiKey:
    if key is None:
        raise NotFound("There is no such key.")
    return key
