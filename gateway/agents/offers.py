"""The tools an agent's model is offered: its own, those of the caller, and its hand-offs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.agents.tools.table import ANY_ARGUMENTS, ToolTable, tool_definition
from gateway.domain.bots import Agent, Bot, ToolSpec, handoff_tool_name


def offered_tools(
    bot: Bot,
    agent: Agent,
    table: ToolTable,
    *,
    with_client_tools: bool,
    caller_tools: Iterable[ToolSpec] = (),
) -> list[Mapping[str, Any]]:
    """Definitions in the Chat Completions form, in the order of the configuration.

    Client tools only where the caller can run them, others only where the table can. A tool of
    the caller never takes the place of one of the bot's.
    """
    if agent.kind == "post_process":
        return []
    offers: list[Mapping[str, Any]] = []
    names = set()
    for name in agent.tools:
        definition = table.definition(name)
        if bot.tools[name].kind == "client":
            definition = tool_definition(bot.tools[name]) if with_client_tools else None
        if definition is not None:
            offers.append(definition)
            names.add(name)
    for target in agent.handoffs:
        offers.append(_handoff(bot.agents[target]))
        names.add(handoff_tool_name(target))
    offers += [tool_definition(spec) for spec in caller_tools if spec.name not in names]
    return offers


def _handoff(target: Agent) -> dict[str, Any]:
    description = f"Hand the conversation to {target.name}. {target.description}".strip()
    return {
        "type": "function",
        "function": {
            "name": handoff_tool_name(target.name),
            "description": description,
            "parameters": ANY_ARGUMENTS,
        },
    }
