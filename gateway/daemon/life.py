"""The life of the process: open, recover, run, listen, drain, close.

Start and stop are the same nesting read in two directions. Starting after a crash is the same path
as any start. A second signal skips the drain.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
from aiohttp import web

from gateway.config.values import Config
from gateway.daemon.listening import listening
from gateway.daemon.parts import Parts, build
from gateway.daemon.pulse import beat
from gateway.daemon.reloading import Reloader
from gateway.flow.crash_points import check_armed
from gateway.registry import Registry
from gateway.store.open import open_store
from gateway.store.protocol import Store
from gateway.telemetry.systemd import notify, watchdog_interval_s

log = structlog.get_logger(__name__)

LISTEN_AFTER_STOP_S = 5.0
SWITCH_INTERVAL_S = 0.0005
"""How long a thread may hold the interpreter while another waits for it. SQLite's calls let go of
it and want it back for every statement: with CPython's 5 ms a busy loop would delay each of them by
that much (measured: twice the turns a second at 16 users)."""


async def serve(
    config: Config, *, registry: Registry, on_ready: Callable[[Parts], None] | None = None
) -> None:
    """Run until SIGTERM or SIGINT, then drain; SIGHUP reads the configuration again.

    Raises HeldElsewhere, StoreError and ConfigError before anything was served.
    """
    check_armed()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    signals = _Signals()
    async with (
        open_store(config.settings.store.url, lock=True) as store,
        build(config, store, registry=registry, runs_turns=True) as parts,
        _at_work(
            parts,
            Reloader(parts.flow, registry=registry, asked=signals.reload).run,
            *_pulses(parts, store),
        ),
    ):
        async with listening(config, parts) as listener:
            parts.flow.supervisor.hear()
            _settle_memory()
            notify("READY=1")
            log.info("gateway_ready", url=config.settings.server.shown_url)
            if on_ready is not None:
                on_ready(parts)
            await signals.stop.wait()
            log.info("gateway_stopping")
            notify("STOPPING=1")
            await signals.unless_second(_drain(config, parts, listener))
        await parts.janitor.leave()
    log.info("gateway_stopped")


def _settle_memory() -> None:
    """Take what start-up made out of the garbage collector's sight: it lives as long as we do.

    What a turn makes is freed by counting references; cycles are few and may wait a little.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@asynccontextmanager
async def working(config: Config, *, registry: Registry) -> AsyncIterator[Parts]:
    """Everything at work but channels and HTTP: for a command that talks to a bot alone.

    Raises HeldElsewhere when a daemon holds the data directory.
    """
    async with (
        open_store(config.settings.store.url, lock=True) as store,
        build(config, store, registry=registry, runs_turns=True) as parts,
        _at_work(parts, with_channels=False),
    ):
        try:
            yield parts
            parts.services.chat.begin_drain()
            await parts.flow.worker.drain(within_s=config.policy().drain_s)
        finally:
            await parts.janitor.leave()


class _Signals:
    """What the process is told: stop (a second time: at once), or reload.

    SIGHUP from a terminal that is gone means stop.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reload = asyncio.Event()
        self._second = asyncio.Event()
        self._has_terminal = _is_at_terminal()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._note_stop)
        loop.add_signal_handler(signal.SIGHUP, self._note_hangup)

    async def unless_second(self, work: Coroutine[Any, Any, None]) -> None:
        """Await the work, or drop it when the second signal comes first."""
        working = asyncio.create_task(work)
        forcing = asyncio.create_task(self._second.wait())
        await asyncio.wait((working, forcing), return_when=asyncio.FIRST_COMPLETED)
        forcing.cancel()
        if not working.done():
            log.warning("drain_skipped")
            working.cancel()
            await asyncio.wait((working,))
        else:
            working.result()

    def _note_stop(self) -> None:
        (self._second if self.stop.is_set() else self.stop).set()

    def _note_hangup(self) -> None:
        if self._has_terminal and not _is_at_terminal():
            self._note_stop()
        else:
            self.reload.set()


def _is_at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


@asynccontextmanager
async def _at_work(
    parts: Parts, *more: Callable[[], Coroutine[Any, Any, None]], with_channels: bool = True
) -> AsyncIterator[None]:
    """Recover, then run all workers inside; an unexpected error of one ends the process."""
    await parts.janitor.recover()
    runs = [parts.flow.worker.run, parts.janitor.run, *more]
    if with_channels:
        runs += [parts.flow.outbox.run, parts.flow.doubt.run, parts.flow.supervisor.run]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run()) for run in runs]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _drain(config: Config, parts: Parts, listener: web.BaseSite) -> None:
    """Take nothing new, finish what is held, within `server.drain_s` in all."""
    parts.services.health.is_draining = True
    parts.services.chat.begin_drain()
    closing = asyncio.create_task(_close_later(listener))
    try:
        loop = asyncio.get_running_loop()
        drain_s = config.policy().drain_s
        deadline = loop.time() + drain_s
        await parts.flow.supervisor.deafen(within_s=min(drain_s, LISTEN_AFTER_STOP_S))
        await parts.flow.worker.drain(within_s=max(0.0, deadline - loop.time()))
        await parts.flow.outbox.drain(within_s=max(0.0, deadline - loop.time()))
    finally:
        closing.cancel()


async def _close_later(listener: web.BaseSite) -> None:
    """Go on accepting for a moment, while balancers notice, then stop listening."""
    await asyncio.sleep(LISTEN_AFTER_STOP_S)
    await listener.stop()


def _pulses(parts: Parts, store: Store) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
    """The pulse, if the service manager wants one."""
    interval_s = watchdog_interval_s()
    if interval_s is None:
        return ()
    worker, outbox = parts.flow.worker, parts.flow.outbox
    return (
        partial(
            beat,
            ping=store.ping,
            last_pass_at=lambda: min(worker.last_pass_at, outbox.last_pass_at),
            interval_s=interval_s,
            tell=notify,
        ),
    )
