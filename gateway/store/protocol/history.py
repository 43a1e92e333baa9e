"""Sessions and messages for readers, and the changes callers make to a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from gateway.contract import Address
from gateway.domain.conversation import Message, Session
from gateway.domain.delivery import Delivery
from gateway.domain.ids import ParticipantId, ProjectId, SessionId, TurnId
from gateway.domain.turns import Turn
from gateway.store.protocol.turns import StoredToolResult

Order = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A piece of a list: up to `limit` rows beyond `after`, the sort key of the last row seen.

    Sessions and participants sort by (created_at in microseconds, id), messages by (seq,).
    """

    limit: int = 20
    order: Order = "desc"
    after: tuple[int | str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions to list; None = any. An empty `bots` = any bot."""

    participant_id: ParticipantId | None = None
    channel: str | None = None
    bot: str | None = None
    bots: frozenset[str] = frozenset()
    agent: str | None = None
    status: Literal["active", "ended"] | None = None
    tag: str | None = None
    updated_after: datetime | None = None
    updated_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session made without a message."""

    id: SessionId
    project_id: ProjectId
    bot: str
    channel: str
    participant_id: ParticipantId
    address: Address | None = None
    account: str | None = None
    agent: str | None = None
    title: str | None = None
    metadata: Mapping[str, Any] | None = None
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanges:
    """What to change; a field that is not in `fields` stays. `fields` are names of this class."""

    fields: frozenset[str]
    title: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None
    state: Mapping[str, Any] | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class TurnTrace:
    """Everything that happened in one turn: the turn with messages, its tool calls, its parts."""

    turn: Turn
    tools: Sequence[StoredToolResult]
    deliveries: Sequence[Delivery]


class HistoryStore(Protocol):
    """Sessions and messages."""

    async def create_session(self, new: NewSession) -> Session:
        """Write a session; raises NotFound when the participant is unknown in the project."""
        ...

    async def session(self, project_id: ProjectId, session_id: SessionId) -> Session | None:
        """One session, or None."""
        ...

    async def find_project(self, identifier: str) -> ProjectId | None:
        """The project of a session, turn, message or delivery id; for operators' commands only."""
        ...

    async def turn_of(self, project_id: ProjectId, identifier: str) -> TurnId | None:
        """The turn that a message or delivery id belongs to; for operators' commands only."""
        ...

    async def sessions(
        self, project_id: ProjectId, which: SessionFilter, *, page: Page
    ) -> list[Session]:
        """Sessions in the page's order."""
        ...

    async def change_session(
        self,
        project_id: ProjectId,
        session_id: SessionId,
        changes: SessionChanges,
        *,
        if_version: int | None = None,
    ) -> Session | None:
        """Change a session; None = unknown. Raises PreconditionFailed on another version."""
        ...

    async def end_session(
        self, project_id: ProjectId, session_id: SessionId, *, reason: str
    ) -> Session | None:
        """End a session; a second call changes nothing. None = unknown."""
        ...

    async def delete_session(self, project_id: ProjectId, session_id: SessionId) -> bool:
        """Remove a session with all its rows; False = unknown."""
        ...

    async def messages(
        self,
        project_id: ProjectId,
        session_id: SessionId,
        *,
        page: Page,
        with_internal: bool = False,
    ) -> list[Message]:
        """Messages with their delivery state, in the page's order."""
        ...

    async def traces(
        self, project_id: ProjectId, session_id: SessionId, *, turn_id: TurnId | None = None
    ) -> list[TurnTrace]:
        """What happened in the turns of a session (or one of them), oldest first."""
        ...
