"""The rows of the benchmark: each measures one thing against its yardstick and says the limit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from aiohttp import ClientSession

from bench.filling import fill
from bench.gateways import TURNS_A_SESSION, Server, gateway, model, yardstick
from bench.load import Target, first_text_s, new_client, run_load, send
from bench.meter import TURNS, USERS, Meter
from bench.processes import resident_mib
from bench.row import Row

ROUNDS = 6
WARM_UP = 320
MANY_MESSAGES = 200_000
FEW_MESSAGES = 1_000


async def cpu_per_turn() -> list[Row]:
    """Row 1: processor time of a durable turn against the package limit, run about with it."""
    async with (
        model() as url,
        yardstick("hard", url) as (hard_pid, hard),
        yardstick("package", url) as (package_pid, package),
        gateway(url) as server,
    ):
        turns = WARM_UP + ROUNDS * TURNS
        sessions = await server.open_sessions(turns // (TURNS_A_SESSION - 1))
        ours = server.in_growing(sessions)
        meters = [
            Meter(hard_pid, hard),
            Meter(package_pid, package),
            Meter(server.pid, ours),
        ]
        for meter in meters:
            await run_load(meter.target, users=USERS, turns=WARM_UP)
        for _ in range(ROUNDS):
            for meter in meters:
                await meter.run()
    hard_meter, package_meter, our_meter = meters
    return [
        Row(
            number="-",
            what="yardstick: hard limit",
            measured=str(hard_meter),
            compared="package limit",
            value=hard_meter.ratio_to(package_meter),
            must=1.0,
            goal=1.0,
        ),
        Row(
            number="1",
            what="CPU of a durable turn, 16 users",
            measured=str(our_meter),
            compared=f"package limit {package_meter}",
            value=our_meter.ratio_to(package_meter),
            must=1.4,
            goal=0.8,
        ),
    ]


async def slow_model() -> list[Row]:
    """Row 3: a model of 200 ms, 64 users, against a server without storage."""
    async with model("--delay-ms", "200") as url:
        async with yardstick("bare", url) as (_, target):
            await run_load(target, users=64, turns=128, spread_s=0.2)
            bare = await run_load(target, users=64, turns=1_280, spread_s=0.2)
        async with gateway(url) as server:
            sessions = await server.open_sessions(64)
            target = server.in_sessions(sessions.__getitem__)
            await run_load(target, users=64, turns=128, spread_s=0.2)
            ours = await run_load(target, users=64, turns=1_280, spread_s=0.2)
    return [
        Row(
            number="3",
            what="200 ms model, 64 users",
            measured=f"{ours.turns_per_s:.0f} turns/s",
            compared=f"without storage {bare.turns_per_s:.0f} turns/s",
            value=ours.turns_per_s / bare.turns_per_s,
            must=0.95,
            goal=0.98,
            at_least=True,
        )
    ]


async def added_time() -> list[Row]:
    """Rows 4 and 5: what one user waits beyond the model itself, which answers at once."""
    async with model() as url, gateway(url) as server:
        direct = Target(
            url=lambda _: f"{url}/chat/completions",
            body=lambda _: {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
            headers={},
        )
        sessions = await server.open_sessions(200 // (TURNS_A_SESSION - 1) + 1)
        added_ms = await _alternating(direct, server.in_growing(sessions), turns=200)
    stub = ("--chunks", "20", "--chunk-delay-ms", "2")
    async with model(*stub) as url, gateway(url) as server:
        messages = [{"role": "user", "content": "Hi"}]
        direct = Target(
            url=lambda _: f"{url}/chat/completions",
            body=lambda _: {"model": "m", "messages": messages, "stream": True},
            headers={},
        )
        first_ms = await _alternating_first(direct, server.streaming(), turns=100)
    return [
        Row(
            number="4",
            what="added p50, one user",
            measured=f"{added_ms:.2f} ms",
            compared="the model itself",
            value=added_ms,
            must=4,
            goal=2,
            unit="ms",
        ),
        Row(
            number="5",
            what="first streamed byte",
            measured=f"+{first_ms:.2f} ms",
            compared="the model's own",
            value=first_ms,
            must=4,
            goal=1.5,
            unit="ms",
        ),
    ]


async def long_history() -> list[Row]:
    """Rows 6 and 12: a conversation of 1,000 messages, for itself and for its neighbours."""
    async with model() as url, gateway(url) as server:
        long, *others = await server.open_sessions(18)
        await run_load(server.in_session(long), users=1, turns=500)
        short_s: list[float] = []
        long_s: list[float] = []
        async with new_client() as client:
            for short in others[:15]:
                for _ in range(5):
                    long_s.append(await _timed(client, server.in_session(long)))
                    short_s.append(await _timed(client, server.in_session(short)))
        alone, beside = await _neighbour(server, busy=long, quiet=others[15], idle=others[16])
    ratio = median(long_s) / median(short_s)
    return [
        Row(
            number="6",
            what="p50 at 1,000 messages of history",
            measured=f"{median(long_s) * 1000:.2f} ms",
            compared=f"at 10: {median(short_s) * 1000:.2f} ms",
            value=ratio,
            must=1.2,
            goal=1.05,
        ),
        Row(
            number="12",
            what="p99 beside one with 1,000 messages",
            measured=f"{beside * 1000:.2f} ms",
            compared=f"beside one with 10: {alone * 1000:.2f} ms",
            value=beside / alone,
            must=1.5,
            goal=1.1,
        ),
    ]


async def large_store() -> list[Row]:
    """Row 7: 200,000 stored messages against 1,000."""

    def many(folder: Path) -> None:
        fill(folder / "data" / "gateway.db", messages=MANY_MESSAGES)

    def few(folder: Path) -> None:
        fill(folder / "data" / "gateway.db", messages=FEW_MESSAGES)

    large_s: list[float] = []
    small_s: list[float] = []
    async with (
        model() as url,
        gateway(url, prepare=many) as large,
        gateway(url, prepare=few) as small,
        new_client() as client,
    ):
        for server in (large, small):
            await run_load(server.new_sessions(), users=4, turns=200)
        for _ in range(400):
            large_s.append(await _timed(client, large.new_sessions()))
            small_s.append(await _timed(client, small.new_sessions()))
    return [
        Row(
            number="7",
            what="p50 with 200,000 stored messages",
            measured=f"{median(large_s) * 1000:.2f} ms",
            compared=f"with 1,000: {median(small_s) * 1000:.2f} ms",
            value=median(large_s) / median(small_s),
            must=1.10,
            goal=1.03,
        )
    ]


async def memory() -> list[Row]:
    """Row 8: memory after 10,000 new conversations."""
    async with model() as url, gateway(url) as server:
        await run_load(server.new_sessions(), users=USERS, turns=2_000)
        before = resident_mib(server.pid)
        await run_load(server.new_sessions(), users=USERS, turns=10_000)
        grown = resident_mib(server.pid) - before
    return [
        Row(
            number="8",
            what="memory after 10,000 conversations",
            measured=f"{grown:+.1f} MiB",
            compared=f"before: {before:.1f} MiB",
            value=grown,
            must=5,
            goal=1,
            unit="MiB",
        )
    ]


async def start() -> list[Row]:
    """Row 9: idle memory and start to ready, for both kinds of models."""
    rows: list[Row] = []
    async with model() as url:
        for name, address, limits in (
            ("scripted", None, (60, 48, 1.0, 0.6)),
            ("OpenAI-compatible", url, (95, 78, 2.0, 1.4)),
        ):
            ready: list[float] = []
            idle: list[float] = []
            for _ in range(5):
                async with gateway(address) as server:
                    await asyncio.sleep(1)
                    ready.append(server.ready_s)
                    idle.append(resident_mib(server.pid))
            rows += _start_rows(name, median(idle), median(ready), limits)
    return rows


def _start_rows(
    name: str, idle: float, ready: float, limits: tuple[float, float, float, float]
) -> Sequence[Row]:
    must_mib, goal_mib, must_s, goal_s = limits
    return (
        Row(
            number="9",
            what=f"idle memory, {name} model",
            measured=f"{idle:.1f} MiB",
            compared="",
            value=idle,
            must=must_mib,
            goal=goal_mib,
            unit="MiB",
        ),
        Row(
            number="9",
            what=f"start to ready, {name} model",
            measured=f"{ready:.2f} s",
            compared="",
            value=ready,
            must=must_s,
            goal=goal_s,
            unit="s",
        ),
    )


async def _alternating(direct: Target, ours: Target, *, turns: int) -> float:
    """Median of ours minus median of direct, in milliseconds, one call of each in turn."""
    direct_s: list[float] = []
    ours_s: list[float] = []
    async with new_client() as client:
        for number in range(turns):
            first, second = await _timed(client, direct), await _timed(client, ours)
            if number >= turns // 10:
                direct_s.append(first)
                ours_s.append(second)
    return (median(ours_s) - median(direct_s)) * 1000


async def _alternating_first(direct: Target, ours: Target, *, turns: int) -> float:
    """The same for the first bytes of text of a streamed answer."""
    direct_s: list[float] = []
    ours_s: list[float] = []
    async with new_client() as client:
        for number in range(turns):
            first = await first_text_s(client, direct, mark=b'"content":"w')
            second = await first_text_s(client, ours, mark=b"message.delta")
            if number >= turns // 10:
                direct_s.append(first)
                ours_s.append(second)
    return (median(ours_s) - median(direct_s)) * 1000


async def _neighbour(server: Server, *, busy: str, quiet: str, idle: str) -> tuple[float, float]:
    """The 99th percentile of a quiet session's turns beside a short one, and beside a long one."""
    beside: dict[str, list[float]] = {busy: [], idle: []}
    async with new_client() as client:
        for _ in range(6):
            for neighbour in (idle, busy):
                noise = asyncio.create_task(
                    run_load(server.in_session(neighbour), users=1, turns=60)
                )
                while not noise.done():
                    beside[neighbour].append(await _timed(client, server.in_session(quiet)))
                await noise
    return _p99(beside[idle]), _p99(beside[busy])


async def _timed(client: ClientSession, target: Target) -> float:
    began = perf_counter()
    await send(client, target, 0)
    return perf_counter() - began


def _p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100)[98]
