"""Participants, their identities, and what callers keep about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.domain.ids import ParticipantId, ProjectId, SessionId
from gateway.domain.people import IdentityKey, Participant
from gateway.store.protocol.history import Page


@dataclass(frozen=True, slots=True)
class DataDocument:
    """A JSON document kept about a participant; `version` rises with every change (0 = none)."""

    value: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A participant after a change of how they stand, and sessions whose work is to stop."""

    participant: Participant
    stops: tuple[SessionId, ...] = ()


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

    async def current_participant(
        self, project_id: ProjectId, participant_id: ParticipantId
    ) -> ParticipantId | None:
        """The id itself, or whom it was merged into; None = there is no such participant."""
        ...

    async def find_participant(
        self, participant_id: ParticipantId
    ) -> tuple[ProjectId, ParticipantId] | None:
        """The project of a participant and their present id; for operators' commands only."""
        ...

    async def add_link_code(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        *,
        code_hash: bytes,
        life_s: float,
    ) -> datetime:
        """Store a code by which another identity becomes this participant; when it ends.

        The participant's codes before it end now. Raises NotFound.
        """
        ...

    async def merge_participants(
        self, project_id: ProjectId, source: ParticipantId, *, into: ParticipantId
    ) -> Participant:
        """Make one participant of two; again changes nothing. Raises NotFound, Conflict."""
        ...

    async def set_blocked(
        self, project_id: ProjectId, participant_id: ParticipantId, *, is_blocked: bool
    ) -> Standing:
        """Block or unblock every identity of a participant; raises NotFound.

        Nothing is sent to the blocked, and what waits for them is cancelled.
        """
        ...

    async def set_opted_out(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        *,
        is_opted_out: bool,
        platform: str | None = None,
    ) -> Standing:
        """Note whether a participant wants messages (on that platform); raises NotFound."""
        ...
