"""Bots, agents and channels, as they are configured."""

from __future__ import annotations

from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.native.wire.catalogue import (
    AgentOut,
    BotOut,
    ChannelOut,
    agent_out,
    bot_out,
    channel_out,
)
from gateway.api.native.wire.common import ListOut, Parameters
from gateway.errors import NotFound


class AgentQuery(Parameters):
    """Of which bot; names of agents are unique within one."""

    bot: str | None = None


async def list_bots(call: Call) -> Answer:
    """The bots a key may use."""
    bots = [bot_out(bot) for bot in call.services.bots.bots(call.principal)]
    return Answer(document=ListOut[BotOut](data=bots, has_more=False, next_cursor=None))


async def read_bot(call: Call) -> Answer:
    """One bot."""
    return Answer(document=bot_out(call.services.bots.bot(call.principal, call.path("slug"))))


async def list_agents(call: Call) -> Answer:
    """The agents of all bots a key may use, or of one."""
    agents = _agents(call, call.query(AgentQuery).bot)
    return Answer(document=ListOut[AgentOut](data=agents, has_more=False, next_cursor=None))


async def read_agent(call: Call) -> Answer:
    """One agent; of the first bot that has it, where none is named."""
    name = call.path("name")
    found = [agent for agent in _agents(call, call.query(AgentQuery).bot) if agent.name == name]
    if not found:
        raise NotFound("There is no such agent.")
    return Answer(document=found[0])


async def list_channels(call: Call) -> Answer:
    """The channels of the project and how they are."""
    channels = await call.services.bots.channels(call.principal)
    data = [channel_out(channel) for channel in channels]
    return Answer(document=ListOut[ChannelOut](data=data, has_more=False, next_cursor=None))


async def read_channel(call: Call) -> Answer:
    """One channel."""
    channel = await call.services.bots.channel(call.principal, call.path("id"))
    return Answer(document=channel_out(channel))


def _agents(call: Call, slug: str | None) -> list[AgentOut]:
    bots = call.services.bots
    chosen = bots.bots(call.principal) if slug is None else [bots.bot(call.principal, slug)]
    is_admin = call.principal.role == "admin"
    return [
        agent_out(agent, bot=bot, with_instructions=is_admin)
        for bot in chosen
        for agent in bot.agents.values()
    ]


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/bots",
        handler=list_bots,
        name="listBots",
        summary="List bots",
        tag="Catalogue",
        demands="agents:read",
        answers={200: ListOut[BotOut]},
    ),
    Endpoint(
        method="GET",
        path="/v1/bots/{slug}",
        handler=read_bot,
        name="readBot",
        summary="Read a bot",
        tag="Catalogue",
        demands="agents:read",
        answers={200: BotOut},
        errors=(404,),
    ),
    Endpoint(
        method="GET",
        path="/v1/agents",
        handler=list_agents,
        name="listAgents",
        summary="List agents",
        tag="Catalogue",
        demands="agents:read",
        query=AgentQuery,
        answers={200: ListOut[AgentOut]},
        errors=(404,),
    ),
    Endpoint(
        method="GET",
        path="/v1/agents/{name}",
        handler=read_agent,
        name="readAgent",
        summary="Read an agent",
        tag="Catalogue",
        demands="agents:read",
        query=AgentQuery,
        answers={200: AgentOut},
        errors=(404,),
    ),
    Endpoint(
        method="GET",
        path="/v1/channels",
        handler=list_channels,
        name="listChannels",
        summary="List channels and how they are",
        tag="Catalogue",
        demands="channels:read",
        answers={200: ListOut[ChannelOut]},
    ),
    Endpoint(
        method="GET",
        path="/v1/channels/{id}",
        handler=read_channel,
        name="readChannel",
        summary="Read a channel",
        tag="Catalogue",
        demands="channels:read",
        answers={200: ChannelOut},
        errors=(404,),
    ),
)
