"""What a process costs and how long an answer takes, as the system counts it.

Reads `/proc` of Linux. Times of answers are given twice: as a clock saw them, and less the time in
which caller or gateway could have run and no processor was free (`/proc/PID/schedstat`): that part
says something about the machine and its other work, nothing about the gateway.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import ceil
from os import getpid
from pathlib import Path
from time import perf_counter

from gateway.testing.faults.fault import CannotRun


def rss_kib(pid: int) -> int:
    """Resident memory of a process."""
    return _from_status(pid, "VmRSS")


def peak_kib(pid: int) -> int:
    """The most resident memory that a process has had."""
    return _from_status(pid, "VmHWM")


def open_files(pid: int) -> int:
    """How many descriptors a process holds."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _from_status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise CannotRun(f"/proc/{pid}/status does not tell {name}")


def cpu_wait_s(pid: int) -> float:
    """How long the first thread of a process has waited for a processor, since its start."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0


def allow_files(count: int) -> None:
    """Let this process and its children hold so many descriptors; raises CannotRun."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard < count:
        raise CannotRun(f"{count} open files are needed and `ulimit -Hn` allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed; 0 of none.

    >>> percentile([4, 1, 3, 2], 0.5), percentile(range(100), 0.99), percentile([], 0.99)
    (2, 98, 0.0)
    """
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)] if ordered else 0.0


@dataclass(slots=True)
class Laps:
    """Times of answers in seconds: `seen` by the clock, `own` without waits for a processor."""

    seen: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)

    def own_ms(self, share: float) -> float:
        """A percentile of the gateway's own part, in milliseconds."""
        return percentile(self.own, share) * 1000

    def seen_ms(self, share: float) -> float:
        """A percentile of the whole, in milliseconds."""
        return percentile(self.seen, share) * 1000


@asynccontextmanager
async def timing(
    call: Callable[[], Awaitable[object]], gateway_pid: int, *, every_s: float
) -> AsyncIterator[Laps]:
    """Call again and again beside the block, one call after the other, and time each."""
    laps = Laps()
    calling = asyncio.create_task(_keep_calling(call, laps, gateway_pid, every_s))
    try:
        yield laps
    finally:
        calling.cancel()
        await asyncio.wait((calling,))
    if not calling.cancelled():
        calling.result()


async def _keep_calling(
    call: Callable[[], Awaitable[object]], laps: Laps, gateway_pid: int, every_s: float
) -> None:
    pids = (getpid(), gateway_pid)
    while True:
        waited_s = sum(map(cpu_wait_s, pids))
        began = perf_counter()
        await call()
        took_s = perf_counter() - began
        laps.seen.append(took_s)
        laps.own.append(max(0.0, took_s - (sum(map(cpu_wait_s, pids)) - waited_s)))
        await asyncio.sleep(every_s)
