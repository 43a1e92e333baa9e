"""What a tool is told about its call, and what it gives back.

Who is talking comes from the session, never from what the model wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.domain.ids import ParticipantId, ProjectId, SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """In whose name a tool runs.

    `context` is the object the caller of the turn gave. `idempotency_key` is the same each time
    the same call of the same turn is repeated. Session and participant are None where the caller
    owns the history.
    """

    project_id: ProjectId
    bot: str
    idempotency_key: str
    session_id: SessionId | None = None
    participant_id: ParticipantId | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told; `is_ok` False when the tool failed."""

    text: str
    is_ok: bool = True


class ToolRunner(Protocol):
    """Runs one tool; raises ToolError with a sentence for the model."""

    async def __call__(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        """The result as text."""
        ...
