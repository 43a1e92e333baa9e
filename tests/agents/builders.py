"""Bots, transcripts and tools for the tests of agents, in one line each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from gateway.agents.journal import MemoryJournal
from gateway.agents.model import Model
from gateway.agents.orchestrator import run_turn
from gateway.agents.tools.context import ToolContext
from gateway.agents.tools.table import ToolTable
from gateway.domain.bots import Agent, Bot, ToolSpec
from gateway.domain.conversation import Message, TextPart
from gateway.domain.ids import ProjectId, new_message_id
from gateway.domain.turns import (
    MessageCompleted,
    TextDelta,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnWaiting,
)

PARAMETERS = {
    "type": "object",
    "properties": {"user_id": {"type": "string"}},
    "required": ["user_id"],
    "additionalProperties": False,
}


def agent(name: str, **settings: Any) -> Agent:
    return Agent(name=name, instructions=f"You are {name}.", **{"model": "main", **settings})


def bot(*agents: Agent, tools: Sequence[ToolSpec] = (), **settings: Any) -> Bot:
    agents = agents or (agent("Desk"),)
    return Bot(
        slug="support",
        uuid=UUID(int=1),
        project_id=ProjectId("demo"),
        name="Support",
        agents={one.name: one for one in agents},
        start_agent=agents[0].name,
        tools={spec.name: spec for spec in tools},
        **settings,
    )


def tool(name: str = "get_balance", **settings: Any) -> ToolSpec:
    defaults = {"kind": "python", "description": "A balance.", "parameters": PARAMETERS}
    return ToolSpec(name=name, **{**defaults, **settings})


def user(text: str, **fields: Any) -> Message:
    return Message(id=new_message_id(), role="user", content=(TextPart(text),), **fields)


def assistant(text: str = "", **fields: Any) -> Message:
    said = {"content": (TextPart(text),) if text else ()}
    return Message(id=new_message_id(), role="assistant", **{**said, **fields})


def result(call_id: str, text: str, **fields: Any) -> Message:
    return Message(
        id=new_message_id(),
        role="tool",
        content=(TextPart(text),),
        tool_call_id=call_id,
        visibility="internal",
        **fields,
    )


class RecordingTool:
    """A runner that notes what it was called with."""

    def __init__(self, answer: str | Exception | Callable[[], Awaitable[str]] = "12.50") -> None:
        self.calls: list[tuple[Mapping[str, Any], ToolContext]] = []
        self._answer = answer

    async def __call__(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        self.calls.append((arguments, context))
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer if isinstance(self._answer, str) else await self._answer()


class Told:
    """The events of one turn and what can be read from them."""

    def __init__(self, events: list[TurnEvent]) -> None:
        self.events = events

    @property
    def messages(self) -> list[Message]:
        return [e.message for e in self.events if isinstance(e, MessageCompleted)]

    @property
    def shown(self) -> str:
        return "".join(e.text for e in self.events if isinstance(e, TextDelta))

    @property
    def external(self) -> list[str]:
        return [
            m.text for m in self.messages if m.role == "assistant" and m.visibility == "external"
        ]

    @property
    def finished(self) -> TurnFinished:
        assert isinstance(self.events[-1], TurnFinished), self.events[-1]
        return self.events[-1]

    @property
    def failed(self) -> TurnFailed:
        assert isinstance(self.events[-1], TurnFailed), self.events[-1]
        return self.events[-1]

    @property
    def waiting(self) -> TurnWaiting:
        assert isinstance(self.events[-1], TurnWaiting), self.events[-1]
        return self.events[-1]

    def of(self, kind: type[TurnEvent]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def told(
    bot: Bot,
    history: Sequence[Message],
    model: Model,
    *,
    tools: ToolTable | None = None,
    **settings: Any,
) -> Told:
    """Run a turn to its end, every agent on the same model."""
    events = run_turn(
        bot,
        history,
        **{
            "models": {"main": model},
            "tools": tools or ToolTable(),
            "journal": MemoryJournal("turn_1"),
            **settings,
        },
    )
    return Told([event async for event in events])
