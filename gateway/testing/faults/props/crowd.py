"""A crowd of bare connections in a process of its own, seen from the row that sent it.

`crowd` starts it and ends it with the block. What its members do is a `Group` each; what became of
them is read with `Crowd.until`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field

RAMP = 100
"""How many connections are being opened at once."""

_LINE_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`count` connections that do the same.

    Each writes one of `openings`, in turns, then a letter of `drip` every `drip_s`, if there are
    any. `until` in what they read is counted as heard.
    """

    count: int
    openings: Sequence[str]
    drip: str = ""
    drip_s: float = 10.0
    until: str = ""


@dataclass(slots=True)
class Crowd:
    """What became of the connections, as last reported.

    Counts: `open` were opened, `refused` could not be, `begun` got a first byte, `heard` what they
    wait for, `closed` were closed by the gateway, `status 200` by the answer's status.
    `longest_s`: the longest time until one was closed.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    longest_s: float = 0.0
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def count(self, what: str) -> int:
        """One of the counts."""
        return self.counts.get(what, 0)

    async def until(self, holds: Callable[[Crowd], bool], *, within_s: float) -> bool:
        """Wait until something holds of the counts; False when it did not in time."""
        try:
            async with asyncio.timeout(within_s), self.news:
                await self.news.wait_for(lambda: holds(self))
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def crowd(port: int, *groups: Group) -> AsyncIterator[Crowd]:
    """Connections that are opened now, and closed at the end of the block."""
    plan = {"port": port, "groups": [asdict(group) for group in groups], "ramp": RAMP}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.testing.faults.props.crowd_process", json.dumps(plan)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    seen = Crowd()
    reading = asyncio.create_task(_read(process, seen))
    try:
        yield seen
    finally:
        process.kill()
        await process.wait()
        await reading


async def _read(process: asyncio.subprocess.Process, seen: Crowd) -> None:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    async for line in process.stdout:
        report = json.loads(line)
        async with seen.news:
            seen.longest_s = report.pop("longest_s")
            seen.counts = report
            seen.news.notify_all()
