"""Kills a throw-away gateway again and again while people talk to it, and judges what is left.

    python -m gateway.testing.kills --kills 200

A gateway of its own folder, a fake Telegram that posts to its webhook, callers over REST and a fake
model endpoint, all on loopback. The kills (-9) come at random moments, in start-ups too. At the end
everything has to settle; then logs of the fakes, the history over REST, `bot-gateway verify` and
the gateway's own log are judged. Exit code 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway.testing.kills.killer import Killer
from gateway.testing.kills.load import CALL_TIMEOUT_S, Caller, Mood, Notes, Person
from gateway.testing.kills.report import KillReport, Start, as_json, table
from gateway.testing.kills.settled import (
    errors_in_log,
    read_given_up,
    read_transcripts,
    wait_until_settled,
)
from gateway.testing.kills.witness import Evidence, Sent, Violation, answer_to, judge
from gateway.testing.openai.endpoint import ModelCall, OpenAIServer, Script
from gateway.testing.openai.replies import Reply
from gateway.testing.process import GatewayProcess
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.webhook import WebhookRetry

APOLOGY: Final = "Sorry, that did not work."
IDLE_STARTS: Final = 2
MODEL_DELAY_S: Final = (0.005, 0.15)
SETTLE_S: Final = 60.0
STUCK_S: Final = 30.0
RETRY_SCALE: Final = 0.02

CONFIG = """
[log]
level = "info"

[limits]
requests_per_minute = 0

[models.main]
provider = "openai"
base_url = "{model_url}"
api_key = "none"
model = "fake-model"

[[bots]]
slug = "bot"
apology = "{apology}"

[[bots.agents]]
name = "Desk"
model = "main"

[[channels]]
name = "tg"
kind = "telegram"
bot = "bot"
token = "{token}"
receive = "webhook"
webhook_secret = "a-secret-of-the-kill-run"
api_url = "{api_url}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KillPlan:
    """How often to kill, and under what load; `seed` chooses the moments."""

    kills: int
    seed: int = 0
    callers: int = 20
    chats: int = 20
    pause_s: float = 0.6
    recovery_limit_s: float = 2.0


async def run(
    plan: KillPlan,
    folder: Path,
    *,
    tell: Callable[[int, Notes], None] = lambda _kills, _notes: None,
) -> KillReport:
    """Do what the plan says in an empty folder; `tell` hears of progress after each kill."""
    began, dice = monotonic(), random.Random(plan.seed)
    retry = WebhookRetry(scale=RETRY_SCALE)
    async with (
        OpenAIServer(_model(random.Random(plan.seed))) as model,
        TelegramServer(retry=retry) as telegram,
        GatewayProcess(folder, config=_config(model, telegram)) as gateway,
    ):
        key = await gateway.create_key()
        killer = Killer(gateway, dice)
        for _ in range(IDLE_STARTS - 1):
            await killer.start_idle()
            await killer.kill()
        await killer.start_idle()
        await telegram.wait_for_calls("setWebhook")
        headers = {"Authorization": f"Bearer {key}"}
        timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_S)
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as client:
            load = _Load(plan, client, gateway, telegram)
            for number in range(1, plan.kills + 1):
                await killer.kill_and_start()
                tell(number, load.notes)
            await killer.wait_until_ready()
            found = [*await load.end(), *await wait_until_settled(gateway, patience_s=STUCK_S)]
            transcripts = await read_transcripts(client, gateway.url)
            evidence = Evidence(
                spoken=load.notes.spoken,
                transcripts=transcripts,
                sent=_sent(telegram),
                kills=killer.kills,
                apology=APOLOGY,
                given_up=await read_given_up(client, gateway.url, transcripts, apology=APOLOGY),
            )
        found += [*load.notes.violations, *errors_in_log(gateway.log), *_faults_of(telegram)]
        found += _late(killer.starts, plan)
        verdict = judge(evidence)
        return KillReport(
            plan=asdict(plan),
            kills=len(killer.kills),
            kills_in_start=killer.in_start,
            sessions=len(evidence.transcripts),
            counts=dict(load.notes.counts),
            verdict=verdict,
            violations=[*found, *verdict.violations],
            starts=killer.starts,
            seconds=monotonic() - began,
        )


