"""StandingService: who is whom, and who may write or be written to.

Link codes, merged participants, blocks and consent, for callers and for operators' commands. The
text of a code is shown once and only its hash is stored.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.ids import ParticipantId, ProjectId, SessionId
from gateway.domain.people import CODE_LIFE_S, Participant, code_text, hash_code
from gateway.errors import NotFound
from gateway.service.signing import Signer
from gateway.store.protocol import Store
from gateway.store.protocol.people import Standing

CODE_BYTES = 16


@dataclass(frozen=True, slots=True)
class MadeCode:
    """A link code, which nobody will see again, and whom it leads to until when.

    `nonce` leads back to the text together with the server's secret (`StandingService.code`): an
    answer that must be given twice keeps the nonce and never the code.
    """

    participant_id: ParticipantId
    text: str
    nonce: str
    expires_at: datetime


class StandingService:
    """How people stand. `stop` ends what this process does in a session."""

    def __init__(self, store: Store, signer: Signer, *, stop: Callable[[SessionId], None]) -> None:
        self._store = store
        self._signer = signer
        self._stop = stop

    async def current(self, project_id: ProjectId, participant_id: ParticipantId) -> ParticipantId:
        """The id itself, or whom that participant was merged into; raises NotFound."""
        return _found(await self._store.current_participant(project_id, participant_id))

    async def find(self, participant_id: ParticipantId) -> tuple[ProjectId, ParticipantId]:
        """The project of a participant and their present id, for operators; raises NotFound."""
        found = await self._store.find_participant(participant_id)
        if found is None:
            raise NotFound(f"There is no participant {participant_id}.")
        return found

    async def make_code(self, project_id: ProjectId, participant_id: ParticipantId) -> MadeCode:
        """A code by which a person on another channel becomes this participant.

        It works once, for ten minutes, and ends the one before. Raises NotFound.
        """
        nonce = secrets.token_hex(CODE_BYTES)
        text = self.code(nonce)
        expires_at = await self._store.add_link_code(
            project_id,
            participant_id,
            code_hash=hash_code(project_id, text),
            life_s=CODE_LIFE_S,
        )
        return MadeCode(participant_id, text, nonce, expires_at)

    def code(self, nonce: str) -> str:
        """The text of a code that was made with that nonce."""
        signature = self._signer.sign("link code", nonce.encode())
        return code_text(int.from_bytes(signature[:CODE_BYTES], "big"))

    async def merge(
        self, project_id: ProjectId, participant_id: ParticipantId, *, source: ParticipantId
    ) -> Participant:
        """Make one participant of two; the source's id leads on. Raises NotFound, Conflict."""
        return await self._store.merge_participants(project_id, source, into=participant_id)

    async def block(
        self, project_id: ProjectId, participant_id: ParticipantId, *, is_blocked: bool
    ) -> Participant:
        """Hear a participant no more, or again, on every channel; raises NotFound.

        What they write is kept and not worked on, and nothing is sent to them.
        """
        standing = await self._store.set_blocked(project_id, participant_id, is_blocked=is_blocked)
        return self._stopped(standing)

    async def opt_out(
        self,
        project_id: ProjectId,
        participant_id: ParticipantId,
        *,
        is_opted_out: bool,
        platform: str | None = None,
    ) -> Participant:
        """Note whether a participant wants messages (on that platform); raises NotFound."""
        standing = await self._store.set_opted_out(
            project_id, participant_id, is_opted_out=is_opted_out, platform=platform
        )
        return self._stopped(standing)

    def _stopped(self, standing: Standing) -> Participant:
        for session_id in standing.stops:
            self._stop(session_id)
        return standing.participant


def _found(participant_id: ParticipantId | None) -> ParticipantId:
    if participant_id is None:
        raise NotFound("There is no such participant.")
    return participant_id
