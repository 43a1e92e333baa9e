"""F24 and F25: many who listen and hear nothing, and one who does not read what it is sent.

Idle listeners must cost little, hold nobody up, and all hear the bot when it speaks at last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.chatter import Chatter, chatting
from gateway.testing.faults.props.crowd import Group, crowd
from gateway.testing.faults.props.holding import HOLD, Holding
from gateway.testing.faults.props.measures import Laps, allow_files, rss_kib, timing
from gateway.testing.kills.settled import wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import PATIENCE_S, Caller, on_telegram, serving
from gateway.testing.telegram.endpoint import TelegramServer

TURNS = 4
"""Silent turns that the crowd listens to."""
MOST_KIB = 40
MOST_MS = 100.0
SPARE_FILES = 300
WARM_UP = 50
Speak = Callable[[], None]

LIMITS = """
[limits]
requests_per_minute = 0
"""


@dataclass(frozen=True, slots=True)
class Listened:
    """What was seen of many listeners: `heard` got the end of their turn, `streamed` an answer."""

    count: int
    streamed: int
    heard: int
    kib_each: float
    webhook: Laps


async def _idle(stage: Stage) -> Observation:
    allow_files(stage.pick(300, 10_000) + SPARE_FILES)
    async with Holding() as holding, TelegramServer() as telegram:
        config = LIMITS + holding.config + on_telegram(telegram)
        async with (
            serving(stage.folder, config) as (gateway, caller),
            chatting(telegram) as chatter,
        ):
            openings = [_follow(turn, caller.key) for turn in await _silent_turns(caller, holding)]
            listened = await _listen(stage, gateway, chatter, openings, holding.let_go)
            stuck = await wait_until_settled(gateway, patience_s=PATIENCE_S)
    seen = (
        f"{listened.count} listeners, {listened.kib_each:.1f} KiB each, {listened.heard} heard all,"
        f" webhook p99 {listened.webhook.own_ms(0.99):.0f} ms"
        f" ({listened.webhook.seen_ms(0.99):.0f} by the clock)"
    )
    return Observation(seen, [*judge_listeners(listened), *stuck])


def judge_listeners(listened: Listened) -> list[Violation]:
    """What the promises about idle listeners say to what was seen."""
    found = []
    if listened.heard < listened.count:
        seen = f"{listened.heard} of {listened.count}, {listened.streamed} were let in"
        found.append(Violation("every listener hears its turn", "streams", seen))
    if listened.kib_each > MOST_KIB:
        seen = f"{listened.kib_each:.1f} KiB"
        found.append(Violation(f"a listener costs at most {MOST_KIB} KiB", "memory", seen))
    if (own_ms := listened.webhook.own_ms(0.99)) > MOST_MS:
        seen = f"p99 {own_ms:.0f} ms"
        found.append(Violation("listeners hold nobody up", "webhook", seen))
    return found


async def _silent_turns(caller: Caller, holding: Holding) -> list[str]:
    turns = [await caller.say(f"{HOLD} {n}", background=True) for n in range(TURNS)]
    await holding.wait_for_calls(TURNS, within_s=PATIENCE_S)
    return [str(turn["id"]) for turn in turns]


async def _listen(
    stage: Stage, gateway: GatewayProcess, chatter: Chatter, openings: Sequence[str], speak: Speak
) -> Listened:
    """Let the crowd come, time the webhook beside it, let the bot speak."""
    count = stage.pick(300, 10_000)
    for _ in range(WARM_UP):
        await chatter.post()
    before_kib = rss_kib(gateway.pid)
    group = Group(count=count, openings=openings, until="turn.completed")
    async with crowd(gateway.port, group) as listeners:
        await listeners.until(lambda seen: seen.count("begun") >= count, within_s=PATIENCE_S)
        stage.tell(f"{listeners.count('begun')} of {count} listen")
        async with timing(chatter.post, gateway.pid, every_s=0.1) as laps:
            await asyncio.sleep(stage.pick(4, 40))
        after_kib = rss_kib(gateway.pid)
        speak()
        await listeners.until(lambda seen: seen.count("heard") >= count, within_s=PATIENCE_S)
        return Listened(
            count=count,
            streamed=listeners.count("status 200"),
            heard=listeners.count("heard"),
            kib_each=(after_kib - before_kib) / count,
            webhook=laps,
        )


def _follow(turn: str, key: str) -> str:
    """A request for the events of a turn."""
    return (
        f"GET /v1/turns/{turn}/events HTTP/1.1\r\nHost: gateway\r\n"
        f"Authorization: Bearer {key}\r\nAccept: text/event-stream\r\n\r\n"
    )


IDLE_LISTENERS = Fault(
    id="F24",
    name="idle listeners",
    promise="all hear, and cost 40 KiB each",
    injected="10,000 idle event streams",
    run=_idle,
)
