"""F26: many who send their request a byte at a time, beside people who do not.

Three kinds: half a head, half a body by a caller with a key, half a body for the webhook. All are
to be hung up on in time, and the others are to notice nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.chatter import chatting
from gateway.testing.faults.props.crowd import Group, crowd
from gateway.testing.faults.props.measures import Laps, allow_files, timing
from gateway.testing.kills.settled import wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, SECRET, on_telegram, serving
from gateway.testing.telegram.endpoint import TelegramServer

DRIP_S = 10.0
HEADS_WITHIN_S = 15.0
ALL_WITHIN_S = 30.0
MOST_MS = 200.0
ARRIVING_S = 10.0
SPARE_FILES = 300


@dataclass(frozen=True, slots=True)
class Slowness:
    """What became of `count` slow connections, and how long the others waited meanwhile.

    `limit_s` is when the last of them had to be closed, `longest_s` when it was.
    """

    count: int
    closed: int
    longest_s: float
    limit_s: float
    healthy: Laps


async def _send_slowly(stage: Stage) -> Observation:
    allow_files(stage.pick(150, 2_000) + SPARE_FILES)
    async with TelegramServer() as telegram:
        config = SCRIPTED + DESK + on_telegram(telegram)
        async with (
            serving(stage.folder, config) as (gateway, caller),
            chatting(telegram) as chatter,
        ):
            hook = urlsplit(str(telegram.calls_of("setWebhook")[-1].params["url"])).path
            groups = _groups(stage, key=caller.key, hook=hook)
            async with (
                crowd(gateway.port, *groups) as slow,
                timing(chatter.post, gateway.pid, every_s=0.1) as laps,
            ):
                # The first group alone is hung up on early enough for a short run.
                count = groups[0].count if not stage.is_large else sum(g.count for g in groups)
                limit_s = ALL_WITHIN_S if stage.is_large else HEADS_WITHIN_S
                await slow.until(
                    lambda seen: seen.count("closed") >= count, within_s=limit_s + ARRIVING_S
                )
                found = Slowness(count, slow.count("closed"), slow.longest_s, limit_s, laps)
            stuck = await wait_until_settled(gateway, patience_s=PATIENCE_S)
    seen = (
        f"{sum(group.count for group in groups)} slow, {found.closed} closed within"
        f" {found.longest_s:.1f} s, webhook p99 {laps.own_ms(0.99):.0f} ms"
        f" ({laps.seen_ms(0.99):.0f} by the clock)"
    )
    return Observation(seen, [*judge_slowness(found), *stuck])


def judge_slowness(found: Slowness) -> list[Violation]:
    """What the promises about slow clients say to what was seen."""
    broken = []
    if found.closed < found.count:
        seen = f"{found.closed} of {found.count}"
        broken.append(Violation("slow clients are hung up on", "connections", seen))
    if found.longest_s > found.limit_s:
        seen = f"after {found.longest_s:.1f} s, not within {found.limit_s:.0f}"
        broken.append(Violation("slow clients are hung up on in time", "connections", seen))
    if (own_ms := found.healthy.own_ms(0.99)) > MOST_MS or not found.healthy.own:
        seen = f"p99 {own_ms:.0f} ms of {len(found.healthy.own)} calls"
        broken.append(Violation("others do not wait for them", "webhook", seen))
    return broken


def _groups(stage: Stage, *, key: str, hook: str) -> Sequence[Group]:
    """Half of them never end a head, the others never end a body."""
    half, quarter = stage.pick(75, 1_000), stage.pick(37, 500)
    bearer = f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    secret = f"X-Telegram-Bot-Api-Secret-Token: {SECRET}\r\nContent-Type: application/json\r\n"
    return (
        Group(count=half, openings=[_head("/v1/chat", "X-Slow: ")], drip="a", drip_s=DRIP_S),
        Group(count=quarter, openings=[_body("/v1/chat", bearer)], drip="a", drip_s=DRIP_S),
        Group(count=quarter, openings=[_body(hook, secret)], drip="a", drip_s=DRIP_S),
    )


def _head(path: str, rest: str) -> str:
    return f"POST {path} HTTP/1.1\r\nHost: gateway\r\n{rest}"


def _body(path: str, headers: str) -> str:
    return _head(path, f'{headers}Content-Length: 10000\r\n\r\n{{"input": "')


SLOW_CLIENTS = Fault(
    id="F26",
    name="slow clients",
    promise="closed within 30 s, nobody waits for them",
    injected="2,000 connections at 1 byte per 10 s",
    run=_send_slowly,
)
