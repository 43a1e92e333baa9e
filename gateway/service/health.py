"""HealthService: whether this process should be sent work.

The checks are handed in by whoever builds the daemon; each says what is wrong, or nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import GatewayError

CHECK_LIMIT_S = 5.0

Probe = Callable[[], Awaitable[str | None]]
"""Says in a sentence what is wrong; None = all is well."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its outcome; `problem` None = it passed."""

    name: str
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What is running, and since when."""

    version: str
    started_at: datetime
    commit: str | None = None


class HealthService:
    """Readiness of one process. `is_draining` is set from the first moment of a stop.

    A check that takes longer than `limit_s` has failed.
    """

    def __init__(
        self, build: Build, *, checks: Mapping[str, Probe], limit_s: float = CHECK_LIMIT_S
    ) -> None:
        self.build = build
        self.is_draining = False
        self._checks = checks
        self._limit_s = limit_s

    async def readiness(self) -> list[Check]:
        """All checks, side by side; ready means that none has a problem."""
        draining = Check("draining", "The gateway is stopping." if self.is_draining else None)
        checked = await asyncio.gather(*(self._run(*entry) for entry in self._checks.items()))
        return [*checked, draining]

    async def _run(self, name: str, probe: Probe) -> Check:
        try:
            async with asyncio.timeout(self._limit_s):
                return Check(name, await probe())
        except GatewayError as error:
            return Check(name, error.message)
        except TimeoutError:
            return Check(name, f"No answer within {self._limit_s:g} s.")
