"""Session tokens: what a visitor's browser holds instead of a key.

A token is a signed statement: this session of this project, until then. Nothing of it is stored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from gateway.domain.access import PREFIXES
from gateway.domain.ids import KeyId, ParticipantId, ProjectId, SessionId
from gateway.service.signing import Signer

TOKEN_LIFE = timedelta(hours=1)
RENEWABLE_FOR = timedelta(days=30)
"""How long after its end a token can still be exchanged for a fresh one of the same session."""

_PURPOSE = "session token"
_PREFIX = PREFIXES["session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionGrant:
    """What a token says. `key_id` is the publishable key it came by; None = the chat page."""

    project_id: ProjectId
    session_id: SessionId
    participant_id: ParticipantId
    bot: str
    expires_at: datetime
    key_id: KeyId | None = None


def issue(signer: Signer, grant: SessionGrant) -> str:
    """The token of a grant; the same grant always gives the same text."""
    statement = {
        "p": grant.project_id,
        "s": grant.session_id,
        "u": grant.participant_id,
        "b": grant.bot,
        "e": int(grant.expires_at.timestamp()),
        "k": grant.key_id,
    }
    return _PREFIX + signer.seal(_PURPOSE, json.dumps(statement).encode())


def read(signer: Signer, text: str) -> SessionGrant | None:
    """The grant of a token, expired or not; None when we never signed it."""
    payload = signer.unseal(_PURPOSE, text.removeprefix(_PREFIX))
    if payload is None:
        return None
    statement = json.loads(payload)
    return SessionGrant(
        project_id=ProjectId(statement["p"]),
        session_id=SessionId(statement["s"]),
        participant_id=ParticipantId(statement["u"]),
        bot=statement["b"],
        expires_at=datetime.fromtimestamp(statement["e"], UTC),
        key_id=KeyId(statement["k"]) if statement["k"] else None,
    )


def prolong(grant: SessionGrant, *, now: datetime) -> SessionGrant | None:
    """The grant with a fresh life, or None when it ended too long ago."""
    if now - grant.expires_at > RENEWABLE_FOR:
        return None
    return replace(grant, expires_at=(now + TOKEN_LIFE).replace(microsecond=0))
