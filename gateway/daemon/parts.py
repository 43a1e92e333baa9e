"""Builds everything that moves in one process, over an open store; starts nothing."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gateway import __version__
from gateway.config.values import Config
from gateway.daemon.in_force import InForce, put_in_force
from gateway.daemon.secret import server_secret
from gateway.domain.ids import new_instance_id
from gateway.domain.policy import Policy
from gateway.flow.catalogue import Catalogue
from gateway.flow.doubt import Doubt
from gateway.flow.host import ChannelPort, Supervisor
from gateway.flow.intake import Admission, Intake
from gateway.flow.janitor import Janitor
from gateway.flow.live import Live
from gateway.flow.live_reply import LiveOutputs
from gateway.flow.media import Media, MediaLimits
from gateway.flow.outbox import Outbox
from gateway.flow.sealed_notes import NoteSeal
from gateway.flow.worker import Worker
from gateway.http_client import HttpClient
from gateway.registry import Registry
from gateway.service.access import AccessService
from gateway.service.bots import BotsService
from gateway.service.chat import ChatService
from gateway.service.files import FileService
from gateway.service.health import Build, HealthService, Probe
from gateway.service.history import HistoryService
from gateway.service.keys import KeyService
from gateway.service.people import PeopleService
from gateway.service.repeats import RepeatService
from gateway.service.sending import SendingService
from gateway.service.services import Services
from gateway.service.signing import Signer
from gateway.service.standing import StandingService
from gateway.service.visits import VisitService
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The moving parts between what comes in and what goes out."""

    in_force: InForce
    live: Live
    admission: Admission
    worker: Worker
    intake: Intake
    outbox: Outbox
    doubt: Doubt
    outputs: LiveOutputs
    supervisor: Supervisor

    def current(self) -> Catalogue:
        """The catalogue in force."""
        return self.in_force.catalogue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that moves in one process, built and not started."""

    flow: Flow
    janitor: Janitor
    services: Services


@asynccontextmanager
async def build(
    config: Config, store: Store, *, registry: Registry, runs_turns: bool
) -> AsyncIterator[Parts]:
    """Put everything together; models are closed on leaving.

    `runs_turns` False: another process works on this store, callers here wait for it.
    """
    policy, instance = config.policy(), _instance()
    if not runs_turns:
        policy = replace(policy, queue=replace(policy.queue, turns=0))
    async with (
        aclosing(HttpClient()) as http,
        aclosing(await put_in_force(config, store, registry=registry, http=http)) as in_force,
    ):
        seal = NoteSeal(server_secret(config))
        flow = _flow(store, in_force, policy=policy, owner=instance.id, seal=seal)
        janitor = Janitor(
            store,
            instance,
            retention=policy.retention,
            admission=flow.admission,
            snapshot=lambda: _snapshot(flow),
            is_alone=True,
            data_path=config.settings.store.data_dir,
            min_free_bytes=policy.min_free_bytes,
        )
        services = _services(config, store, flow, started_at=instance.started_at)
        yield Parts(flow=flow, janitor=janitor, services=services)


def _flow(store: Store, in_force: InForce, *, policy: Policy, owner: str, seal: NoteSeal) -> Flow:
    live, admission, connected = Live(), Admission(), set[str]()
    current = in_force.catalogue
    outputs = LiveOutputs()
    outbox = Outbox(store, current, owner=owner, connected=connected, pacers=outputs.pacers)
    worker = Worker(
        store,
        current,
        thinking=in_force.think,
        live=live,
        owner=owner,
        limits=policy.queue,
        history_messages=policy.history_messages,
        wake_outbox=outbox.wake,
        media=Media(
            store,
            transcriber=in_force.transcriber,
            limits=MediaLimits(file_bytes=policy.callers.file_bytes),
        ),
        outputs=outputs,
    )
    intake = Intake(
        store,
        current,
        worker=worker,
        wake_outbox=outbox.wake,
        limits=policy.queue,
        admission=admission,
    )
    ports = [
        ChannelPort(binding.channel, store=store, intake=intake, connected=connected, seal=seal)
        for binding in current().channels.values()
    ]
    doubt = Doubt(store, current, owner=owner, connected=connected, send=outbox.send)
    return Flow(
        in_force=in_force,
        live=live,
        admission=admission,
        worker=worker,
        intake=intake,
        outbox=outbox,
        doubt=doubt,
        outputs=outputs,
        supervisor=Supervisor(ports),
    )


def _services(config: Config, store: Store, flow: Flow, *, started_at: datetime) -> Services:
    signer = Signer(server_secret(config))
    access = AccessService(store, signer, limits=config.policy().callers)
    chat = ChatService(store, flow.current, intake=flow.intake, worker=flow.worker, live=flow.live)
    files = FileService(store, max_bytes=config.policy().callers.file_bytes)
    return Services(
        chat=chat,
        files=files,
        sending=SendingService(store, flow.current, intake=flow.intake, files=files),
        history=HistoryService(store, flow.current, cancel=chat.cancel),
        people=PeopleService(store),
        standing=StandingService(store, signer, stop=flow.worker.cancel_session),
        bots=BotsService(
            flow.current, flow.supervisor.health, store.depth_by_channel, flow.outbox.last_out_at
        ),
        access=access,
        keys=KeyService(store, signer, access=access),
        visits=VisitService(store, signer, access=access, catalogue=flow.current),
        repeats=RepeatService(store),
        health=HealthService(
            Build(version=__version__, started_at=started_at), checks=_checks(store, flow)
        ),
        signer=signer,
    )


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


def _snapshot(flow: Flow) -> Mapping[str, Any]:
    """What `status` shows of a running process."""
    last_out_at = flow.outbox.last_out_at()
    return {
        "turns": flow.worker.running,
        "channels": {
            name: {
                "state": health.state,
                "reason": health.reason,
                "last_in_at": _iso(health.last_in_at),
                "last_out_at": _iso(last_out_at.get(name)),
                "ignored_events": dict(health.ignored_events),
                "live_failures": flow.outputs.failures[name],
            }
            for name, health in flow.supervisor.health().items()
        },
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _checks(store: Store, flow: Flow) -> Mapping[str, Probe]:
    async def storing() -> str | None:
        await store.ping()
        return None

    async def admitting() -> str | None:
        return flow.admission.refusal

    async def accepting() -> str | None:
        return flow.intake.times.problem

    async def connected() -> str | None:
        health = flow.supervisor.health()
        missing = [
            name
            for name, binding in flow.current().channels.items()
            if binding.is_required and health[name].state != "connected"
        ]
        return f"Not connected: {', '.join(missing)}." if missing else None

    return {"store": storing, "disk": admitting, "accepting": accepting, "channels": connected}
