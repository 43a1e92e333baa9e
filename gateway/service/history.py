"""HistoryService: sessions and their messages, as callers may read and change them.

Everything is checked against what the principal reaches: its project, its bots and, for a
visitor, its own session. What it does not reach is NotFound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import structlog

from gateway.domain.access import Principal
from gateway.domain.bots import Bot
from gateway.domain.channels import BUILT_IN_CHANNELS
from gateway.domain.conversation import Message, Session
from gateway.domain.delivery import UNSETTLED
from gateway.domain.ids import ParticipantId, SessionId, TurnId, new_session_id
from gateway.errors import Forbidden, NotFound, Unprocessable
from gateway.flow.catalogue import Catalogue
from gateway.service.bots import check_agent, chosen_bot
from gateway.service.listing import Listing, Page, one_more, piece
from gateway.store.protocol import Store
from gateway.store.protocol.history import NewSession, SessionChanges, SessionFilter, TurnTrace
from gateway.store.protocol.outbox import DeliveryFilter

__all__ = ["HistoryService", "SessionChanges", "SessionFilter", "SessionRequest", "TurnTrace"]

log = structlog.get_logger(__name__)

NEWS_POLL_S = 0.5
"""How often a caller's wait for new messages looks into the store."""
END_POLL_S = 0.05
END_PATIENCE_S = 5.0
"""How long the end of a message that people see growing may hold up the removal of its session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRequest:
    """A session somebody wants before there is a message. `bot` None = the default bot."""

    participant_id: ParticipantId
    bot: str | None = None
    agent: str | None = None
    channel: str = "api"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)


class HistoryService:
    """Sessions, for callers. `cancel` stops a turn, wherever it is at work."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        cancel: Callable[[Principal, TurnId], Awaitable[object]],
        end_patience_s: float = END_PATIENCE_S,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._cancel = cancel
        self._end_patience_s = end_patience_s

    async def create(self, principal: Principal, request: SessionRequest) -> Session:
        """Make a session; raises NotFound (bot, agent, participant), Forbidden, Unprocessable."""
        bot = self.bot(principal, request.bot)
        check_agent(bot, request.agent)
        if request.channel not in BUILT_IN_CHANNELS:
            raise Unprocessable("Sessions of this channel begin with a message on it.")
        new = NewSession(
            id=new_session_id(),
            project_id=principal.project_id,
            bot=bot.slug,
            channel=request.channel,
            account=request.channel,
            participant_id=request.participant_id,
            agent=request.agent,
            metadata=request.metadata,
            state=request.state,
        )
        return await self._store.create_session(new)

    def bot(self, principal: Principal, slug: str | None) -> Bot:
        """The bot of that slug, or the project's default one; raises NotFound, Forbidden."""
        return chosen_bot(self._catalogue(), principal, slug)

    async def session(self, principal: Principal, session_id: SessionId) -> Session:
        """One session; raises NotFound."""
        return _reached(principal, await self._store.session(principal.project_id, session_id))

    async def sessions(
        self, principal: Principal, which: SessionFilter, *, page: Page
    ) -> Listing[Session]:
        """Sessions the principal reaches."""
        if principal.session_id is not None:
            raise Forbidden("This token belongs to one session.")
        limited = replace(which, bots=principal.bots)
        rows = await self._store.sessions(principal.project_id, limited, page=one_more(page))
        return piece(rows, page)

    async def change(
        self,
        principal: Principal,
        session_id: SessionId,
        changes: SessionChanges,
        *,
        if_version: int | None = None,
    ) -> Session:
        """Change a session; raises NotFound, PreconditionFailed."""
        session = await self.session(principal, session_id)
        if "agent" in changes.fields:
            check_agent(self.bot(principal, session.bot), changes.agent)
        changed = await self._store.change_session(
            principal.project_id, session_id, changes, if_version=if_version
        )
        return _reached(principal, changed)

    async def end(self, principal: Principal, session_id: SessionId, *, reason: str) -> Session:
        """End a session; a second call changes nothing. Raises NotFound."""
        await self.session(principal, session_id)
        ended = await self._store.end_session(principal.project_id, session_id, reason=reason)
        return _reached(principal, ended)

    async def delete(self, principal: Principal, session_id: SessionId) -> None:
        """Remove a session with its messages; raises NotFound.

        A message that people see growing gets its end first: later nobody would know of it.
        """
        await self.session(principal, session_id)
        try:
            async with asyncio.timeout(self._end_patience_s):
                await self._end_growing(principal, session_id)
        except TimeoutError:
            log.warning("growing_message_left_behind", session_id=session_id)
        await self._store.delete_session(principal.project_id, session_id)

    async def _end_growing(self, principal: Principal, session_id: SessionId) -> None:
        """Stop the turn of a message that grows; returns when the platform has its end."""
        which = DeliveryFilter(project_id=principal.project_id, session_id=session_id)
        growing = await self._store.deliveries(replace(which, states=frozenset({"open"})))
        for delivery in growing:
            await self._cancel(principal, delivery.turn_id)
        left = {delivery.id for delivery in growing}
        while left:
            await asyncio.sleep(END_POLL_S)
            unsettled = await self._store.deliveries(replace(which, states=UNSETTLED))
            left &= {delivery.id for delivery in unsettled}

    async def messages(
        self,
        principal: Principal,
        session_id: SessionId,
        *,
        page: Page,
        with_internal: bool = False,
        wait_s: float = 0,
    ) -> Listing[Message]:
        """Messages of a session; with `wait_s` an empty page waits that long for a first one.

        Raises NotFound, and Forbidden when a visitor asks for internal messages.
        """
        await self.session(principal, session_id)
        if with_internal and principal.session_id is not None:
            raise Forbidden("Internal messages are not for visitors.")
        deadline = monotonic() + wait_s
        while True:
            rows = await self._store.messages(
                principal.project_id, session_id, page=one_more(page), with_internal=with_internal
            )
            if rows or monotonic() >= deadline:
                return piece(rows, page)
            await asyncio.sleep(min(NEWS_POLL_S, max(0.0, deadline - monotonic())))

    async def traces(
        self, principal: Principal, session_id: SessionId, *, turn_id: TurnId | None = None
    ) -> Sequence[TurnTrace]:
        """Everything that happened in the turns of a session, oldest first; raises NotFound."""
        await self.session(principal, session_id)
        return await self._store.traces(principal.project_id, session_id, turn_id=turn_id)


def _reached(principal: Principal, session: Session | None) -> Session:
    is_reached = (
        session is not None
        and principal.session_id in (None, session.id)
        and principal.may_use(session.bot)
    )
    if session is None or not is_reached:
        raise NotFound("There is no such session.")
    return session
