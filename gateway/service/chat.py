"""ChatService: send a message, wait for its turn, follow it, cancel it.

What every surface stands on. A turn is never tied to the call that made it: whoever waits here
may go away and come back. Checks what a principal may reach; an object it may not see is NotFound.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from gateway.domain.access import Principal
from gateway.domain.bots import Bot
from gateway.domain.conversation import ContentPart, Message
from gateway.domain.ids import (
    ParticipantId,
    ProjectId,
    SessionId,
    TurnId,
    new_message_id,
    new_turn_id,
)
from gateway.domain.people import IdentityKey
from gateway.domain.turns import TERMINAL, Turn, TurnOptions
from gateway.errors import Conflict, Forbidden, NotFound, Unavailable, Unprocessable
from gateway.flow.catalogue import Catalogue
from gateway.flow.intake import Intake
from gateway.flow.live import Broadcast, Live, LiveEvent, NumberedEvent, TurnBegan, TurnEnded
from gateway.flow.replay import replay
from gateway.flow.worker import Worker
from gateway.service.bots import check_agent, chosen_bot
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import Accepted, IdempotencyKey, NewTurn

__all__ = [
    "ChatService",
    "LiveEvent",
    "NumberedEvent",
    "SendRequest",
    "Started",
    "TurnBegan",
    "TurnEnded",
]

MAX_SESSIONS_REMEMBERED = 2_000
"""Sessions whose bot is remembered; whether one still exists is the store's to say."""

ELSEWHERE_POLL_S = 0.25
"""How often a turn that runs in another process is looked up."""
QUIET_S = 10.0
"""After so long without an event it is looked up whether a turn ended unheard, as by a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """A message for a bot.

    `bot` is a slug (None = the session's, else the project's default bot). Without `session_id`
    a session is made, for `participant_id`, else for `identity`, else for the caller itself.
    `metadata` goes to a new session.
    """

    content: tuple[ContentPart, ...]
    bot: str | None = None
    session_id: SessionId | None = None
    participant_id: ParticipantId | None = None
    identity: IdentityKey | None = None
    agent: str | None = None
    options: TurnOptions = field(default_factory=TurnOptions)
    idempotency: IdempotencyKey | None = None
    channel: str = "api"
    wants_stream: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A turn that is on disk: `turn` as it stands, `is_replay` when the key was seen before."""

    turn: Turn
    is_replay: bool
    broadcast: Broadcast | None = None


