"""F19: few descriptors and many clients; then a long load, and what is left of it in memory.

With 256 descriptors and 400 connections the gateway has to turn some away, keep enough for its own
calls, and let everybody in again afterwards. Under a load its memory and descriptors have to stay
where they are once it is warm.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

import aiohttp

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.crowd import Crowd, Group, crowd
from gateway.testing.faults.props.measures import allow_files, open_files, peak_kib, rss_kib
from gateway.testing.kills.settled import LOOK_AGAIN_S, errors_in_log, verify
from gateway.testing.kills.witness import Violation
from gateway.testing.openai.endpoint import OpenAIServer
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, Caller, calling, over_endpoint

FILES = 256
CLIENTS = 400
SPARE_FILES = 200
TALKERS = 8
TURNS_OF_A_TALK = 20
WARM_TURNS = (500, 3_000)
"""Turns before the measurement, small and large: caches and pools are full after some 2,000."""
MOST_GROWTH_KIB = (4_096, 512)
"""What a thousand turns more may add; a short run still sees caches fill."""
MOST_FILES_MORE = 8
MOST_PEAK_KIB = 1_048_576
LIMITS = "[limits]\nrequests_per_minute = 0\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowded:
    """Many clients and few descriptors: how many were served and sent away, who else was."""

    served: int
    sent_away: int
    answered_meanwhile: bool
    answered_after: bool
    is_same_process: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A load on a warm process: turns, growth of memory, peak, descriptors before and after.

    `most_kib` is what a thousand turns may add.
    """

    turns: int
    most_kib: int
    growth_kib: int
    peak_kib: int
    files_before: int
    files_after: int

    @property
    def growth_of_a_thousand(self) -> float:
        """KiB that a thousand turns add."""
        return self.growth_kib * 1000 / max(self.turns, 1)


async def _exhaust(stage: Stage) -> Observation:
    allow_files(CLIENTS + SPARE_FILES)
    async with OpenAIServer() as model:
        config = LIMITS + over_endpoint(model) + DESK
        async with GatewayProcess(stage.folder, config=config) as gateway:
            key = await gateway.create_key()
            await gateway.spawn()
            resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
            await gateway.wait_until_ready()
            async with calling(gateway, key) as caller:
                crowded = await _crowd_in(gateway, caller)
                stage.tell(f"{crowded.sent_away} of {CLIENTS} were sent away")
                load = await _load(stage, gateway, caller)
            found = [*errors_in_log(gateway.log), *await verify(gateway)]
    seen = (
        f"{FILES} descriptors: {crowded.served} of {CLIENTS} served, {crowded.sent_away} sent away;"
        f" {load.turns} turns: {load.growth_of_a_thousand:+.0f} KiB per 1,000,"
        f" peak {load.peak_kib // 1024} MiB, {load.files_after} descriptors"
    )
    return Observation(seen, [*judge_crowded(crowded), *judge_load(load), *found])


def judge_crowded(crowded: Crowded) -> list[Violation]:
    """What is promised where descriptors are few."""
    found = []
    if not crowded.is_same_process:
        found.append(Violation("the process does not end", "process", "it ended"))
    if crowded.served + crowded.sent_away < CLIENTS or not crowded.served:
        seen = f"{crowded.served} served, {crowded.sent_away} sent away of {CLIENTS}"
        found.append(Violation("every client is served or told to come back", "clients", seen))
    if not crowded.answered_meanwhile:
        promise = "who is inside is answered"
        found.append(Violation(promise, "turn", "no answer while the door was full"))
    if not crowded.answered_after:
        promise = "there is room again afterwards"
        found.append(Violation(promise, "turn", "no answer after everybody had left"))
    return found


def judge_load(load: Load) -> list[Violation]:
    """What is promised of memory and descriptors."""
    found = []
    if load.growth_of_a_thousand > load.most_kib:
        seen = f"{load.growth_of_a_thousand:.0f} KiB per 1,000 turns"
        found.append(Violation("memory does not grow", "memory", seen))
    if load.peak_kib > MOST_PEAK_KIB:
        seen = f"{load.peak_kib // 1024} MiB"
        found.append(Violation("a gibibyte is enough", "memory", seen))
    if load.files_after > load.files_before + MOST_FILES_MORE:
        seen = f"{load.files_before}, then {load.files_after}"
        found.append(Violation("descriptors are given back", "descriptors", seen))
    return found


async def _crowd_in(gateway: GatewayProcess, caller: Caller) -> Crowded:
    """Fill the gateway with clients; the caller came before them and stays."""
    pid = gateway.pid
    await caller.say("I was here first")
    opening = "GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n"
    async with crowd(gateway.port, Group(count=CLIENTS, openings=[opening])) as clients:
        await clients.until(_all_answered, within_s=PATIENCE_S)
        meanwhile = await _is_answered(caller, "while it is full")
        served, sent_away = clients.count("status 200"), clients.count("status 503")
    async with calling(gateway, caller.key) as newcomer:
        after = await _is_answered(newcomer, "when all have left", within_s=PATIENCE_S)
    return Crowded(
        served=served,
        sent_away=sent_away,
        answered_meanwhile=meanwhile,
        answered_after=after,
        is_same_process=gateway.is_running and gateway.pid == pid,
    )


def _all_answered(clients: Crowd) -> bool:
    return clients.count("status 200") + clients.count("status 503") >= CLIENTS


async def _is_answered(caller: Caller, text: str, *, within_s: float = 0.0) -> bool:
    """Whether a message gets its answer, at once or after some tries."""
    deadline = monotonic() + within_s
    while True:
        try:
            answer = await caller.call("POST", "/v1/chat", {"input": text})
        except aiohttp.ClientError:
            answer = None
        if answer is not None and answer.status == 200:
            return bool(answer.json["output_text"] == f"echo: {text}")
        if monotonic() >= deadline:
            return False
        await asyncio.sleep(LOOK_AGAIN_S)


async def _load(stage: Stage, gateway: GatewayProcess, caller: Caller) -> Load:
    """Talk until the process is warm, then for some time, and see what that has added."""
    warm, seconds = stage.pick(*WARM_TURNS), stage.pick(6, 180)
    await _talk(caller, until=lambda turns, _spent_s: turns >= warm)
    pid = gateway.pid
    before_kib, files_before = rss_kib(pid), open_files(pid)
    turns = await _talk(caller, until=lambda _turns, spent_s: spent_s >= seconds)
    return Load(
        turns=turns,
        most_kib=stage.pick(*MOST_GROWTH_KIB),
        growth_kib=rss_kib(pid) - before_kib,
        peak_kib=peak_kib(pid),
        files_before=files_before,
        files_after=open_files(pid),
    )


async def _talk(caller: Caller, *, until: Callable[[int, float], bool]) -> int:
    """Some who talk at once, each in one session after the other; how many turns it were."""
    began, turns = monotonic(), 0

    async def talk() -> None:
        nonlocal turns
        while True:
            session: str | None = None
            for _ in range(TURNS_OF_A_TALK):
                if until(turns, monotonic() - began):
                    return
                turn = await caller.say(f"This is message {turns}", session=session)
                session = str(turn["session_id"])
                turns += 1

    async with asyncio.TaskGroup() as talkers:
        for _ in range(TALKERS):
            talkers.create_task(talk())
    return turns


RESOURCES = Fault(
    id="F19",
    name="descriptors and memory",
    promise="no crash, room again; memory stays flat",
    injected="256 descriptors, 400 clients; a long load",
    run=_exhaust,
)
