"""Participants, their identities, and what callers keep about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.domain.ids import ParticipantId, ProjectId
from gateway.domain.people import IdentityKey, Participant
from gateway.store.protocol.history import Page


@dataclass(frozen=True, slots=True)
class DataDocument:
    """A JSON document kept about a participant; `version` rises with every change (0 = none)."""

    value: Mapping[str, Any]
    version: int


class PeopleStore(Protocol):
    """People."""

    async def put_participant(
        self,
        project_id: ProjectId,
        identity: IdentityKey,
        *,
        name: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> tuple[Participant, bool]:
        """Find or make the participant of an identity, merge name and data; True = it is new."""
        ...

    async def participant(
        self, project_id: ProjectId, participant_id: ParticipantId
    ) -> Participant | None:
        """One participant with identities, or None."""
        ...

    async def participants(self, project_id: ProjectId, *, page: Page) -> list[Participant]:
        """Participants in the page's order."""
        ...

    async def change_participant(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Participant | None:
        """Change what is given (None = stays); None = unknown."""
        ...

    async def data(
        self, project_id: ProjectId, participant_id: ParticipantId, *, agent: str | None = None
    ) -> DataDocument:
        """The document kept about a participant (and agent)."""
        ...

    async def put_data(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        value: Mapping[str, Any],
        *,
        agent: str | None = None,
        if_version: int | None = None,
    ) -> DataDocument:
        """Replace the document; raises PreconditionFailed on another version, NotFound."""
        ...
