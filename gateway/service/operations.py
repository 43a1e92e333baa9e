"""OperationsService: what an operator asks of the store, over all projects.

Reads only. Prints nothing: the command line and the console do.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.domain.conversation import Message, Session, SessionStatus
from gateway.domain.ids import ParticipantId, ProjectId, SessionId, TurnId
from gateway.domain.people import Participant
from gateway.errors import NotFound
from gateway.service.story import Step, TurnStory, tell
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import Finding, Instance, QueueDepth
from gateway.store.protocol.history import Page, SessionFilter

__all__ = [
    "Explanation",
    "Finding",
    "GatewayStatus",
    "OperationsService",
    "Person",
    "Process",
    "QueueDepth",
    "Step",
    "Transcript",
    "TurnStory",
]

ALIVE_FOR_S = 15.0
"""A daemon beats every 5 seconds; one that missed this long is gone or stuck."""

MESSAGES_A_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A daemon as it last told of itself; `is_alive` when that was a moment ago."""

    id: str
    host: str
    version: str
    started_at: datetime
    heartbeat_at: datetime
    heartbeat_age_s: float
    is_alive: bool
    snapshot: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """The processes that use this store, and what waits in it."""

    processes: Sequence[Process]
    depth: QueueDepth

    @property
    def is_running(self) -> bool:
        """Whether some daemon is alive."""
        return any(process.is_alive for process in self.processes)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A session and its messages, oldest first."""

    session: Session
    messages: Sequence[Message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that happened: to a whole session, or in the turn that an id belongs to."""

    asked: str
    session: Session
    stories: Sequence[TurnStory] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A participant, what callers keep about them, and their newest sessions, newest first."""

    participant: Participant
    document: Mapping[str, Any]
    sessions: Sequence[Session]


class OperationsService:
    """An operator's view of what is stored. `projects` are those of the configuration."""

    def __init__(self, store: Store, *, projects: Sequence[ProjectId]) -> None:
        self._store = store
        self._projects = projects

    async def status(self) -> GatewayStatus:
        """Who uses this store, and what waits in it."""
        now = datetime.now(UTC)
        processes = [_process(instance, now) for instance in await self._store.instances()]
        return GatewayStatus(processes, await self._store.depth())

    async def verify(self) -> Sequence[Finding]:
        """The broken invariants of the whole store; empty = all hold."""
        return await self._store.verify()

    async def sessions(
        self, *, limit: int, bot: str | None = None, status: SessionStatus | None = None
    ) -> Sequence[Session]:
        """The newest sessions of all projects, newest first."""
        which, page = SessionFilter(bot=bot, status=status), Page(limit=limit)
        found = [
            await self._store.sessions(project_id, which, page=page)
            for project_id in self._projects
        ]
        newest_first = heapq.merge(*found, key=lambda session: session.created_at, reverse=True)
        return list(newest_first)[:limit]

    async def transcript(self, identifier: str, *, with_internal: bool = False) -> Transcript:
        """A session with all its messages; raises NotFound."""
        project_id = await self._store.find_project(identifier)
        session = project_id and await self._store.session(project_id, SessionId(identifier))
        if not session:
            raise NotFound(f"There is no session {identifier}.")
        messages: list[Message] = []
        while True:
            page = Page(
                limit=MESSAGES_A_PAGE,
                order="asc",
                after=(messages[-1].seq,) if messages else None,
            )
            rows = await self._store.messages(
                session.project_id, session.id, page=page, with_internal=with_internal
            )
            messages += rows
            if len(rows) < MESSAGES_A_PAGE:
                return Transcript(session, messages)

    async def explain(self, identifier: str) -> Explanation:
        """What happened to a message, turn, session or delivery; raises NotFound."""
        project_id = await self._store.find_project(identifier)
        if project_id is None:
            raise NotFound(f"There is no message, turn, session or delivery {identifier}.")
        session = await self._store.session(project_id, SessionId(identifier))
        if session is not None:
            return await self._explained(identifier, session, turn_id=None)
        turn_id = await self._store.turn_of(project_id, identifier) or TurnId(identifier)
        turn = await self._store.turn(project_id, turn_id)
        if turn is not None:
            session = await self._store.session(project_id, turn.session_id)
        if session is None:
            raise NotFound(f"{identifier} was removed meanwhile.")
        return await self._explained(identifier, session, turn_id=turn_id)

    async def person(self, identifier: str, *, sessions: int = 20) -> Person:
        """A participant, also by an id that was merged into theirs; raises NotFound."""
        found = await self._store.find_participant(ParticipantId(identifier))
        participant = found and await self._store.participant(*found)
        if not participant:
            raise NotFound(f"There is no participant {identifier}.")
        project_id, participant_id = participant.project_id, participant.id
        document = await self._store.data(project_id, participant_id)
        which = SessionFilter(participant_id=participant_id)
        newest = await self._store.sessions(project_id, which, page=Page(limit=sessions))
        return Person(participant=participant, document=document.value, sessions=newest)

    async def _explained(
        self, identifier: str, session: Session, *, turn_id: TurnId | None
    ) -> Explanation:
        traces = await self._store.traces(session.project_id, session.id, turn_id=turn_id)
        parts = [delivery.id for trace in traces for delivery in trace.deliveries]
        decisions = await self._store.decisions(parts)
        stories = tuple(tell(trace, decisions) for trace in traces)
        return Explanation(asked=identifier, session=session, stories=stories)


def _process(instance: Instance, now: datetime) -> Process:
    age_s = (now - instance.heartbeat_at).total_seconds()
    return Process(
        id=instance.id,
        host=instance.host,
        version=instance.version,
        started_at=instance.started_at,
        heartbeat_at=instance.heartbeat_at,
        heartbeat_age_s=round(age_s, 1),
        is_alive=age_s < ALIVE_FOR_S,
        snapshot=instance.snapshot,
    )
