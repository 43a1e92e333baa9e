"""Bots with their running numbers, channels bound anew, and thinking with models given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import replace

from gateway.agents.journal import TurnJournal
from gateway.agents.model import Model
from gateway.agents.orchestrator import run_turn
from gateway.agents.tools.load import load_tools
from gateway.agents.tools.table import ToolTable
from gateway.config.digest import bot_digest, bot_document
from gateway.config.values import Config
from gateway.domain.bots import Bot
from gateway.domain.ids import ProjectId
from gateway.domain.turns import ClaimedTurn, TurnEvent
from gateway.flow.attempt import Think
from gateway.flow.catalogue import ChannelBinding
from gateway.http_client import HttpClient
from gateway.registry import bound
from gateway.store.protocol import Store


async def load_bots(config: Config, store: Store) -> dict[tuple[ProjectId, str], Bot]:
    """Every bot with its running number; a changed one gets the next."""
    bots: dict[tuple[ProjectId, str], Bot] = {}
    for bot in config.bots():
        version = await store.bot_version(
            bot.project_id, bot.slug, digest=bot_digest(bot), config=bot_document(bot)
        )
        bots[bot.project_id, bot.slug] = replace(bot, version=version)
    return bots


def bind_again(channels: Mapping[str, ChannelBinding], config: Config) -> dict[str, ChannelBinding]:
    """The same adapters, used as that configuration says; it names all of them."""
    specs = {spec.name: spec for spec in config.channels()}
    return {name: bound(binding.channel, specs[name]) for name, binding in channels.items()}


def load_tables(bots: Iterable[Bot], *, http: HttpClient) -> dict[tuple[ProjectId, str], ToolTable]:
    """The tools of each bot; raises ConfigError where one cannot be run."""
    return {(bot.project_id, bot.slug): load_tools(bot.tools.values(), http=http) for bot in bots}


def thinking(
    tables: Mapping[tuple[ProjectId, str], ToolTable], models: Mapping[str, Model]
) -> Think:
    """`run_turn` with the models and tools of each bot already given."""

    def think(
        bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        session = claimed.session
        return run_turn(
            bot,
            claimed.history,
            models=models,
            tools=tables[bot.project_id, bot.slug],
            journal=journal,
            options=claimed.turn.options,
            agent=session.agent,
            state=session.state,
            session_id=session.id,
            participant_id=session.participant_id,
            wants_stream=wants_stream,
            request_id=claimed.turn.id,
        )

    return think
