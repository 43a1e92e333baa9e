"""The events of a turn's stream: `event:` is their `type`, `id:` their `seq`."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from gateway.api.native.wire.common import Told
from gateway.api.native.wire.messages import MessageOut
from gateway.api.native.wire.turns import TurnErrorOut, TurnOut


class TurnCreated(Told):
    """The turn is on disk."""

    type: Literal["turn.created"] = "turn.created"
    seq: int
    turn: TurnOut


class TurnInProgress(Told):
    """An attempt begins; messages of an earlier one that were not completed are void."""

    type: Literal["turn.in_progress"] = "turn.in_progress"
    seq: int
    turn_id: str
    attempt: int


class MessageCreated(Told):
    """A message begins."""

    type: Literal["message.created"] = "message.created"
    seq: int
    message: MessageOut


class MessageDelta(Told):
    """More text of a message."""

    type: Literal["message.delta"] = "message.delta"
    seq: int
    message_id: str
    text: str


class MessageRestarted(Told):
    """The text of that message so far is void; it starts over."""

    type: Literal["message.restarted"] = "message.restarted"
    seq: int
    message_id: str


class MessageCompleted(Told):
    """A message is complete; it is stored when its turn is."""

    type: Literal["message.completed"] = "message.completed"
    seq: int
    message: MessageOut


class ToolStarted(Told):
    """A tool is about to run."""

    type: Literal["tool.started"] = "tool.started"
    seq: int
    name: str
    call_id: str
    agent: str


class ToolCompleted(Told):
    """A tool came back."""

    type: Literal["tool.completed"] = "tool.completed"
    seq: int
    name: str
    call_id: str
    ok: bool


class AgentHandoff(Told):
    """The talk went from one agent to another; `from` and `to` are their names."""

    model_config = ConfigDict(
        frozen=True, serialize_by_alias=True, validate_by_name=True, defer_build=True
    )

    type: Literal["agent.handoff"] = "agent.handoff"
    seq: int
    from_: str = Field(alias="from")
    to: str


class TurnRequiresAction(Told):
    """The caller has to run tools; last event until their results are given."""

    type: Literal["turn.requires_action"] = "turn.requires_action"
    seq: int
    turn: TurnOut


class TurnCompleted(Told):
    """The turn is done; last event."""

    type: Literal["turn.completed"] = "turn.completed"
    seq: int
    turn: TurnOut


class TurnFailed(Told):
    """The turn gave up; last event."""

    type: Literal["turn.failed"] = "turn.failed"
    seq: int
    error: TurnErrorOut
    turn: TurnOut


class TurnCancelled(Told):
    """Somebody stopped the turn; last event."""

    type: Literal["turn.cancelled"] = "turn.cancelled"
    seq: int
    turn: TurnOut


class TurnIncomplete(Told):
    """A limit or somebody cut the turn, and what was said until then is kept; last event."""

    type: Literal["turn.incomplete"] = "turn.incomplete"
    seq: int
    turn: TurnOut


class Ping(Told):
    """Nothing happened; the connection lives. Has no `id:`."""

    type: Literal["ping"] = "ping"


EventOut = (
    TurnCreated
    | TurnInProgress
    | MessageCreated
    | MessageDelta
    | MessageRestarted
    | MessageCompleted
    | ToolStarted
    | ToolCompleted
    | AgentHandoff
    | TurnRequiresAction
    | TurnCompleted
    | TurnFailed
    | TurnCancelled
    | TurnIncomplete
)
EVENTS = (*EventOut.__args__, Ping)
"""All documents of a stream, for the description."""
