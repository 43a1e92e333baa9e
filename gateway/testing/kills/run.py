"""Kills a throw-away gateway again and again while people talk to it, and judges what is left.

A gateway of its own folder; people on a fake Telegram and on a platform that can be asked; callers
over REST, readers, and a fake model endpoint, all on loopback. The kills (-9) come at random
moments, in start-ups too. At the end everything has to settle; then the logs of the fakes, the
history over REST, what callers saw meanwhile, `bot-gateway verify` and the log are judged.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final

import aiohttp

from gateway.testing.kills.callers import CALL_TIMEOUT_S
from gateway.testing.kills.killer import Killer
from gateway.testing.kills.load import Crowd, Load
from gateway.testing.kills.notes import Notes
from gateway.testing.kills.operations import history_violations, note_last_reads
from gateway.testing.kills.people import OnPlain, OnTelegram, Platform, note_what_platforms_saw
from gateway.testing.kills.report import KillReport, Start
from gateway.testing.kills.settled import (
    errors_in_log,
    read_given_up,
    read_transcripts,
    wait_until_settled,
)
from gateway.testing.kills.witness import Evidence, Violation, answer_to, judge
from gateway.testing.openai.endpoint import ModelCall, OpenAIServer, Script
from gateway.testing.openai.replies import Reply
from gateway.testing.plain.installed import installed, on_plain
from gateway.testing.plain.server import PlainServer
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import on_telegram, over_endpoint
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.webhook import WebhookRetry

APOLOGY: Final = "Sorry, that did not work."
IDLE_STARTS: Final = 2
MODEL_DELAY_S: Final = (0.005, 0.1)
BETWEEN_WORDS_S: Final = (0.0, 0.04)
"""Where the answer is watched, so that some messages grow and others come at once."""
STUCK_S: Final = 45.0
"""Longer than a doubtful delivery waits to be asked for a second time."""
RETRY_SCALE: Final = 0.02

BOT: Final = f"""
[log]
level = "info"

[limits]
requests_per_minute = 0
queued_per_session = 200
queued_per_project = 20000

[[bots]]
slug = "support"
apology = "{APOLOGY}"

[[bots.agents]]
name = "Desk"
model = "main"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KillPlan:
    """How often to kill, and under what load; `seed` chooses the moments."""

    kills: int
    crowd: Crowd
    seed: int = 0
    recovery_limit_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """A gateway that runs, its surroundings, and a client with a key."""

    gateway: GatewayProcess
    model: OpenAIServer
    platforms: Sequence[Platform]
    killer: Killer
    client: aiohttp.ClientSession


async def run(
    plan: KillPlan,
    folder: Path,
    *,
    tell: Callable[[int, Notes], None] = lambda _kills, _notes: None,
) -> KillReport:
    """Do what the plan says in an empty folder; `tell` hears of progress after each kill."""
    began = monotonic()
    async with _scene(plan, folder) as scene:
        client, url = scene.client, scene.gateway.url
        load = Load(plan.crowd, scene.platforms, client=client, url=url, seed=plan.seed)
        found: list[Violation] = []
        try:
            for number in range(1, plan.kills + 1):
                await scene.killer.kill_and_start()
                tell(number, load.notes)
                found += _forget_model_calls(scene.model)
            await scene.killer.wait_until_ready()
            found += [*await load.end(), *_forget_model_calls(scene.model)]
        finally:
            load.cancel()
        found += await wait_until_settled(scene.gateway, patience_s=STUCK_S)
        evidence = await _evidence(scene, load.notes)
    found += [*load.notes.violations, *errors_in_log(scene.gateway.log)]
    found += [*_faults_of(scene.platforms), *_late(scene.killer.starts, plan)]
    found += history_violations(load.notes)
    verdict = judge(evidence)
    return KillReport(
        plan=asdict(plan),
        kills=len(scene.killer.kills),
        kills_in_start=scene.killer.in_start,
        sessions=len(evidence.transcripts),
        reads=len(load.notes.reads),
        counts=dict(load.notes.counts),
        verdict=verdict,
        violations=[*found, *verdict.violations],
        starts=scene.killer.starts,
        seconds=monotonic() - began,
    )


@asynccontextmanager
async def _scene(plan: KillPlan, folder: Path) -> AsyncIterator[_Scene]:
    """Everything but the people; how long a start takes with nothing to recover is measured."""
    async with (
        OpenAIServer(_model(random.Random(plan.seed))) as model,
        TelegramServer(retry=WebhookRetry(scale=RETRY_SCALE)) as telegram,
        PlainServer() as plain,
        GatewayProcess(
            folder,
            config=BOT + over_endpoint(model) + on_telegram(telegram) + on_plain(plain),
            environment=installed(folder),
        ) as gateway,
    ):
        key = await gateway.create_key()
        killer = Killer(gateway, random.Random(plan.seed))
        for _ in range(IDLE_STARTS - 1):
            await killer.start_idle()
            await killer.kill()
        await killer.start_idle()
        await telegram.wait_for_calls("setWebhook")
        async with aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"},
            timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
            connector=aiohttp.TCPConnector(limit=0),
        ) as client:
            platforms = (OnTelegram(telegram), OnPlain(plain))
            yield _Scene(
                gateway=gateway, model=model, platforms=platforms, killer=killer, client=client
            )


async def _evidence(scene: _Scene, notes: Notes) -> Evidence:
    """What the witness judges, read when everything has come to rest."""
    began = monotonic()
    transcripts = await read_transcripts(scene.client, scene.gateway.url)
    note_last_reads(notes, transcripts, began=began, ended=monotonic())
    return Evidence(
        spoken=notes.spoken,
        transcripts=transcripts,
        sent=note_what_platforms_saw(scene.platforms, notes),
        left_open=[left for platform in scene.platforms for left in platform.left_open()],
        kills=scene.killer.kills,
        apology=APOLOGY,
        can_ask={platform.name for platform in scene.platforms if platform.can_ask},
        given_up=await read_given_up(scene.client, scene.gateway.url, transcripts, apology=APOLOGY),
    )


def _forget_model_calls(model: OpenAIServer) -> list[Violation]:
    """What was wrong with them; each holds a whole talk, so a long run cannot keep them all."""
    found = [
        Violation("calls of the model keep its rules", "main", each) for each in model.problems
    ]
    model.calls.clear()
    return found


def _model(dice: random.Random) -> Script:
    def answer(call: ModelCall) -> Reply:
        return Reply(
            answer_to(call.last_text),
            delay_s=dice.uniform(*MODEL_DELAY_S),
            between_s=dice.uniform(*BETWEEN_WORDS_S),
        )

    return answer


def _faults_of(platforms: Sequence[Platform]) -> list[Violation]:
    return [
        Violation("calls of a platform keep its rules", platform.name, seen)
        for platform in platforms
        for seen in platform.problems()
    ]


def _late(starts: Sequence[Start], plan: KillPlan) -> list[Violation]:
    """Starts after a kill that took longer than an idle one by more than the plan allows."""
    idle_s = median(start.seconds for start in starts if start.is_idle)
    return [
        Violation("recovery is quick", "start", f"it took {start.seconds - idle_s:.1f} s more")
        for start in starts
        if not start.is_idle and start.seconds - idle_s > plan.recovery_limit_s
    ]