class ChatService:
    """Turns, for callers."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        intake: Intake,
        worker: Worker,
        live: Live,
        poll_s: float = ELSEWHERE_POLL_S,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._intake = intake
        self._worker = worker
        self._live = live
        self._poll_s = poll_s
        self._quiet_s = quiet_s
        self._is_draining = False
        self._bots_of_sessions: dict[tuple[ProjectId, SessionId], str] = {}

    def begin_drain(self) -> None:
        """Refuse new turns, and send callers of turns that are still queued away at once."""
        self._is_draining = True
        self._live.end_all(but=self._worker.is_running)

    async def send(self, principal: Principal, request: SendRequest) -> Started:
        """Make a turn; returns when it is durable.

        Raises NotFound (bot, agent, session, participant), Forbidden (`agent_not_allowed`),
        Conflict (`session_busy`, `session_ended`), TooMany, Unavailable,
        Unprocessable (`idempotency_key_reused`).
        """
        self._refuse_while_draining()
        bot = await self._bot(principal, request)
        turn_id = new_turn_id()
        broadcast = self._live.open(turn_id)
        broadcast.wants_stream = request.wants_stream
        try:
            accepted = (await self._intake.accept([_entry(principal, request, bot, turn_id)]))[0]
        except BaseException:
            self._live.end(turn_id, None)
            raise
        return await self._started(principal, accepted, broadcast)

    async def resume(
        self,
        principal: Principal,
        turn_id: TurnId,
        results: Mapping[str, str],
        *,
        wants_stream: bool = False,
    ) -> Started:
        """Go on with a turn that waits for the caller's tool results.

        Raises NotFound, Conflict (not waiting), Unprocessable (a call without a result).
        """
        self._refuse_while_draining()
        waiting = await self.turn(principal, turn_id)
        if waiting.state != "waiting":
            raise Conflict("This turn does not wait for results.", code="already_completed")
        broadcast = self._live.open(turn_id)
        broadcast.wants_stream = wants_stream
        try:
            turn = await self._store.resume_turn(principal.project_id, turn_id, results=results)
        except BaseException:
            self._forget_unless_running(turn_id)
            raise
        if turn is None:
            self._forget_unless_running(turn_id)
            raise NotFound("There is no such turn.")
        self._worker.wake()
        return Started(turn=turn, is_replay=False, broadcast=self._heard_here(broadcast))

    async def result(self, principal: Principal, started: Started, *, timeout_s: float) -> Turn:
        """The turn with its messages, when it is terminal or waiting or the time is over."""
        turn, broadcast = started.turn, started.broadcast
        if turn.is_over:
            return turn
        deadline = monotonic() + timeout_s
        while broadcast is not None and (left_s := deadline - monotonic()) > 0:
            ended = await broadcast.ended(timeout_s=min(left_s, self._quiet_s))
            if ended is not None:
                return ended
            if broadcast.is_over or await self._ended_unheard(principal, turn.id):
                break
        return await self._poll(principal, turn.id, deadline=deadline)

    async def wait(self, principal: Principal, turn_id: TurnId, *, timeout_s: float) -> Turn:
        """The same for a turn known by its id."""
        started = await self.follow(principal, turn_id)
        return await self.result(principal, started, timeout_s=timeout_s)

    async def events(
        self, principal: Principal, started: Started, *, after: int = 0
    ) -> AsyncGenerator[NumberedEvent, None]:
        """Events with a number above `after`, past and to come; the last is a TurnEnded."""
        turn_id, broadcast = started.turn.id, started.broadcast
        while broadcast is not None:
            async for numbered in broadcast.stream(after=after, quiet_s=self._quiet_s):
                after = numbered.number
                yield numbered
                if isinstance(numbered.event, TurnEnded):
                    return
            if broadcast.is_over or await self._ended_unheard(principal, turn_id):
                break
        turn = await self._poll(principal, turn_id, deadline=None)
        kept = await self._store.events(principal.project_id, turn_id, after=0)
        for numbered in replay(turn, kept, after=after):
            yield numbered

    async def follow(self, principal: Principal, turn_id: TurnId) -> Started:
        """A known turn, ready for `events` or `result`."""
        turn = await self.turn(principal, turn_id)
        broadcast = self._live.find(turn_id)
        if broadcast is None and turn.state == "queued":
            broadcast = self._heard_here(self._live.open(turn_id))
        return Started(turn=turn, is_replay=True, broadcast=broadcast)

    async def turn(self, principal: Principal, turn_id: TurnId) -> Turn:
        """One turn with its messages; raises NotFound."""
        turn = await self._store.turn(principal.project_id, turn_id, with_messages=True)
        if turn is None or not _may_see(principal, turn):
            raise NotFound("There is no such turn.")
        return turn

    async def cancel(self, principal: Principal, turn_id: TurnId) -> Turn:
        """Stop a turn; one that is over stays as it is. Raises NotFound."""
        await self.turn(principal, turn_id)
        broadcast = self._live.find(turn_id)
        turn = await self._store.request_cancel(principal.project_id, turn_id)
        if turn is None:
            raise NotFound("There is no such turn.")
        if turn.state in TERMINAL:
            full = await self.turn(principal, turn_id)
            self._live.end(turn_id, full)
            return full
        self._worker.cancel_turn(turn_id)
        started = Started(turn=turn, is_replay=True, broadcast=broadcast)
        return await self.result(principal, started, timeout_s=10)

    async def _bot(self, principal: Principal, request: SendRequest) -> Bot:
        slug = request.bot
        if request.session_id is not None:
            slug = await self._bot_of(principal.project_id, request.session_id)
            is_own = principal.session_id in (None, request.session_id)
            if slug is None or not is_own or not principal.may_use(slug):
                raise NotFound("There is no such session.")
        elif principal.session_id is not None:
            raise Forbidden("This token belongs to one session.", code="insufficient_scope")
        bot = chosen_bot(self._catalogue(), principal, slug)
        check_agent(bot, request.agent)
        return bot

    async def _bot_of(self, project_id: ProjectId, session_id: SessionId) -> str | None:
        """The bot of a session, which never changes; None = there is no such session."""
        known = self._bots_of_sessions.get((project_id, session_id))
        if known is not None:
            return known
        session = await self._store.session(project_id, session_id)
        if session is None:
            return None
        while len(self._bots_of_sessions) >= MAX_SESSIONS_REMEMBERED:
            del self._bots_of_sessions[next(iter(self._bots_of_sessions))]
        self._bots_of_sessions[project_id, session_id] = session.bot
        return session.bot

    async def _started(
        self, principal: Principal, accepted: Accepted, broadcast: Broadcast
    ) -> Started:
        if accepted.is_new and accepted.turn_id == broadcast.turn_id:
            claimed = accepted.claimed
            turn = claimed.turn if claimed else accepted.turn
            turn = turn or await self.turn(principal, broadcast.turn_id)
            return Started(turn=turn, is_replay=False, broadcast=self._heard_here(broadcast))
        self._live.end(broadcast.turn_id, None)
        if accepted.turn_id is None:
            raise Unprocessable("The message made no turn.")
        started = await self.follow(principal, accepted.turn_id)
        return replace(started, is_replay=not accepted.is_new)

    async def _poll(self, principal: Principal, turn_id: TurnId, *, deadline: float | None) -> Turn:
        """The turn from the store, looked up until it is over or the deadline is."""
        while True:
            is_running = self._worker.is_running(turn_id)
            turn = await self.turn(principal, turn_id)
            if turn.is_over or (deadline is not None and monotonic() >= deadline):
                return turn
            if not is_running:
                self._refuse_while_draining()
            await asyncio.sleep(self._poll_s)

    async def _ended_unheard(self, principal: Principal, turn_id: TurnId) -> bool:
        """Whether a turn that nobody here works on is over, as one cancelled in the queue."""
        if self._worker.is_running(turn_id):
            return False
        try:
            is_over = (await self.turn(principal, turn_id)).is_over
        except NotFound:
            self._forget_unless_running(turn_id)
            raise
        if is_over:
            self._forget_unless_running(turn_id)
        return is_over

    def _forget_unless_running(self, turn_id: TurnId) -> None:
        if not self._worker.is_running(turn_id):
            self._live.end(turn_id, None)

    def _heard_here(self, broadcast: Broadcast) -> Broadcast | None:
        """The broadcast, unless only other processes run turns: then nothing is heard here."""
        if self._worker.runs_turns:
            return broadcast
        self._live.end(broadcast.turn_id, None)
        return None

    def _refuse_while_draining(self) -> None:
        if self._is_draining:
            raise Unavailable("The gateway is stopping.", retry_after_s=5, code="draining")


def _entry(principal: Principal, request: SendRequest, bot: Bot, turn_id: TurnId) -> NewTurn:
    message = Message(id=new_message_id(), role="user", content=request.content)
    own = IdentityKey(platform="api", external_id=str(principal.id), name=principal.owner)
    return NewTurn(
        project_id=principal.project_id,
        channel=request.channel,
        account=request.channel,
        bot=bot.slug,
        turn_id=turn_id,
        message=message,
        options=replace(request.options, agent=request.agent),
        idempotency=request.idempotency,
        identity=request.identity or own,
        participant_id=request.participant_id or principal.participant_id,
        session_id=request.session_id,
        fresh_session=request.session_id is None,
        session_idle_s=bot.session_idle_s,
        when_full="refuse",
        session_metadata=request.metadata,
    )


def _may_see(principal: Principal, turn: Turn) -> bool:
    is_own = principal.session_id in (None, turn.session_id)
    return is_own and principal.may_use(turn.bot)
