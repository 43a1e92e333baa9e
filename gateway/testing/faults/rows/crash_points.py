"""F2: the process dies at a named point of the message path, and the outcome is the one promised.

A gateway is started with a crash point armed and hears one message; it dies there, as `kill -9`
would have it, and is started again without the point. The message comes again as its way does:
platforms deliver what was not acknowledged (and here also what was), callers repeat with their
`Idempotency-Key`. Then a second message follows in the same place. What must come of it stands in
`OUTCOMES`, a line a point; the rest is the same for all: one turn, one answer, nothing left behind.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final, Literal

import aiohttp

from gateway.flow.crash_points import CRASH_POINTS, ENVIRONMENT, CrashPoint
from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.kills.people import OnPlain, OnTelegram
from gateway.testing.kills.settled import errors_in_log, read_transcripts, wait_until_settled
from gateway.testing.kills.speakers import OnPlatform, OverRest, Speaker
from gateway.testing.kills.witness import Evidence, Spoken, Violation, answer_to, judge
from gateway.testing.openai.endpoint import ModelCall, OpenAIServer
from gateway.testing.openai.replies import Reply
from gateway.testing.plain.installed import installed, on_plain
from gateway.testing.plain.server import PlainServer
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, Caller, calling, logged, on_telegram, over_endpoint
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.webhook import WebhookRetry

Way = Literal["telegram", "asked", "growing", "rest"]
"""Telegram by webhook; a platform that can be asked, without and with growing messages; REST."""

LIMITS: Final = "[limits]\nrequests_per_minute = 0\n"
BETWEEN_WORDS_S: Final = 0.12
STUCK_S: Final = 45.0
DOUBT: Final = "delivery_doubt_decided"
NO_OUTBOX: Final = frozenset({"after_t4", "after_send", "after_t5"})
GROWING_ONLY: Final = frozenset({"after_t2b", "after_opening"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a point promises beside one turn and one answer.

    `thinks`: how often the model may be asked. `is_doubtful`: the delivery is looked into after the
    restart. `telegram_sends`: how often a reply may stand where nobody can be asked.
    """

    thinks: tuple[int, ...] = (1,)
    is_doubtful: bool = False
    telegram_sends: int = 1


OUTCOMES: Final[Mapping[CrashPoint, Outcome]] = {
    "after_receive": Outcome(),
    "before_t1": Outcome(),
    "after_t1": Outcome(),
    "before_ack": Outcome(thinks=(1, 2)),
    "after_t2": Outcome(),
    "after_t2b": Outcome(thinks=(2,)),
    "after_opening": Outcome(thinks=(2,)),
    "mid_llm": Outcome(thinks=(2,)),
    "before_t3": Outcome(thinks=(2,)),
    "after_t3": Outcome(),
    "after_t4": Outcome(is_doubtful=True),
    "after_send": Outcome(is_doubtful=True, telegram_sends=2),
    "after_t5": Outcome(),
}

