"""Turns on the wire: what starts one, and what it looks like at any moment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.api.native.wire.common import Given, Metadata, Object, Timestamp, Told, timestamp
from gateway.api.native.wire.messages import (
    Input,
    MessageOut,
    ToolCallOut,
    UsageOut,
    message_out,
    tool_call_out,
    usage_out,
)
from gateway.domain.conversation import Message
from gateway.domain.turns import Turn

TurnStatus = Literal[
    "queued", "in_progress", "requires_action", "completed", "failed", "cancelled", "incomplete"
]
_STATUS: dict[str, TurnStatus] = {
    "queued": "queued",
    "running": "in_progress",
    "waiting": "in_progress",
    "done": "completed",
    "failed": "failed",
    "dead": "failed",
    "cancelled": "cancelled",
}
ShortText = Annotated[str, Field(min_length=1, max_length=256)]


class ParticipantRef(Given):
    """Who speaks: a known participant by `id`, or a person by platform and external id."""

    id: ShortText | None = None
    channel: Literal["telegram", "slack", "sms", "whatsapp", "web", "api"] = "api"
    external_id: ShortText | None = None
    name: ShortText | None = None
    data: Object | None = None


class MessageIn(Given):
    """What a person says in a session, and how the answer is wanted."""

    input: Input
    agent: ShortText | None = Field(None, description="Agent to start with.")
    stream: bool = Field(default=False, description="Answer with server-sent events.")
    background: bool = Field(default=False, description="Answer at once, with 202.")
    context: Object = Field(default_factory=dict, description="For the agent; never a message.")
    locale: str | None = Field(None, max_length=35)
    timeout_s: float | None = Field(None, gt=0, le=3600)
    client_tools: bool = Field(default=False, description="The caller runs tools of kind client.")
    metadata: Metadata = Field(default_factory=dict)


class ChatIn(MessageIn):
    """The same, where the session may not exist yet. `bot` is a slug; default: the project's."""

    bot: ShortText | None = None
    session_id: ShortText | None = None
    participant: ParticipantRef | None = None


class ToolResult(Given):
    """What a tool gave that the caller ran."""

    call_id: str = Field(min_length=1)
    content: str


class ToolResultsIn(Given):
    """The results of all calls of a turn that requires action."""

    results: list[ToolResult] = Field(min_length=1, max_length=100)
    stream: bool = False
    background: bool = False


class TurnErrorOut(Told):
    """Why a turn failed."""

    code: str
    message: str
    retryable: bool


class TurnOut(Told):
    """One entry to a session and what came of it.

    `output_text` is what the bot said to the person. `tool_calls` is set while the status is
    `requires_action`.
    """

    id: str
    object: Literal["turn"] = "turn"
    status: TurnStatus
    session_id: str
    participant_id: str | None
    bot: str
    agent: str | None
    channel: str | None
    output_text: str | None
    messages: list[MessageOut]
    tool_calls: list[ToolCallOut] | None
    usage: UsageOut
    model: str | None
    error: TurnErrorOut | None
    metadata: Object
    created_at: Timestamp
    started_at: Timestamp | None
    completed_at: Timestamp | None


def turn_status(turn: Turn) -> TurnStatus:
    """The status callers see."""
    if turn.state == "waiting" and turn.tool_calls:
        return "requires_action"
    if turn.is_incomplete and turn.state in ("done", "cancelled"):
        return "incomplete"
    return _STATUS[turn.state]


def turn_out(turn: Turn) -> TurnOut:
    """A turn as a document, with what the bot said in it."""
    said = [message for message in turn.messages if is_said(message)]
    error = turn.error
    is_waiting = turn.state == "waiting" and bool(turn.tool_calls)
    return TurnOut(
        id=turn.id,
        status=turn_status(turn),
        session_id=turn.session_id,
        participant_id=turn.participant_id,
        bot=turn.bot,
        agent=turn.final_agent,
        channel=turn.channel,
        output_text="\n\n".join(message.text for message in said) if said else None,
        messages=[
            message_out(message, session_id=turn.session_id, turn_id=turn.id) for message in said
        ],
        tool_calls=[tool_call_out(call) for call in turn.tool_calls] if is_waiting else None,
        usage=usage_out(turn.usage),
        model=turn.model,
        error=TurnErrorOut(code=error.code, message=error.message, retryable=error.is_retryable)
        if error
        else None,
        metadata=dict(turn.options.metadata),
        created_at=timestamp(turn.created_at),
        started_at=timestamp(turn.started_at) if turn.started_at else None,
        completed_at=timestamp(turn.finished_at) if turn.finished_at else None,
    )


def accepted_out(turn: Turn) -> TurnOut:
    """A turn as it was when it was accepted: the same document however far it is by now."""
    return TurnOut(
        id=turn.id,
        status="queued",
        session_id=turn.session_id,
        participant_id=turn.participant_id,
        bot=turn.bot,
        agent=None,
        channel=turn.channel,
        output_text=None,
        messages=[],
        tool_calls=None,
        usage=UsageOut(input_tokens=0, output_tokens=0),
        model=None,
        error=None,
        metadata=dict(turn.options.metadata),
        created_at=timestamp(turn.created_at),
        started_at=None,
        completed_at=None,
    )


def is_said(message: Message) -> bool:
    """Whether a message is something the bot said to the person."""
    return message.role == "assistant" and message.visibility == "external" and bool(message.text)
