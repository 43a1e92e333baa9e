"""Builds everything that moves in one process, over an open store; starts nothing."""

from __future__ import annotations

import platform
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gateway import __version__
from gateway.agents.failover import build_models
from gateway.agents.journal import TurnJournal
from gateway.agents.model import Model
from gateway.agents.orchestrator import run_turn
from gateway.agents.tools.build import build_tools
from gateway.agents.tools.table import ToolTable
from gateway.config.digest import bot_digest
from gateway.config.values import Config
from gateway.daemon.secret import server_secret
from gateway.domain.bots import Bot
from gateway.domain.ids import ProjectId, new_instance_id
from gateway.domain.turns import ClaimedTurn, TurnEvent
from gateway.flow.attempt import Think
from gateway.flow.catalogue import Catalogue
from gateway.flow.doubt import Doubt
from gateway.flow.host import ChannelPort, Supervisor
from gateway.flow.intake import Admission, Intake
from gateway.flow.janitor import Janitor
from gateway.flow.live import Live
from gateway.flow.outbox import Outbox
from gateway.flow.worker import Worker
from gateway.registry import Registry
from gateway.service.access import AccessService
from gateway.service.bots import BotsService
from gateway.service.chat import ChatService
from gateway.service.health import Build, HealthService, Probe
from gateway.service.history import HistoryService
from gateway.service.keys import KeyService
from gateway.service.people import PeopleService
from gateway.service.repeats import RepeatService
from gateway.service.services import Services
from gateway.service.signing import Signer
from gateway.service.visits import VisitService
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that moves in one process, built and not started."""

    catalogue: Catalogue
    live: Live
    worker: Worker
    outbox: Outbox
    doubt: Doubt
    supervisor: Supervisor
    janitor: Janitor
    services: Services


@asynccontextmanager
async def build(
    config: Config, store: Store, *, registry: Registry, runs_turns: bool
) -> AsyncIterator[Parts]:
    """Put everything together; models are closed on leaving.

    `runs_turns` False: another process works on this store, callers here wait for it.
    """
    policy = config.policy()
    catalogue = await _catalogue(config, store, registry=registry)
    models = build_models(config.models(), policy.model)
    instance, live, admission = _instance(), Live(), Admission()
    connected: set[str] = set()

    def current() -> Catalogue:
        return catalogue

    outbox = Outbox(store, current, owner=instance.id, connected=connected)
    worker = Worker(
        store,
        current,
        think=_thinking(catalogue, models),
        live=live,
        owner=instance.id,
        limits=policy.queue if runs_turns else replace(policy.queue, turns=0),
        history_messages=policy.history_messages,
        wake_outbox=outbox.wake,
    )
    intake = Intake(
        store,
        current,
        worker=worker,
        wake_outbox=outbox.wake,
        limits=policy.queue,
        admission=admission,
    )
    supervisor = Supervisor(
        [
            ChannelPort(binding.channel, store=store, intake=intake, connected=connected)
            for binding in catalogue.channels.values()
        ]
    )
    janitor = Janitor(
        store,
        instance,
        retention=policy.retention,
        admission=admission,
        snapshot=lambda: _snapshot(worker, supervisor),
        is_alone=True,
        data_path=config.settings.store.data_dir,
        min_free_bytes=policy.min_free_bytes,
    )
    chat = ChatService(store, current, intake=intake, worker=worker, live=live)
    services = _services(
        config,
        store,
        current,
        chat=chat,
        supervisor=supervisor,
        checks=_checks(store, admission, supervisor, catalogue),
        started_at=instance.started_at,
    )
    try:
        yield Parts(
            catalogue=catalogue,
            live=live,
            worker=worker,
            outbox=outbox,
            doubt=Doubt(
                store,
                current,
                owner=instance.id,
                connected=connected,
                wake_outbox=outbox.wake,
            ),
            supervisor=supervisor,
            janitor=janitor,
            services=services,
        )
    finally:
        for model in models.values():
            await model.aclose()


def _services(
    config: Config,
    store: Store,
    current: Callable[[], Catalogue],
    *,
    chat: ChatService,
    supervisor: Supervisor,
    checks: Mapping[str, Probe],
    started_at: datetime,
) -> Services:
    signer = Signer(server_secret(config))
    access = AccessService(store, signer, limits=config.policy().callers)
    return Services(
        chat=chat,
        history=HistoryService(store, current),
        people=PeopleService(store),
        bots=BotsService(current, supervisor.health),
        access=access,
        keys=KeyService(store, signer, access=access),
        visits=VisitService(store, signer, access=access, catalogue=current),
        repeats=RepeatService(store),
        health=HealthService(Build(version=__version__, started_at=started_at), checks=checks),
        signer=signer,
    )


async def _catalogue(config: Config, store: Store, *, registry: Registry) -> Catalogue:
    """Bots with their running numbers, and an adapter for every channel that is switched on."""
    bots: dict[tuple[ProjectId, str], Bot] = {}
    for bot in config.bots():
        digest, content = bot_digest(bot)
        version = await store.bot_version(bot.project_id, bot.slug, digest=digest, config=content)
        bots[bot.project_id, bot.slug] = replace(bot, version=version)
    channels = registry.bind(config.channels(), public_url=config.settings.server.shown_url)
    return Catalogue(bots=bots, channels=channels)


def _thinking(catalogue: Catalogue, models: Mapping[str, Model]) -> Think:
    """`run_turn` with the models and tools of each bot already given."""
    tables: dict[tuple[ProjectId, str], ToolTable] = {
        key: build_tools(bot.tools.values()) for key, bot in catalogue.bots.items()
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


def _instance() -> Instance:
    now = datetime.now(UTC)
    return Instance(
        id=new_instance_id(),
        host=platform.node(),
        version=__version__,
        started_at=now,
        heartbeat_at=now,
        snapshot={},
    )


def _snapshot(worker: Worker, supervisor: Supervisor) -> Mapping[str, Any]:
    """What `status` shows of a running process."""
    return {
        "turns": worker.running,
        "channels": {
            name: {"state": health.state, "reason": health.reason}
            for name, health in supervisor.health().items()
        },
    }


def _checks(
    store: Store, admission: Admission, supervisor: Supervisor, catalogue: Catalogue
) -> Mapping[str, Probe]:
    async def storing() -> str | None:
        await store.ping()
        return None

    async def admitting() -> str | None:
        return admission.refusal

    async def connected() -> str | None:
        health = supervisor.health()
        missing = [
            name
            for name, binding in catalogue.channels.items()
            if binding.is_required and health[name].state != "connected"
        ]
        return f"Not connected: {', '.join(missing)}." if missing else None

    return {"store": storing, "disk": admitting, "channels": connected}
