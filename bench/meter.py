"""Processor time of a server under load, to be compared run by run with another's."""

from __future__ import annotations

from statistics import median

from bench.load import Target, run_load
from bench.processes import cpu_s

USERS = 16
TURNS = 800


class Meter:
    """Processor time and pace of one server over several runs."""

    def __init__(self, pid: int, target: Target) -> None:
        self.target = target
        self._pid = pid
        self._cpu_ms: list[float] = []
        self._turns_per_s: list[float] = []

    async def run(self) -> None:
        """One run of `TURNS` turns."""
        before = cpu_s(self._pid)
        load = await run_load(self.target, users=USERS, turns=TURNS)
        self._cpu_ms.append((cpu_s(self._pid) - before) / TURNS * 1000)
        self._turns_per_s.append(load.turns_per_s)

    def ratio_to(self, other: Meter) -> float:
        """Median of the ratios, run by run, so that a drift of the machine does not count."""
        return median(a / b for a, b in zip(self._cpu_ms, other._cpu_ms, strict=True))

    def __str__(self) -> str:
        return f"{median(self._cpu_ms):.2f} ms CPU, {median(self._turns_per_s):.0f} turns/s"
