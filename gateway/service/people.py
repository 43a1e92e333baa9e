"""PeopleService: participants, and the JSON documents callers keep about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.domain.access import Principal
from gateway.domain.ids import ParticipantId, new_participant_id
from gateway.domain.people import IdentityKey, Participant
from gateway.errors import Conflict, NotFound, PreconditionFailed, TooLarge
from gateway.service.listing import Listing, Page, one_more, piece
from gateway.store.protocol import Store
from gateway.store.protocol.people import DataDocument

__all__ = ["DataDocument", "PeopleService", "merge_patch"]

MAX_DATA_BYTES = 65_536
MERGE_TRIES = 5


class PeopleService:
    """People, for callers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(
        self,
        principal: Principal,
        identity: IdentityKey,
        *,
        data: Mapping[str, Any] | None = None,
    ) -> tuple[Participant, bool]:
        """Find or make the participant of an identity; name and data are merged. True = new."""
        _check_size(data or {})
        return await self._store.put_participant(
            principal.project_id, identity, name=identity.name, data=data
        )

    async def stranger(self, principal: Principal, *, platform: str) -> Participant:
        """A new participant of whom nothing is known."""
        identity = IdentityKey(platform=platform, external_id=new_participant_id())
        participant, _ = await self._store.put_participant(principal.project_id, identity)
        return participant

    async def participant(self, principal: Principal, participant_id: ParticipantId) -> Participant:
        """One participant; raises NotFound."""
        return _found(await self._store.participant(principal.project_id, participant_id))

    async def participants(self, principal: Principal, *, page: Page) -> Listing[Participant]:
        """Participants of the principal's project."""
        rows = await self._store.participants(principal.project_id, page=one_more(page))
        return piece(rows, page)

    async def change(
        self,
        principal: Principal,
        participant_id: ParticipantId,
        *,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Participant:
        """Change what is given; raises NotFound."""
        changed = await self._store.change_participant(
            principal.project_id, participant_id, name=name, metadata=metadata
        )
        return _found(changed)

    async def data(
        self, principal: Principal, participant_id: ParticipantId, *, agent: str | None
    ) -> DataDocument:
        """The document kept about a participant (and agent); raises NotFound."""
        await self.participant(principal, participant_id)
        return await self._store.data(principal.project_id, participant_id, agent=agent)

    async def put_data(
        self,
        principal: Principal,
        participant_id: ParticipantId,
        value: Mapping[str, Any],
        *,
        agent: str | None,
        if_version: int | None = None,
    ) -> DataDocument:
        """Replace the document; raises NotFound, PreconditionFailed, TooLarge (64 KiB)."""
        _check_size(value)
        await self.participant(principal, participant_id)
        return await self._store.put_data(
            principal.project_id, participant_id, value, agent=agent, if_version=if_version
        )

    async def merge_data(
        self,
        principal: Principal,
        participant_id: ParticipantId,
        patch: Mapping[str, Any],
        *,
        agent: str | None,
        if_version: int | None = None,
    ) -> DataDocument:
        """Apply a JSON Merge Patch; two patches at the same moment both count.

        Raises NotFound, PreconditionFailed (another version than `if_version`), TooLarge.
        """
        for _ in range(MERGE_TRIES):
            document = await self.data(principal, participant_id, agent=agent)
            if if_version is not None and document.version != if_version:
                raise PreconditionFailed("The document was changed meanwhile.")
            try:
                return await self.put_data(
                    principal,
                    participant_id,
                    merge_patch(document.value, patch),
                    agent=agent,
                    if_version=document.version,
                )
            except PreconditionFailed:
                if if_version is not None:
                    raise
        raise Conflict("Too many changes to this document at once.", retry_after_s=1)


def merge_patch(target: object, patch: Mapping[str, Any]) -> dict[str, Any]:
    """The target with a JSON Merge Patch applied (RFC 7396, section 2); None removes a member.

    >>> merge_patch({"a": "b", "c": {"d": "e", "f": "g"}}, {"a": "z", "c": {"f": None}})
    {'a': 'z', 'c': {'d': 'e'}}
    """
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            merged[name] = merge_patch(merged.get(name), value)
        else:
            merged[name] = value
    return merged


def _check_size(value: Mapping[str, Any]) -> None:
    if value and len(json.dumps(value, ensure_ascii=False).encode()) > MAX_DATA_BYTES:
        raise TooLarge(f"The document is over {MAX_DATA_BYTES} bytes.")


def _found(participant: Participant | None) -> Participant:
    if participant is None:
        raise NotFound("There is no such participant.")
    return participant