SMALL: Final[Mapping[Way, Sequence[CrashPoint]]] = {
    "telegram": ("before_t1", "after_t1", "after_t2", "after_t4", "after_send"),
    "growing": ("after_t2b", "after_opening", "mid_llm", "after_t5"),
    "rest": ("after_receive", "before_ack", "before_t3", "after_t3"),
}
"""Each point once, where it says most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """What was seen of one point: the exit code, model calls, doubts, copies of the reply.

    `is_answered`: this message was, after the restart, and the next one in the same place.
    """

    way: Way
    point: CrashPoint
    exit_code: int | None
    is_answered: bool = True
    thinks: int
    doubts: int
    copies: int


def judge_crash(crash: Crash) -> list[Violation]:
    """Where one crash had another outcome than its point promises."""
    outcome, where = OUTCOMES[crash.point], f"{crash.way}: {crash.point}"
    if crash.exit_code != -signal.SIGKILL:
        told = "it did not" if crash.exit_code is None else f"it ended with {crash.exit_code}"
        return [Violation("the process dies at its point", where, told)]
    if not crash.is_answered:
        told = "not within a minute"
        return [Violation("both messages are answered after the restart", where, told)]
    found = []
    if crash.thinks not in outcome.thinks:
        told = f"{crash.thinks} times"
        found.append(Violation("the model is asked again only where it must", where, told))
    copies = outcome.telegram_sends if crash.way == "telegram" else 1
    if crash.copies != copies:
        told = f"it stands there {crash.copies} times"
        found.append(Violation(f"the reply stands there {copies}x", where, told))
    if crash.doubts != int(outcome.is_doubtful and crash.way != "rest"):
        told = f"{crash.doubts} deliveries were looked into"
        found.append(Violation("only a doubtful delivery is looked into", where, told))
    return found


def points_of(way: Way) -> Sequence[CrashPoint]:
    """The points that a message of that way passes."""
    missing = GROWING_ONLY if way != "growing" else frozenset()
    if way == "rest":
        missing |= NO_OUTBOX
    return [point for point in CRASH_POINTS if point not in missing]


@dataclass(slots=True)
class _World:
    """A gateway with one way to talk to it, and all that was said."""

    way: Way
    gateway: GatewayProcess
    caller: Caller
    speaker: Speaker
    model: OpenAIServer
    spoken: list[Spoken]
    kills: list[float]

    def about_to_say(self, number: int, times: int) -> Spoken:
        said = Spoken(self.speaker.place(number), times, monotonic())
        self.spoken.append(said)
        return said


async def _crash_everywhere(stage: Stage) -> Observation:
    ways: Mapping[Way, Sequence[CrashPoint]] = (
        {way: points_of(way) for way in ("telegram", "asked", "growing", "rest")}
        if stage.is_large
        else SMALL
    )
    done: Counter[Way] = Counter()
    total = sum(len(points) for points in ways.values())

    async def crash_way(way: Way) -> list[Violation]:
        found = []
        async with _world(way, stage.room(way)) as world:
            for number, point in enumerate(ways[way], start=1):
                found += judge_crash(await _crash(world, point, number=number))
                done[way] += 1
                stage.tell(f"{done.total()} of {total}: {way}, {point}")
            return [*found, *await _left(world)]

    violations = [
        violation
        for found in await asyncio.gather(*(crash_way(way) for way in ways))
        for violation in found
    ]
    points = {point for crashed in ways.values() for point in crashed}
    broken = sorted({each.where for each in violations})
    told = f"; not so: {', '.join(broken[:5])}" if broken else ", each with its outcome"
    return Observation(
        f"{total} crashes at {len(points)} points, on {len(ways)} ways{told}", violations
    )


async def _crash(world: _World, point: CrashPoint, *, number: int) -> Crash:
    """One message that the gateway dies of, and one more in the same place; it runs afterwards."""
    if world.gateway.is_running:
        await world.gateway.stop()
    doubtful = _doubtful(world.gateway)
    await world.gateway.start(environment={ENVIRONMENT: point})
    said = world.about_to_say(number, 1)
    saying = asyncio.create_task(world.speaker.say(number, said))
    exit_code = await _end_of(world.gateway)
    world.kills.append(monotonic())
    await saying
    await world.gateway.start()
    is_answered = await _are_both_answered(world, number, said)
    return Crash(
        way=world.way,
        point=point,
        exit_code=exit_code,
        is_answered=is_answered,
        thinks=sum(call.last_text == said.text for call in world.model.calls),
        doubts=len(_doubtful(world.gateway) - doubtful),
        copies=sum(sent.text == said.answer for sent in world.speaker.sent()),
    )


def _doubtful(gateway: GatewayProcess) -> set[str]:
    """The deliveries that were looked into so far, however often."""
    return {str(line["delivery_id"]) for line in logged(gateway, DOUBT)}


async def _are_both_answered(world: _World, number: int, said: Spoken) -> bool:
    try:
        await world.speaker.insist(number, said)
        then = world.about_to_say(number, 2)
        await world.speaker.say(number, then)
        await world.speaker.insist(number, then)
    except TimeoutError:
        return False
    return True


async def _end_of(gateway: GatewayProcess) -> int | None:
    """How the process ended; None when it did not, and is killed now."""
    try:
        return await gateway.wait_for_end()
    except TimeoutError:
        await gateway.kill()
        return None


async def _left(world: _World) -> list[Violation]:
    """What is wrong with the history, the platform, the log and the store after all crashes."""
    found = await wait_until_settled(world.gateway, patience_s=STUCK_S)
    headers = {"Authorization": f"Bearer {world.caller.key}"}
    async with aiohttp.ClientSession(headers=headers) as client:
        transcripts = await read_transcripts(client, world.gateway.url)
    evidence = Evidence(
        spoken=world.spoken,
        transcripts=transcripts,
        sent=world.speaker.sent(),
        kills=world.kills,
        apology="Sorry, that did not work.",
        can_ask={"plain", "rest"},
        left_open=world.speaker.left_open(),
    )
    problems = [
        Violation("calls keep the rules", world.way, seen) for seen in world.speaker.problems()
    ]
    return [*found, *judge(evidence).violations, *problems, *errors_in_log(world.gateway.log)]


@asynccontextmanager
async def _world(way: Way, folder: Path) -> AsyncIterator[_World]:
    """The surroundings of one way; the gateway is not started."""
    async with (
        OpenAIServer(_answer) as model,
        TelegramServer(retry=WebhookRetry(scale=0.02)) as telegram,
        PlainServer() as plain,
    ):
        channels: Mapping[Way, str] = {
            "telegram": on_telegram(telegram),
            "asked": on_plain(plain, shows="none"),
            "growing": on_plain(plain, shows="message"),
            "rest": "",
        }
        config = LIMITS + over_endpoint(model) + DESK + channels[way]
        gateway = GatewayProcess(folder, config=config, environment=installed(folder))
        async with gateway, calling(gateway, await gateway.create_key()) as caller:
            speakers: Mapping[Way, Speaker] = {
                "telegram": OnPlatform(OnTelegram(telegram)),
                "asked": OnPlatform(OnPlain(plain)),
                "growing": OnPlatform(OnPlain(plain)),
                "rest": OverRest(caller),
            }
            yield _World(way, gateway, caller, speakers[way], model, [], [])


def _answer(call: ModelCall) -> Reply:
    """The answer word by word, so that there is something to see before its end."""
    return Reply(answer_to(call.last_text), between_s=BETWEEN_WORDS_S)


CRASHES: Final = Fault(
    id="F2",
    name="kills at each point",
    promise="what is promised for each point of a message's way",
    injected="kill -9 at each named point of the message path",
    run=_crash_everywhere,
)
