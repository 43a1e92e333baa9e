"""Turns: one entry to a session worked to its end, what happens inside, and what it leaves.

`TurnEvent` is the closed union that `agents.orchestrator.run_turn` yields and every listener reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.domain.conversation import Message, Session, ToolCall, Usage
from gateway.domain.delivery import NewDelivery
from gateway.domain.ids import MessageId, ProjectId, SessionId, TurnId

TurnKind = Literal["message", "prompt", "send", "command"]
TurnState = Literal["queued", "running", "waiting", "done", "failed", "dead", "cancelled"]

TERMINAL: frozenset[TurnState] = frozenset({"done", "failed", "dead", "cancelled"})
CRASHES_BEFORE_DEAD = 3
EVENTS_PER_ATTEMPT = 1_000_000
"""Event numbers of attempt n start at (n - 1) x this + 1, so that they rise over attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """What the caller of a turn asked for beside the text; stored with the turn as JSON.

    `context` is an object for the agent and is never stored as a message. `agent` starts the
    turn at another agent. `tool_results` answer the calls of a turn that waited (call id ->
    content).
    """

    context: Mapping[str, Any] = field(default_factory=dict)
    agent: str | None = None
    client_tools: bool = False
    is_resumable: bool = False
    timeout_s: float | None = None
    locale: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tool_results: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TurnError:
    """Why a turn failed: stable code, and a sentence for callers without secrets."""

    code: str
    message: str
    is_retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One entry to a session and its outcome.

    `seq` is its place in the session. `messages` (assistant and tool, oldest first, and the
    user's own) are filled where the reader asked for them. `is_incomplete` marks a reply cut by
    a limit or a cancel.
    """

    id: TurnId
    project_id: ProjectId
    session_id: SessionId
    seq: int
    kind: TurnKind
    state: TurnState
    bot: str
    attempts: int = 0
    crash_count: int = 0
    options: TurnOptions = field(default_factory=TurnOptions)
    final_agent: str | None = None
    model: str | None = None
    usage: Usage = field(default_factory=Usage)
    error: TurnError | None = None
    is_incomplete: bool = False
    cancel_requested: bool = False
    bot_version: int | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    messages: tuple[Message, ...] = ()
    participant_id: str | None = None
    channel: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it by itself: it has ended, or waits for its caller."""
        return self.state in TERMINAL or self.state == "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on a session: who holds it and the fencing epoch it was given."""

    session_id: SessionId
    project_id: ProjectId
    owner: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedTurn:
    """A turn with all that is needed to run it: lease, session, transcript window.

    `history` is oldest first, ends with this turn's own user messages, and is bounded by the claim.
    """

    lease: Lease
    session: Session
    turn: Turn
    history: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """What a turn leaves: committed in one transaction if the lease still holds.

    `state` is where the turn goes (`queued` = try again). `messages` are
    new transcript entries in order.
    """

    state: TurnState
    messages: tuple[Message, ...] = ()
    deliveries: tuple[NewDelivery, ...] = ()
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    final_agent: str | None = None
    next_agent: str | None = None
    error: TurnError | None = None
    is_incomplete: bool = False
    tool_calls: tuple[ToolCall, ...] = ()
    counts_attempt: bool = True
    bot_version: int | None = None


@dataclass(frozen=True, slots=True)
class MessageStarted:
    """An agent begins a message that will be shown."""

    message_id: MessageId
    agent: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the message in progress."""

    message_id: MessageId
    text: str


@dataclass(frozen=True, slots=True)
class TextRestarted:
    """The text of that message so far is void; it starts over."""

    message_id: MessageId


@dataclass(frozen=True, slots=True)
class MessageCompleted:
    """A transcript entry is complete (it is stored only when the turn is)."""

    message: Message


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A tool is about to run."""

    call: ToolCall
    agent: str


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool came back; `is_ok` False when it failed."""

    call_id: str
    name: str
    is_ok: bool


@dataclass(frozen=True, slots=True)
class HandedOff:
    """The talk went from one agent to another."""

    from_agent: str
    to_agent: str


@dataclass(frozen=True, slots=True)
class TurnWaiting:
    """The caller has to run these tools; last event of this run."""

    tool_calls: tuple[ToolCall, ...]
    final_agent: str
    next_agent: str
    usage: Usage
    model: str | None


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The turn came to its end; last event. `is_incomplete` when a limit cut it."""

    final_agent: str
    next_agent: str
    usage: Usage
    model: str | None
    is_incomplete: bool = False


@dataclass(frozen=True, slots=True)
class TurnFailed:
    """The turn gave up; last event."""

    error: TurnError
    usage: Usage
    is_transient: bool = False


TurnEvent = (
    MessageStarted
    | TextDelta
    | TextRestarted
    | MessageCompleted
    | ToolCalled
    | ToolReturned
    | HandedOff
    | TurnWaiting
    | TurnFinished
    | TurnFailed
)
