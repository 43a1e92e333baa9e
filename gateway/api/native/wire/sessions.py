"""Sessions on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.api.native.wire.common import (
    Given,
    Metadata,
    Moment,
    Object,
    PageQuery,
    Timestamp,
    Told,
    timestamp,
)
from gateway.api.native.wire.turns import ParticipantRef, ShortText
from gateway.domain.conversation import Holder, Session, SessionStatus

Tag = Annotated[str, Field(min_length=1, max_length=64)]


class SessionIn(Given):
    """A session to be made; without a participant it belongs to somebody unknown."""

    bot: ShortText | None = None
    agent: ShortText | None = None
    participant: ParticipantRef | None = None
    channel: Literal["api", "web"] = "api"
    metadata: Metadata = Field(default_factory=dict)
    initial_state: Object = Field(default_factory=dict)


class SessionPatch(Given):
    """What to change; members that are left out stay."""

    title: str | None = Field(None, max_length=256)
    tags: list[Tag] = Field(default_factory=list, max_length=32)
    metadata: Metadata = Field(default_factory=dict)
    state: Object = Field(default_factory=dict)
    agent: ShortText | None = Field(None, description="Who answers next; null: the start agent.")


class SessionQuery(PageQuery):
    """Which sessions."""

    participant_id: str | None = Field(None, max_length=64)
    channel: str | None = Field(None, max_length=64)
    bot: str | None = Field(None, max_length=64)
    agent: str | None = Field(None, max_length=100)
    status: Literal["active", "ended"] | None = None
    tag: str | None = Field(None, max_length=64)
    updated_after: Moment | None = None
    updated_before: Moment | None = None


class SessionOut(Told):
    """One ordered talk of a participant with a bot."""

    id: str
    object: Literal["session"] = "session"
    bot: str
    agent: str | None
    channel: str
    participant_id: str
    status: SessionStatus
    holder: Holder
    title: str | None
    tags: list[str]
    metadata: Object
    state: Object
    pending_turns: int
    end_reason: str | None
    created_at: Timestamp
    updated_at: Timestamp
    ended_at: Timestamp | None


def session_out(session: Session) -> SessionOut:
    """A session as a document."""
    return SessionOut(
        id=session.id,
        bot=session.bot,
        agent=session.agent,
        channel=session.channel,
        participant_id=session.participant_id,
        status=session.status,
        holder=session.holder,
        title=session.title,
        tags=list(session.tags),
        metadata=dict(session.metadata),
        state=dict(session.state),
        pending_turns=session.pending,
        end_reason=session.end_reason,
        created_at=timestamp(session.created_at),
        updated_at=timestamp(session.updated_at),
        ended_at=timestamp(session.ended_at) if session.ended_at else None,
    )
