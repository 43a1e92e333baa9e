"""Many bare connections to one port, as a process of its own.

    python -m gateway.testing.faults.props.crowd_process '{"port": 8080, "groups": [...]}'

A connection costs as little as can be: no HTTP client, a protocol with slots. Each writes the
`opening` of its group, then, if it has a `drip`, one byte of it every `drip_s` for ever. Prints
what became of them as a JSON line twice a second, and ends when its input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from time import monotonic
from typing import Any, cast

from gateway.testing.faults.props.crowd import Group
from gateway.testing.faults.props.measures import allow_files

REPORT_EVERY_S = 0.5
SPARE_FILES = 50
_TAIL_BYTES = 64


class _Member(asyncio.Protocol):
    """One connection."""

    __slots__ = ("_crowd", "_group", "_number", "_opened_at", "_tail", "_transport", "sent")

    def __init__(self, crowd: _Crowd, group: Group, number: int) -> None:
        self._crowd = crowd
        self._group = group
        self._number = number
        self._tail: bytes | None = None
        self._opened_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._opened_at = monotonic()
        self._transport = cast(asyncio.Transport, transport)
        self._crowd.counts["open"] += 1
        openings = self._group.openings
        self._transport.write(openings[self._number % len(openings)].encode())

    def data_received(self, data: bytes) -> None:
        counts = self._crowd.counts
        if self._tail is None:
            self._tail = b""
            counts["begun"] += 1
            counts[f"status {data[9:12].decode('ascii', 'replace')}"] += 1
        until = self._group.until.encode()
        seen = self._tail + data
        if until and until in seen:
            counts["heard"] += 1
            until = b""
        self._tail = seen[-_TAIL_BYTES:] if until else b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._crowd.left(monotonic() - self._opened_at)

    def drip(self) -> None:
        """Send the next byte, if the connection still stands."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._group.drip[self.sent % len(self._group.drip)].encode())
            self.sent += 1


class _Crowd:
    """All of them."""

    def __init__(self, port: int, groups: Sequence[Group], ramp: int) -> None:
        self.counts: Counter[str] = Counter()
        self.longest_s = 0.0
        self._port = port
        self._groups = groups
        self._ramp = asyncio.Semaphore(ramp)
        self._dripping: list[asyncio.Task[None]] = []

    def left(self, after_s: float) -> None:
        """Note that a connection was closed."""
        self.counts["closed"] += 1
        self.longest_s = max(self.longest_s, after_s)

    async def arrive(self) -> None:
        """Open all connections, a few at a time."""
        await asyncio.gather(
            *(self._join(group, n) for group in self._groups for n in range(group.count))
        )

    def report(self) -> dict[str, Any]:
        """What became of them so far."""
        return {**self.counts, "longest_s": self.longest_s}

    async def _join(self, group: Group, number: int) -> None:
        loop = asyncio.get_running_loop()
        async with self._ramp:
            try:
                _, member = await loop.create_connection(
                    lambda: _Member(self, group, number), "127.0.0.1", self._port
                )
            except OSError:
                self.counts["refused"] += 1
                return
        if group.drip:
            self._dripping.append(asyncio.create_task(_keep_dripping(member, group.drip_s)))


async def _keep_dripping(member: _Member, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        member.drip()


async def _main(plan: dict[str, Any]) -> None:
    groups = [Group(**group) for group in plan["groups"]]
    allow_files(sum(group.count for group in groups) + SPARE_FILES)
    crowd = _Crowd(plan["port"], groups, plan["ramp"])
    arriving = asyncio.create_task(crowd.arrive())
    loop = asyncio.get_running_loop()
    over = loop.run_in_executor(None, sys.stdin.read)
    while not over.done():
        sys.stdout.write(json.dumps(crowd.report()) + "\n")
        sys.stdout.flush()
        await asyncio.wait((over,), timeout=REPORT_EVERY_S)
    arriving.cancel()


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
