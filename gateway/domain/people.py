"""People: a participant, and the identities they are known by on platforms."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.domain.ids import IdentityId, ParticipantId, ProjectId

Platform = Literal["telegram", "slack", "sms", "whatsapp", "web", "api", "embedded_widget"]
"""Namespaces of external ids; a channel kind names one of them."""

WRONG_CODES_AN_HOUR = 5
"""Wrong link codes an identity may send within an hour; after that even a right one is refused."""
CODE_LIFE_S = 600
CODE_LETTERS = "23456789BCDFGHJKMNPQRSTVWXZ"
"""What link codes are made of: nothing that looks like something else, and no words."""
CODE_LENGTH = 8


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


def code_text(number: int) -> str:
    """A large random number as a link code, in two halves so that it is easy to copy.

    >>> code_text(7), code_text(27**8 - 1)
    ('2222-2229', 'ZZZZ-ZZZZ')
    """
    letters = ""
    for _ in range(CODE_LENGTH):
        number, digit = divmod(number, len(CODE_LETTERS))
        letters = CODE_LETTERS[digit] + letters
    return f"{letters[:4]}-{letters[4:]}"


def hash_code(project_id: ProjectId, code: str) -> bytes:
    """What is stored of a code; case, spaces and hyphens do not count.

    >>> hash_code(ProjectId("p"), "bcdf-2345") == hash_code(ProjectId("p"), " BCDF2345 ")
    True
    """
    letters = "".join(letter for letter in code.upper() if letter.isalnum())
    return hashlib.sha256(f"{project_id}\n{letters}".encode()).digest()
