"""Keys and visitors' sessions on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gateway.api.native.wire.common import Given, Moment, Timestamp, Told, timestamp
from gateway.domain.access import ApiKey, KeyKind, Role, Scope, web_origin

MAX_OVERLAP_S = 7 * 24 * 3600

FIXED_KINDS: frozenset[KeyKind] = frozenset({"publishable", "conversation"})
"""Kinds of keys whose role and scopes nobody chooses."""

ShortText = Annotated[str, Field(min_length=1, max_length=256)]
Origin = Annotated[
    str,
    Field(max_length=256, json_schema_extra={"pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+/?$"}),
    AfterValidator(web_origin),
]


class LimitsDoc(Given):
    """Limits of one key; null = the configured ones, 0 = none."""

    requests_per_minute: int | None = Field(None, ge=0)
    requests_per_hour: int | None = Field(None, ge=0)


class KeyIn(Given):
    """A key to be made. Without `scopes` it gets those of an ordinary secret key."""

    name: ShortText
    kind: Literal["secret", "admin", "publishable", "conversation"] = "secret"
    role: Role | None = None
    scopes: list[Scope] | None = None
    bots: list[ShortText] = Field(default_factory=list, description="Slugs; empty: all bots.")
    origins: list[Origin] = Field(default_factory=list, description="Of a publishable key.")
    limits: LimitsDoc = LimitsDoc()
    owner: ShortText | None = Field(None, description="E-mail; makes it a personal key.")
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> KeyIn:
        if self.kind in FIXED_KINDS and (self.role is not None or self.scopes is not None):
            raise ValueError(f"a key of kind {self.kind} has no role and no scopes of its own")
        if self.kind != "publishable" and self.origins:
            raise ValueError("origins belong to a key of kind publishable")
        if self.kind == "admin" and self.role not in (None, "admin"):
            raise ValueError("a key of kind admin has the role admin")
        return self


class KeyPatch(Given):
    """What to change; members that are left out stay."""

    name: ShortText | None = None
    role: Role | None = None
    scopes: list[Scope] | None = None
    bots: list[ShortText] | None = None
    origins: list[Origin] | None = None
    limits: LimitsDoc | None = None
    expires_at: Moment | None = None


class RotateIn(Given):
    """How long the old secret still opens."""

    overlap_s: int = Field(0, ge=0, le=MAX_OVERLAP_S)


class KeyOut(Told):
    """A key, without its secret; `hint` is how it begins."""

    id: str
    object: Literal["key"] = "key"
    name: str
    kind: KeyKind
    hint: str
    role: Role
    scopes: list[Scope]
    bots: list[str]
    origins: list[str]
    limits: LimitsDoc
    owner: str
    created_at: Timestamp
    expires_at: Timestamp | None
    revoked_at: Timestamp | None
    last_used_at: Timestamp | None
    previous_until: Timestamp | None


class MadeKeyOut(KeyOut):
    """A new key with its secret, which is never shown again."""

    key: str


class VisitIn(Given):
    """A visitor's session to be opened, or (`token`) to be gone on with."""

    bot: ShortText | None = None
    token: Annotated[str, Field(max_length=2048)] | None = None


class VisitOut(Told):
    """A visitor's session; `token` is a Bearer for it, until `expires_at`."""

    object: Literal["widget.session"] = "widget.session"
    token: str
    session_id: str
    participant_id: str
    bot: str
    expires_at: Timestamp


def key_out(key: ApiKey) -> KeyOut:
    """A key as a document."""
    return KeyOut(
        id=key.id,
        name=key.name,
        kind=key.kind,
        hint=key.hint,
        role=key.role,
        scopes=sorted(key.scopes),
        bots=sorted(key.bots),
        origins=list(key.origins),
        limits=LimitsDoc(
            requests_per_minute=key.limits.requests_per_minute,
            requests_per_hour=key.limits.requests_per_hour,
        ),
        owner=key.owner,
        created_at=timestamp(key.created_at),
        expires_at=timestamp(key.expires_at) if key.expires_at else None,
        revoked_at=timestamp(key.revoked_at) if key.revoked_at else None,
        last_used_at=timestamp(key.last_used_at) if key.last_used_at else None,
        previous_until=timestamp(key.previous_until) if key.previous_until else None,
    )


def made_key_out(key: ApiKey, text: str) -> MadeKeyOut:
    """A new key as a document."""
    return MadeKeyOut(**key_out(key).model_dump(), key=text)
