"""Keys and what they open: scopes, roles, the principal behind a request, key text and its hash."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from gateway.domain.ids import KeyId, ParticipantId, ProjectId, SessionId

Role = Literal["viewer", "editor", "admin"]
KeyKind = Literal["secret", "admin", "publishable", "conversation", "session"]
Scope = Literal[
    "chat",
    "sessions:read",
    "sessions:write",
    "participants:read",
    "participants:write",
    "participants:erase",
    "channels:read",
    "channels:send",
    "agents:read",
    "keys:manage",
    "webhooks:manage",
    "events:read",
    "metrics:read",
    "files:read",
    "files:write",
    "conversation",
    "widget",
    "console",
]

DEFAULT_SCOPES: frozenset[Scope] = frozenset(
    {
        "chat",
        "sessions:read",
        "sessions:write",
        "participants:read",
        "participants:write",
        "channels:read",
        "channels:send",
        "agents:read",
        "files:read",
        "files:write",
        "events:read",
    }
)
SESSION_SCOPES: frozenset[Scope] = frozenset({"chat", "sessions:read"})
PREFIXES: dict[KeyKind, str] = {
    "secret": "gw_sk_",
    "admin": "gw_adm_",
    "publishable": "gw_pk_",
    "conversation": "crn_conv_",
    "session": "gw_st_",
}

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LETTERS = 43
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CHECK_LETTERS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLimits:
    """A key's own limits; None = the configured ones."""

    requests_per_minute: int | None = None
    requests_per_hour: int | None = None
    messages_per_month: int | None = None
    concurrent_turns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A stored key: everything but the secret. `hint` is its first letters, for people.

    An empty `bots` means every bot of the project. `workspace` is set on a key for a whole
    workspace. After a rotation the former secret still opens until `previous_until`.
    """

    id: KeyId
    project_id: ProjectId
    kind: KeyKind
    name: str
    hint: str
    role: Role = "editor"
    scopes: frozenset[Scope] = DEFAULT_SCOPES
    bots: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()
    owner: str
    is_personal: bool = False
    workspace: str | None = None
    limits: KeyLimits = field(default_factory=KeyLimits)
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    previous_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: a key, or a visitor with a session token (then `session_id` is set).

    `id` scopes idempotency and rate limits; it stays the same over a key's rotation.
    """

    id: str
    project_id: ProjectId
    kind: KeyKind
    role: Role
    scopes: frozenset[Scope]
    bots: frozenset[str] = frozenset()
    session_id: SessionId | None = None
    participant_id: ParticipantId | None = None
    owner: str | None = None
    origins: tuple[str, ...] = ()
    limits: KeyLimits = field(default_factory=KeyLimits)

    def may(self, scope: Scope) -> bool:
        """Whether this principal has the scope; an admin has all of them."""
        return (self.role == "admin" and self.kind == "admin") or scope in self.scopes

    def may_use(self, bot_slug: str) -> bool:
        """Whether this principal may talk to that bot of its project."""
        return not self.bots or bot_slug in self.bots


def new_key_text(kind: KeyKind) -> str:
    """A fresh key: prefix, 43 random letters (256 bits), 6 letters of checksum.

    >>> is_well_formed_key(new_key_text("secret"))
    True
    """
    body = "".join(secrets.choice(_BASE62) for _ in range(_RANDOM_LETTERS))
    return PREFIXES[kind] + body + _checksum(PREFIXES[kind] + body)


def key_text(kind: KeyKind, seed: bytes) -> str:
    """The key that belongs to 32 secret bytes: the same bytes always give the same text.

    >>> key_text("secret", bytes(32)) == key_text("secret", bytes(32))
    True
    >>> is_well_formed_key(key_text("admin", bytes(range(32))))
    True
    """
    number = int.from_bytes(seed[:32], "big")
    letters = []
    for _ in range(_RANDOM_LETTERS):
        number, rest = divmod(number, len(_BASE62))
        letters.append(_BASE62[rest])
    head = PREFIXES[kind] + "".join(letters)
    return head + _checksum(head)


def is_well_formed_key(text: str) -> bool:
    """Whether prefix, length and checksum are right; says nothing about validity.

    >>> is_well_formed_key("gw_sk_nonsense")
    False
    """
    head, tail = text[:-_CHECK_LETTERS], text[-_CHECK_LETTERS:]
    prefix = next((p for p in PREFIXES.values() if text.startswith(p)), None)
    if prefix is None or len(head) != len(prefix) + _RANDOM_LETTERS:
        return False
    return _checksum(head) == tail


def hash_key(text: str) -> bytes:
    """What is stored of a key: its SHA-256 (the key itself has 256 random bits)."""
    return hashlib.sha256(text.encode()).digest()


def web_origin(text: str) -> str:
    """An origin as browsers write it (RFC 6454, 6.2): they are compared letter by letter.

    Raises ValueError, with a sentence, for anything else.

    >>> web_origin("https://Example.com:443/"), web_origin("http://localhost:8080")
    ('https://example.com', 'http://localhost:8080')
    """
    parts = urlsplit(text.removesuffix("/"))
    is_whole = text.removesuffix("/").lower() == f"{parts.scheme}://{parts.netloc}".lower()
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not is_whole or "@" in text:
        raise ValueError('must be an origin without a path, like "https://example.com"')
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = parts.port in (None, _DEFAULT_PORTS[parts.scheme])
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{parts.port}"


def _checksum(text: str) -> str:
    number = zlib.crc32(text.encode())
    letters = []
    for _ in range(_CHECK_LETTERS):
        number, rest = divmod(number, len(_BASE62))
        letters.append(_BASE62[rest])
    return "".join(letters)
