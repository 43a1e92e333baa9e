"""F23: neighbours who make noise: one session with a long queue, and one tenant who floods.

Judged by what the fake model was asked, which no load of the machine changes, and by the time that
others waited beside the noise and without it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from time import perf_counter

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.measures import percentile
from gateway.testing.kills.settled import wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.openai.endpoint import ModelCall, OpenAIServer
from gateway.testing.openai.replies import Reply
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import PATIENCE_S, Caller, calling, over_endpoint

SLOTS = 16
THINKS_S = 0.25
SENDERS = 10
CALM_CALLERS = 4
QUESTIONS = 6
BURST = 40
LONGEST_S = 0.8
"""No answer takes longer."""
FLOOD_SESSIONS = 50
PAUSE_S = 0.1
MOST_OF_IDEAL = 1.5
MOST_OF_CALM = 2.0
ROUNDS = 3
"""A round that holds is believed; one that does not may have met other work of the machine."""
NOISY, QUIET, FLOOD = "noisy", "quiet", "flood"

CONFIG = """
[limits]
requests_per_minute = 0
turns = SLOTS
queued_per_session = 600
queued_per_project = QUEUED

[[projects]]
id = "calm"

[[projects]]
id = "loud"

[[bots]]
slug = "support"
project = "calm"

[[bots.agents]]
name = "Desk"
model = "main"

[[bots]]
slug = "sales"
project = "loud"

