"""Bots with their running numbers, adapters for the channels, and thinking with models given."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
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
from gateway.flow.catalogue import Catalogue
from gateway.http_client import HttpClient
from gateway.registry import Registry
from gateway.store.protocol import Store


async def load_catalogue(config: Config, store: Store, *, registry: Registry) -> Catalogue:
    """Bots with their running numbers, and an adapter for every channel that is switched on."""
    bots: dict[tuple[ProjectId, str], Bot] = {}
    for bot in config.bots():
        version = await store.bot_version(
            bot.project_id, bot.slug, digest=bot_digest(bot), config=bot_document(bot)
        )
        bots[bot.project_id, bot.slug] = replace(bot, version=version)
    channels = registry.bind(config.channels(), public_url=config.settings.server.shown_url)
    return Catalogue(bots=bots, channels=channels)


def thinking(catalogue: Catalogue, models: Mapping[str, Model], *, http: HttpClient) -> Think:
    """`run_turn` with the models and tools of each bot already given."""
    tables: dict[tuple[ProjectId, str], ToolTable] = {
        key: load_tools(bot.tools.values(), http=http) for key, bot in catalogue.bots.items()
    }

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