class _Load:
    """Everybody who talks, as tasks."""

    def __init__(
        self,
        plan: KillPlan,
        client: aiohttp.ClientSession,
        gateway: GatewayProcess,
        telegram: TelegramServer,
    ) -> None:
        self.notes = Notes()
        self._telegram = telegram
        self._mood = Mood(
            dice=random.Random(plan.seed + 1), pause_s=plan.pause_s, enough=asyncio.Event()
        )
        talkers: list[Caller | Person] = [
            Caller(number, client=client, url=gateway.url, notes=self.notes, mood=self._mood)
            for number in range(1, plan.callers + 1)
        ]
        talkers += [
            Person(number, telegram=telegram, notes=self.notes, mood=self._mood)
            for number in range(1, plan.chats + 1)
        ]
        self._talks = [asyncio.create_task(talker.talk()) for talker in talkers]

    async def end(self) -> list[Violation]:
        """Nobody begins anything more; what is under way comes to its end."""
        self._mood.enough.set()
        _, stuck = await asyncio.wait(self._talks, timeout=SETTLE_S)
        for talk in stuck:
            talk.cancel()
        found = [Violation("every call comes to its end", "load", f"{len(stuck)} did not")]
        try:
            await self._telegram.wait_until_confirmed(timeout_s=SETTLE_S)
        except TimeoutError as error:
            return [*found[: len(stuck)], Violation("every update is taken", "load", str(error))]
        for talk in self._talks:
            if not talk.cancelled():
                talk.result()
        return found[: len(stuck)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as the arguments say; 0, or 1 when a promise was broken."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.kills < 1:
        parser.error("--kills must be at least 1")
    plan = KillPlan(
        kills=options.kills,
        seed=options.seed,
        callers=options.callers,
        chats=options.chats,
        recovery_limit_s=options.recovery_limit,
    )
    with tempfile.TemporaryDirectory(prefix="bot-gateway-kills-") as folder:
        report = asyncio.run(_run_and_show(plan, Path(folder)))
    if options.json:
        sys.stdout.write(as_json(report) + "\n")
    else:
        Console().print(table(report))
    return 1 if report.violations else 0


async def _run_and_show(plan: KillPlan, folder: Path) -> KillReport:
    columns = (
        TextColumn("kills"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]} messages"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("kills", total=plan.kills, said=0)

        def tell(kills: int, notes: Notes) -> None:
            progress.update(task, completed=kills, said=len(notes.spoken))

        return await run(plan, folder, tell=tell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gateway.testing.kills",
        description="Kill a throw-away gateway under load, and judge what is left.",
    )
    parser.add_argument("--kills", type=int, default=50, help="how many (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="chooses the moments (default: 0)")
    parser.add_argument("--callers", type=int, default=20, help="over REST (default: 20)")
    parser.add_argument("--chats", type=int, default=20, help="on Telegram (default: 20)")
    parser.add_argument(
        "--recovery-limit",
        type=float,
        default=2.0,
        metavar="S",
        help="seconds a start may take longer than one with nothing to recover (default: 2)",
    )
    parser.add_argument("--json", action="store_true", help="print the report for programs")
    return parser


def _config(model: OpenAIServer, telegram: TelegramServer) -> str:
    return CONFIG.format(
        model_url=model.base_url, apology=APOLOGY, token=telegram.token, api_url=telegram.api_url
    )


def _model(dice: random.Random) -> Script:
    def answer(call: ModelCall) -> Reply:
        return Reply(answer_to(call.last_text), delay_s=dice.uniform(*MODEL_DELAY_S))

    return answer


def _sent(telegram: TelegramServer) -> list[Sent]:
    return [Sent(f"chat {sent.chat}", sent.text, sent.at) for sent in telegram.sent()]


def _faults_of(telegram: TelegramServer) -> list[Violation]:
    return [
        Violation("calls of a platform keep its rules", "tg", seen) for seen in telegram.problems
    ]


def _late(starts: Sequence[Start], plan: KillPlan) -> list[Violation]:
    """Starts after a kill that took longer than an idle one by more than the plan allows."""
    idle_s = median(start.seconds for start in starts if start.is_idle)
    return [
        Violation("recovery is quick", "start", f"it took {start.seconds - idle_s:.1f} s more")
        for start in starts
        if not start.is_idle and start.seconds - idle_s > plan.recovery_limit_s
    ]
