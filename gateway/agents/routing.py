"""Who speaks: the first agent of a turn, the way back from one that was handed the talk.

Pure functions over a bot and a transcript.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.domain.bots import Agent, Bot, handoff_tool_name
from gateway.domain.conversation import Message


def first_agent(bot: Bot, wished: Iterable[str | None]) -> Agent:
    """The first of the wished agents that this bot has and that may talk, else the start agent.

    A stored wish may name an agent that a newer configuration no longer has.
    """
    for name in wished:
        agent = bot.agents.get(name) if name else None
        if agent is not None and agent.kind != "post_process":
            return agent
    return bot.agents[bot.start_agent]


def handoff_targets(bot: Bot, agent: Agent) -> dict[str, Agent]:
    """The agents this one may hand the talk to, by the name of the tool that does it."""
    return {handoff_tool_name(name): bot.agents[name] for name in agent.handoffs}


def parents(bot: Bot, transcript: Sequence[Message]) -> dict[str, str]:
    """Who last handed the talk to each agent, as far as the transcript tells."""
    by_tool = {handoff_tool_name(name): name for name in bot.agents}
    found: dict[str, str] = {}
    for message in transcript:
        giver = message.agent
        if not message.tool_calls or giver is None or giver not in bot.agents:
            continue
        targets = (by_tool.get(call.name) for call in message.tool_calls)
        target = next((name for name in targets if name is not None), None)
        if target is not None and target != giver and not _gives_back(found, message):
            found[target] = giver
    return found


def way_back(bot: Bot, agent: Agent, known: dict[str, str]) -> Agent | None:
    """The nearest agent on the way back that talks to the person, or None.

    The start agent stands at the end of every way back.
    """
    seen = {agent.name}
    name = known.get(agent.name, bot.start_agent)
    while name not in seen:
        seen.add(name)
        parent = bot.agents[name]
        if parent.visibility == "external":
            return parent
        name = known.get(name, bot.start_agent)
    return None


def next_agent(bot: Bot, agent: Agent, known: dict[str, str]) -> str:
    """Who answers the person's next message after this agent replied."""
    match agent.control:
        case "retain":
            return agent.name
        case "relinquish_to_start":
            return bot.start_agent
        case "relinquish_to_parent":
            if agent.name not in known:
                return agent.name
            parent = way_back(bot, agent, known)
            return parent.name if parent else agent.name


def _gives_back(found: dict[str, str], message: Message) -> bool:
    """Whether an internal agent's text goes back to who asked: that makes it nobody's parent."""
    return bool(message.text) and message.visibility == "internal" and message.agent in found