[[bots.agents]]
name = "Seller"
model = "main"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What others noticed of it, each as the best of some rounds.

    `session_time` and `session_slots`: how long quiet sessions took beside a noisy one, as a
    multiple of without, by the clock and in turns that were begun meanwhile. `tenant_time`: the p95
    of another tenant, as a multiple too. `most_running`: turns of the flooding tenant at work while
    others waited.
    """

    session_time: float
    session_slots: float
    tenant_time: float
    most_running: int


async def _make_noise(stage: Stage) -> Observation:
    async with (
        OpenAIServer(_answer) as model,
        _two_tenants(stage, model) as (gateway, calm, loud),
    ):
        session_time, session_slots = await _beside_a_session(stage, model, calm)
        stage.tell("one session was noisy")
        tenant_time, most_running = await _beside_a_tenant(model, calm, loud)
        found = await wait_until_settled(gateway, patience_s=PATIENCE_S)
    noise = Noise(
        session_time=session_time,
        session_slots=session_slots,
        tenant_time=tenant_time,
        most_running=most_running,
    )
    seen = (
        f"quiet sessions {noise.session_time:.2f} of ideal ({noise.session_slots:.2f} in turns),"
        f" other tenants p95 {noise.tenant_time:.2f} of calm,"
        f" {noise.most_running} of {SLOTS} slots for the flood while others wait"
    )
    return Observation(seen, [*judge_noise(noise), *found])


def judge_noise(noise: Noise) -> list[Violation]:
    """What is promised to neighbours."""
    found = []
    for what, value in (("clock", noise.session_time), ("turns", noise.session_slots)):
        if value > MOST_OF_IDEAL:
            promise = f"quiet sessions take at most {MOST_OF_IDEAL:g} of ideal"
            found.append(Violation(promise, what, f"{value:.2f}"))
    if noise.tenant_time > MOST_OF_CALM:
        promise = f"other tenants wait at most {MOST_OF_CALM:g} as long"
        found.append(Violation(promise, "clock", f"{noise.tenant_time:.2f}"))
    if not 0 < noise.most_running <= SLOTS // 2:
        promise = "a tenant has up to half while others wait"
        found.append(Violation(promise, "turns", f"{noise.most_running} of {SLOTS}"))
    return found


async def _beside_a_session(
    stage: Stage, model: OpenAIServer, caller: Caller
) -> tuple[float, float]:
    """Quiet sessions alone, then beside a session with a long queue: the best of some rounds."""
    quiet = stage.pick(48, 100)
    ideal_s = min([await _all_answered(caller, quiet) for _ in range(2)])
    first = await caller.say(f"{NOISY} first", background=True)
    await _send_many(caller, NOISY, stage.pick(30, 500), str(first["session_id"]))
    times, slots = [], []
    for _ in range(ROUNDS):
        before = len(model.calls)
        times.append(await _all_answered(caller, quiet) / ideal_s)
        begun = _begun(model.calls[before:])
        slots.append(1 + begun[NOISY] / quiet)
        if times[-1] <= MOST_OF_IDEAL:
            break
    return min(times), min(slots)


async def _beside_a_tenant(model: OpenAIServer, calm: Caller, loud: Caller) -> tuple[float, int]:
    """A tenant alone, then beside one who floods; and how much the latter runs in a burst."""
    alone_s = await _p95(calm)
    async with _flooding(loud):
        times = []
        for _ in range(ROUNDS):
            times.append(await _p95(calm) / alone_s)
            if times[-1] <= MOST_OF_CALM:
                break
        before = len(model.calls)
        await _all_answered(calm, BURST)
    return min(times), most_while_others_wait(model.calls[before:])


@asynccontextmanager
async def _flooding(caller: Caller) -> AsyncIterator[None]:
    """More than is answered, from the moment on when the first is told that too much waits."""
    numbers, is_full = count(), asyncio.Event()
    sessions = [
        str((await caller.say(f"{FLOOD} {n}", background=True))["session_id"])
        for n in range(FLOOD_SESSIONS)
    ]

    async def send() -> None:
        for number in numbers:
            path = f"/v1/sessions/{sessions[number % FLOOD_SESSIONS]}/messages"
            body = {"input": f"{FLOOD} {number}", "background": True}
            if (await caller.call("POST", path, body)).expect(202, 429).status == 429:
                is_full.set()
                await asyncio.sleep(PAUSE_S)

    senders = [asyncio.create_task(send()) for _ in range(SENDERS)]
    try:
        async with asyncio.timeout(PATIENCE_S):
            await is_full.wait()
        yield
    finally:
        for sender in senders:
            sender.cancel()
        await asyncio.wait(senders)


def thinks_s(text: str) -> float:
    """How long the model thinks: longer about the flood, which does not move in step.

    >>> thinks_s("quiet 7"), thinks_s("flood 0"), thinks_s("flood 1")
    (0.25, 0.25, 0.435)
    """
    kind, _, number = text.partition(" ")
    return THINKS_S if kind != FLOOD else THINKS_S * (1 + int(number) * 37 % 100 / 50)


def most_while_others_wait(calls: Sequence[ModelCall]) -> int:
    """The most calls of the flood at once, of those begun while a burst of others still waited.

    The first slots come free only when what ran before has ended, so that it does not count.
    """
    others = [call.at for call in calls if not call.last_text.startswith(FLOOD)]
    flood = [
        (call.at, call.at + thinks_s(call.last_text))
        for call in calls
        if call.last_text.startswith(FLOOD)
    ]
    counted = [at for at, _ in flood if others and others[0] + LONGEST_S < at < others[-1]]
    return max((sum(a <= at < b for a, b in flood) for at in counted), default=0)


def _answer(call: ModelCall) -> Reply:
    return Reply(f"Heard: {call.last_text}", delay_s=thinks_s(call.last_text))


def _begun(calls: Sequence[ModelCall]) -> Counter[str]:
    """How many calls of each kind began before the last quiet one did."""
    kinds = [call.last_text.partition(" ")[0] for call in calls]
    last = max((n for n, kind in enumerate(kinds) if kind == QUIET), default=-1)
    return Counter(kinds[: last + 1])


async def _all_answered(caller: Caller, sessions: int) -> float:
    """How long so many sessions take that all begin at once."""
    began = perf_counter()
    await asyncio.gather(*(caller.say(f"{QUIET} {n}") for n in range(sessions)))
    return perf_counter() - began


async def _p95(caller: Caller) -> float:
    """The p95 of answers to a few callers who ask one question after the other."""
    times: list[float] = []

    async def ask() -> None:
        for number in range(QUESTIONS):
            began = perf_counter()
            await caller.say(f"{QUIET} {number}")
            times.append(perf_counter() - began)

    await asyncio.gather(*(ask() for _ in range(CALM_CALLERS)))
    return percentile(times, 0.95)


async def _send_many(caller: Caller, kind: str, how_many: int, session: str) -> None:
    """Messages in a session that nobody waits for."""
    numbers = iter(range(how_many))

    async def send() -> None:
        for number in numbers:
            await caller.say(f"{kind} {number}", session=session, background=True)

    await asyncio.gather(*(send() for _ in range(SENDERS)))


@asynccontextmanager
async def _two_tenants(
    stage: Stage, model: OpenAIServer
) -> AsyncIterator[tuple[GatewayProcess, Caller, Caller]]:
    """A gateway with two projects, and a caller of each."""
    most_queued = str(stage.pick(150, 600))
    config = CONFIG.replace("SLOTS", str(SLOTS)).replace("QUEUED", most_queued)
    config += over_endpoint(model)
    async with GatewayProcess(stage.folder, config=config) as gateway:
        keys = [await gateway.create_key(project=project) for project in ("calm", "loud")]
        async with calling(gateway, keys[0]) as calm, calling(gateway, keys[1]) as loud:
            await gateway.start()
            yield gateway, calm, loud


FAIRNESS = Fault(
    id="F23",
    name="noisy neighbours",
    promise="quiet ones 1.5 of ideal, tenants p95 2x",
    injected="a session with 500 queued; a tenant floods",
    run=_make_noise,
)
