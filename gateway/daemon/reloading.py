"""Reads the configuration again when it is asked to, and puts in force what it can.

A file that is wrong changes nothing. Turns that run finish with what they began with. Channels,
addresses and whatever else is made once at start wait for a restart, which is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from gateway.config.load import load
from gateway.config.reload import Plan, plan_reload
from gateway.config.values import Config
from gateway.daemon.in_force import InForce, Models
from gateway.daemon.parts import Flow
from gateway.errors import ConfigError, GatewayError
from gateway.registry import Registry
from gateway.telemetry.logs import configure_logs

log = structlog.get_logger(__name__)


class Reloader:
    """Reloads each time `asked` is set."""

    def __init__(self, flow: Flow, *, registry: Registry, asked: asyncio.Event) -> None:
        self._in_force: InForce = flow.in_force
        self._worker = flow.worker
        self._registry = registry
        self._asked = asked

    async def run(self) -> None:
        """Reload when asked, one at a time, until cancelled."""
        async with asyncio.TaskGroup() as closing:
            while True:
                await self._asked.wait()
                self._asked.clear()
                retired = await self._reload()
                if retired is not None:
                    closing.create_task(self._close(retired))

    async def _reload(self) -> Models | None:
        """Reload once, whatever comes of it; gives the models to be closed."""
        running = self._in_force.config
        try:
            fresh = await asyncio.to_thread(self._load, running)
            plan = plan_reload(running, fresh)
            retired = await self._in_force.replace(plan.config)
        except ConfigError as error:
            _refuse(error.problems)
        except GatewayError as error:
            _refuse([error.message])
        except Exception:
            log.exception("reload_broke")
        else:
            _tell(running, plan)
            return retired
        return None

    def _load(self, running: Config) -> Config:
        return load(
            running.path,
            settings_model_of=self._registry.settings_model,
            imports_functions=True,
        )

    async def _close(self, retired: Models) -> None:
        """Close models when no turn is left that may ask them."""
        await self._worker.settled()
        await self._in_force.close(retired)


def _refuse(problems: Sequence[str]) -> None:
    log.error("reload_refused", problems=list(problems))


def _tell(running: Config, plan: Plan) -> None:
    """Log what changed, with the level that is in force now."""
    wanted = plan.config.settings.log
    if wanted.level != running.settings.log.level:
        configure_logs(level=wanted.level, log_format=wanted.format, shows_content=wanted.content)
    log.info("configuration_reloaded", changes=list(plan.changes))
    if plan.waiting:
        log.warning("restart_needed", waiting=list(plan.waiting))
