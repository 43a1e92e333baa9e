"""Load: a number of users, each sending its next message when the last was answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

import aiohttp


@dataclass(frozen=True, slots=True)
class Target:
    """Where turns go: address, headers, and the body of user n's next message."""

    url: Callable[[int], str]
    body: Callable[[int], Mapping[str, object]]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Load:
    """What came out: seconds of each turn, and of the whole."""

    latencies_s: Sequence[float]
    elapsed_s: float

    @property
    def turns_per_s(self) -> float:
        """Turns a second."""
        return len(self.latencies_s) / self.elapsed_s

    @property
    def p50_ms(self) -> float:
        """Median of a turn."""
        return median(self.latencies_s) * 1000

    @property
    def p99_ms(self) -> float:
        """99th percentile of a turn."""
        return quantiles(self.latencies_s, n=100)[98] * 1000


def new_client() -> aiohttp.ClientSession:
    """A client without a limit of connections."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=120)
    return aiohttp.ClientSession(connector=connector)


async def run_load(target: Target, *, users: int, turns: int, spread_s: float = 0) -> Load:
    """Send `turns` messages in all with that many users at once.

    They begin within `spread_s`, evenly: people do not write in lockstep, as users that all began
    at once would go on doing with a model that always takes the same time.
    """
    latencies: list[float] = []
    left = turns

    async def user(number: int, client: aiohttp.ClientSession) -> None:
        nonlocal left
        await asyncio.sleep(spread_s * number / users)
        while left > 0:
            left -= 1
            began = perf_counter()
            await send(client, target, number)
            latencies.append(perf_counter() - began)

    async with new_client() as client:
        began = perf_counter()
        await asyncio.gather(*(user(number, client) for number in range(users)))
        return Load(latencies, perf_counter() - began)


async def send(client: aiohttp.ClientSession, target: Target, number: int) -> bytes:
    """One message of user `number`; raises RuntimeError when it is not answered with 2xx."""
    body = json.dumps(target.body(number)).encode()
    headers = {"Content-Type": "application/json", **target.headers}
    async with client.post(target.url(number), data=body, headers=headers) as answer:
        content = await answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status}: {content[:300]!r}")
        return content


async def first_text_s(client: aiohttp.ClientSession, target: Target, *, mark: bytes) -> float:
    """Seconds from sending a streaming call to the first bytes that hold `mark`."""
    body = json.dumps(target.body(0)).encode()
    headers = {"Content-Type": "application/json", **target.headers}
    began = perf_counter()
    async with client.post(target.url(0), data=body, headers=headers) as answer:
        seen = b""
        first = 0.0
        async for chunk in answer.content.iter_any():
            seen += chunk
            if not first and mark in seen:
                first = perf_counter() - began
        if not first:
            raise RuntimeError(f"{answer.status}: no {mark!r} in {seen[:300]!r}")
        return first
