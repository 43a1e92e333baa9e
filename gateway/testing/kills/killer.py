"""Kills and starts a gateway at random moments, and measures the starts."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final

from gateway.testing.kills.report import Start
from gateway.testing.process import GatewayProcess

CALM_S: Final = 0.4
"""In so long after a start what was left over is worked off. Of two kills in a row one comes later,
because a turn that three kills stopped counts as poison and is given up. Where others have the
processors, all pauses are longer by as much as the last start was."""
LATEST_S: Final = 0.7
SOON_SHARE: Final = 0.6
IN_START_SHARE: Final = 0.3


class Killer:
    """Kills and starts one gateway, and remembers when. `in_start` counts kills amid a start."""

    def __init__(self, gateway: GatewayProcess, dice: random.Random) -> None:
        self.kills: list[float] = []
        self.starts: list[Start] = []
        self.in_start = 0
        self._gateway = gateway
        self._dice = dice
        self._spawned_at = 0.0
        self._slowness = 1.0
        self._was_soon = False
        self._is_ready = False

    async def start_idle(self) -> None:
        """Start while nothing is to be done, for comparison."""
        self._spawned_at = monotonic()
        await self._gateway.spawn()
        await self._note_ready(is_idle=True)

    async def kill(self) -> None:
        """Kill, and start nothing."""
        self._is_ready = False
        await self._gateway.kill()

    async def kill_and_start(self) -> None:
        """Wait for a random moment in the start or after it, kill, and start at once."""
        is_soon = not self._was_soon and self._dice.random() < SOON_SHARE
        self._was_soon = is_soon
        if is_soon and self._dice.random() < IN_START_SHARE:
            await asyncio.sleep(self._dice.uniform(0, self._idle_start_s()))
            self.in_start += not self._is_ready
        else:
            await self.wait_until_ready()
            span = (0, CALM_S) if is_soon else (CALM_S, LATEST_S)
            await asyncio.sleep(self._dice.uniform(*span) * self._slowness)
        self.kills.append(monotonic())
        await self.kill()
        self._spawned_at = monotonic()
        await self._gateway.spawn()

    async def wait_until_ready(self) -> None:
        """Wait for the end of a start, and note how long it took."""
        if not self._is_ready:
            await self._note_ready(is_idle=False)

    async def _note_ready(self, *, is_idle: bool) -> None:
        await self._gateway.wait_until_ready()
        passed = monotonic() - self._spawned_at
        seconds = passed - kept_waiting_s(self._gateway.pid)
        self._slowness = max(1.0, passed / seconds)
        self.starts.append(Start(seconds, is_idle=is_idle))
        self._is_ready = True

    def _idle_start_s(self) -> float:
        return median(start.seconds for start in self.starts if start.is_idle)


def kept_waiting_s(pid: int) -> float:
    """How long a process could have run while others had the processors; 0 where nobody tells.

    Of its main thread. Linux, Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat:
    nanoseconds on a processor, nanoseconds waiting for one, time slices; read November 2026.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
