"""Turns that are not over for a while, with all that may keep them: for operators only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.domain.ids import ProjectId, SessionId, TurnId
from gateway.domain.turns import TurnKind, TurnState


@dataclass(frozen=True, slots=True, kw_only=True)
class LingeringTurn:
    """A turn that is not over, and everything that may be the reason.

    `since` is how long it has been in its state. `owner` holds its session until `lease_until`, and
    was last heard of at `owner_seen_at`. `behind` is the turn of its session that goes first.
    `calls` are the tools that a caller has to run.
    """

    id: TurnId
    project_id: ProjectId
    session_id: SessionId
    state: TurnState
    kind: TurnKind
    bot: str
    channel: str
    attempts: int
    is_cancelled: bool
    not_before: datetime
    since: datetime
    calls: tuple[str, ...]
    owner: str | None
    lease_until: datetime | None
    owner_seen_at: datetime | None
    behind: TurnId | None
    behind_state: TurnState | None


class LingeringStore(Protocol):
    """Turns that linger, over all projects."""

    async def lingering_turns(self, *, before: datetime, limit: int) -> list[LingeringTurn]:
        """Turns that have been in their state since before then, the oldest first."""
        ...
