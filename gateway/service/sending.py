"""SendingService: words and files that a person of the team sends into a session as they are.

No model is asked. The message is written with its parts for the session's channel in one commit, as
a turn of its own that is over at once; the outbox sends it behind whatever waits there already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.access import Principal
from gateway.domain.conversation import ContentPart, Message, Session
from gateway.domain.delivery import NewDelivery
from gateway.domain.ids import SessionId, TurnId, new_message_id, new_turn_id
from gateway.errors import NotFound
from gateway.flow.catalogue import Catalogue
from gateway.flow.intake import Intake
from gateway.flow.replies import render_replies
from gateway.service.files import FileService
from gateway.store.protocol import Store
from gateway.store.protocol.history import Page
from gateway.store.protocol.inbox import IdempotencyKey, NewTurn, TerminalTurn

__all__ = ["SendingService", "Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that is on disk, and on its way; `is_replay` when the key was seen before."""

    message: Message
    is_replay: bool


class SendingService:
    """Messages of the team, for callers."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        intake: Intake,
        files: FileService,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._intake = intake
        self._files = files

    async def send(
        self,
        principal: Principal,
        session_id: SessionId,
        content: tuple[ContentPart, ...],
        *,
        idempotency: IdempotencyKey | None = None,
    ) -> Sent:
        """Write a message of the team; returns when it is durable.

        Raises NotFound (session, file), Conflict (`session_ended`), Unavailable, Unprocessable
        (`idempotency_key_reused`).
        """
        session = await self._store.session(principal.project_id, session_id)
        is_own = principal.session_id in (None, session_id)
        if session is None or not is_own or not principal.may_use(session.bot):
            raise NotFound("There is no such session.")
        message = Message(
            id=new_message_id(),
            role="operator",
            content=await self._files.filled(principal, content),
        )
        entry = self._entry(session, message, idempotency)
        accepted = (await self._intake.accept([entry]))[0]
        turn_id = accepted.turn_id or entry.turn_id
        return Sent(await self._written(session, turn_id), not accepted.is_new)

    def _entry(
        self, session: Session, message: Message, idempotency: IdempotencyKey | None
    ) -> NewTurn:
        return NewTurn(
            project_id=session.project_id,
            channel=session.channel,
            account=session.channel,
            bot=session.bot,
            turn_id=new_turn_id(),
            kind="send",
            session_id=session.id,
            participant_id=session.participant_id,
            idempotency=idempotency,
            terminal=TerminalTurn(
                state="done", messages=(message,), deliveries=self._deliveries(session, message)
            ),
        )

    def _deliveries(self, session: Session, message: Message) -> tuple[NewDelivery, ...]:
        binding = self._catalogue().delivering(session.channel)
        if binding is None or session.address is None:
            return ()
        return render_replies([message], channel=binding.channel, address=session.address)

    async def _written(self, session: Session, turn_id: TurnId) -> Message:
        """The message as it is stored, with what has become of it by now."""
        turn = await self._store.turn(session.project_id, turn_id, with_messages=True)
        if turn is None or not turn.messages:
            raise NotFound("The session is gone.")
        page = Page(limit=1, order="asc", after=(turn.messages[0].seq - 1,))
        found = await self._store.messages(session.project_id, session.id, page=page)
        return found[0] if found else turn.messages[0]
