"""Participants on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, RootModel

from gateway.api.native.wire.common import (
    Given,
    Metadata,
    Object,
    Parameters,
    Timestamp,
    Told,
    timestamp,
)
from gateway.domain.people import Identity, Participant


class ParticipantIn(Given):
    """What is known about a person; it is merged with what is stored."""

    name: str | None = Field(None, min_length=1, max_length=256)
    data: Object | None = Field(None, description="Merged into the participant's document.")


class ParticipantPatch(Given):
    """What to change; members that are left out stay."""

    name: str | None = Field(None, min_length=1, max_length=256)
    metadata: Metadata | None = None


class DataQuery(Parameters):
    """Whose document: the participant's own, or the one an agent keeps about them."""

    agent: str | None = Field(None, min_length=1, max_length=100)


class IdentityOut(Told):
    """A person on one platform."""

    id: str
    object: Literal["identity"] = "identity"
    channel: str
    external_id: str
    name: str | None
    blocked: bool
    opted_out: bool
    created_at: Timestamp


class ParticipantOut(Told):
    """A person."""

    id: str
    object: Literal["participant"] = "participant"
    name: str | None
    metadata: Object
    identities: list[IdentityOut]
    created_at: Timestamp
    updated_at: Timestamp


class DataOut(RootModel[Object]):
    """A JSON object, as callers keep it."""


def participant_out(participant: Participant) -> ParticipantOut:
    """A participant as a document."""
    return ParticipantOut(
        id=participant.id,
        name=participant.name,
        metadata=dict(participant.metadata),
        identities=[_identity_out(identity) for identity in participant.identities],
        created_at=timestamp(participant.created_at),
        updated_at=timestamp(participant.updated_at),
    )


def _identity_out(identity: Identity) -> IdentityOut:
    return IdentityOut(
        id=identity.id,
        channel=identity.platform,
        external_id=identity.external_id,
        name=identity.name,
        blocked=identity.blocked,
        opted_out=identity.opted_out,
        created_at=timestamp(identity.created_at),
    )
