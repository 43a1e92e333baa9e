"""Bots, agents, channels and the gateway itself on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import RootModel

from gateway.api.native.wire.common import Object, Timestamp, Told, timestamp
from gateway.contract import HealthState
from gateway.domain.bots import Agent, AgentKind, Bot
from gateway.service.bots import ChannelStatus


class BotOut(Told):
    """What can be talked to."""

    id: str
    object: Literal["bot"] = "bot"
    slug: str
    uuid: str
    name: str
    description: str
    greeting: str
    version: int
    default: bool
    start_agent: str
    agents: list[str]


class AgentOut(Told):
    """One role inside a bot. `instructions` are shown to admin keys only."""

    id: str
    object: Literal["agent"] = "agent"
    name: str
    bot: str
    kind: AgentKind
    description: str
    model: str
    tools: list[str]
    handoffs: list[str]
    instructions: str | None


class ChannelOut(Told):
    """A channel and how it is; the id is its configured name."""

    id: str
    object: Literal["channel"] = "channel"
    kind: str
    bot: str | None
    state: HealthState
    last_error: str | None
    since: Timestamp | None
    last_in_at: Timestamp | None
    last_out_at: Timestamp | None
    unfinished_turns: int
    undelivered_parts: int
    ignored_events: dict[str, int]


class CheckOut(Told):
    """One check of readiness."""

    name: str
    ok: bool
    detail: str | None


class AliveOut(Told):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class ReadyOut(Told):
    """Whether the process should be sent work; checks are shown to admins and on this machine."""

    status: Literal["ok", "unavailable"]
    checks: list[CheckOut] | None


class VersionOut(Told):
    """What is running."""

    version: str
    commit: str | None
    started_at: Timestamp


class DescriptionOut(RootModel[Object]):
    """An OpenAPI 3.1 document."""


class PageOut(RootModel[str]):
    """A page for people."""


def bot_out(bot: Bot) -> BotOut:
    """A bot as a document."""
    return BotOut(
        id=bot.slug,
        slug=bot.slug,
        uuid=str(bot.uuid),
        name=bot.name,
        description=bot.description,
        greeting=bot.greeting,
        version=bot.version,
        default=bot.is_default,
        start_agent=bot.start_agent,
        agents=list(bot.agents),
    )


def agent_out(agent: Agent, *, bot: Bot, with_instructions: bool) -> AgentOut:
    """An agent as a document."""
    return AgentOut(
        id=agent.name,
        name=agent.name,
        bot=bot.slug,
        kind=agent.kind,
        description=agent.description,
        model=agent.model,
        tools=list(agent.tools),
        handoffs=list(agent.handoffs),
        instructions=agent.instructions if with_instructions else None,
    )


def channel_out(channel: ChannelStatus) -> ChannelOut:
    """A channel as a document."""
    return ChannelOut(
        id=channel.name,
        kind=channel.kind,
        bot=channel.bot,
        state=channel.state,
        last_error=channel.reason,
        since=timestamp(channel.since) if channel.since else None,
        last_in_at=timestamp(channel.last_in_at) if channel.last_in_at else None,
        last_out_at=timestamp(channel.last_out_at) if channel.last_out_at else None,
        unfinished_turns=channel.depth.turns,
        undelivered_parts=channel.depth.deliveries,
        ignored_events=dict(channel.ignored_events),
    )
