"""People: a participant, and the identities they are known by on platforms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.domain.ids import IdentityId, ParticipantId, ProjectId

Platform = Literal["telegram", "slack", "sms", "whatsapp", "web", "api", "embedded_widget"]
"""Namespaces of external ids; a channel kind names one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityKey:
    """What identifies a person on one platform: the platform and its stable user id."""

    platform: str
    external_id: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One person on one platform."""

    id: IdentityId
    project_id: ProjectId
    participant_id: ParticipantId
    platform: str
    external_id: str
    name: str | None
    blocked: bool = False
    opted_out: bool = False
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A person; what they are called, and what callers noted about them."""

    id: ParticipantId
    project_id: ProjectId
    name: str | None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    identities: tuple[Identity, ...] = ()
    created_at: datetime
    updated_at: datetime
