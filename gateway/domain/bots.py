"""Bots: what an outsider talks to; agents, hand-offs and tools behind it.

Pure values made from the configuration. A bot checks itself when it is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from gateway.domain.ids import ProjectId

Control = Literal["retain", "relinquish_to_parent", "relinquish_to_start"]
AgentKind = Literal["conversation", "post_process", "escalation"]
ToolKind = Literal["client", "http", "python", "mcp"]
ToolAccess = Literal["read", "write", "admin"]

HANDOFF_PREFIX = "transfer_to_"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as an agent sees it, and how it is run.

    `parameters` is a JSON Schema of the arguments object. `target` is the address of an http
    tool or `module:name` of a python tool.
    """

    name: str
    kind: ToolKind
    description: str
    parameters: Mapping[str, Any]
    access: ToolAccess = "read"
    target: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 20
    max_bytes: int = 1_048_576
    is_idempotent: bool = False
    allow_private_network: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One role inside a bot: instructions, a model, tools, and whom it may pass the talk to."""

    name: str
    instructions: str
    model: str
    description: str = ""
    handoffs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    control: Control = "retain"
    visibility: Literal["external", "internal"] = "external"
    kind: AgentKind = "conversation"
    temperature: float | None = None
    max_tokens: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """What an outsider talks to. `takes_pictures`: some agent's model is shown them.

    Raises ValueError when the start agent, a hand-off target or a tool does not exist, or when
    two hand-off tools of one agent would have the same name.
    """

    slug: str
    uuid: UUID
    project_id: ProjectId
    name: str
    agents: Mapping[str, Agent]
    start_agent: str
    tools: Mapping[str, ToolSpec] = field(default_factory=dict)
    description: str = ""
    greeting: str = "How can I help you today?"
    suggestions: tuple[str, ...] = ()
    apology: str = "Sorry, something went wrong on our side. Please try again."
    is_default: bool = False
    max_hops: int = 10
    max_tool_calls: int = 25
    turn_timeout_s: float = 300
    window_tokens: int = 8000
    session_idle_s: float = 0
    takes_pictures: bool = False
    version: int = 1

    def __post_init__(self) -> None:
        if self.start_agent not in self.agents:
            raise ValueError(f"start_agent {self.start_agent!r} is not an agent of this bot")
        for agent in self.agents.values():
            _check_agent(agent, bot=self)

    @property
    def post_process(self) -> Agent | None:
        """The agent that rewrites the final reply, if there is one."""
        return next((a for a in self.agents.values() if a.kind == "post_process"), None)


def handoff_tool_name(agent_name: str) -> str:
    """The name of the tool by which a model hands the talk to that agent.

    >>> handoff_tool_name("Outstanding Payments")
    'transfer_to_outstanding_payments'
    """
    slug = "".join(
        letter if letter.isascii() and letter.isalnum() else "_" for letter in agent_name
    )
    return (HANDOFF_PREFIX + slug.lower())[:64]


def _check_agent(agent: Agent, *, bot: Bot) -> None:
    names: dict[str, str] = {}
    for target in agent.handoffs:
        if target not in bot.agents:
            raise ValueError(f"agent {agent.name!r} hands off to unknown agent {target!r}")
        tool_name = handoff_tool_name(target)
        if tool_name in names or tool_name in agent.tools:
            raise ValueError(f"agent {agent.name!r} has two tools named {tool_name!r}")
        names[tool_name] = target
    for tool in agent.tools:
        if tool not in bot.tools:
            raise ValueError(f"agent {agent.name!r} uses unknown tool {tool!r}")
