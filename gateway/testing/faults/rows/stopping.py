"""F20: a stop while many turns are in work, some of which end in time and some of which do not.

Half of the turns end within the drain, half have a model that is silent for longer, and behind some
of both a further message waits. Every caller has to learn something it can act on, and a caller who
asks again with the same key gets its answer from the next process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import aiohttp

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.kills.settled import LOOK_AGAIN_S, read_transcripts, wait_until_settled
from gateway.testing.kills.witness import Evidence, Spoken, Violation, answer_to, judge
from gateway.testing.openai.endpoint import ModelCall, OpenAIServer
from gateway.testing.openai.replies import Reply
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import (
    DESK,
    PATIENCE_S,
    Caller,
    over_endpoint,
    serving,
)

NEVER_S = 200.0
LATE_S = 5.0
"""How much longer than the drain a stop may take."""
APOLOGY = "Sorry, that did not work."
LOST = 0
"""Stands for the status of a caller who was answered nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller was answered: a status, whether it may come back, and the text."""

    said: Spoken
    status: int
    may_retry: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """How the process ended: its code, how long it took, how long it may have drained."""

    code: int
    seconds: float
    drain_s: float


class _Model:
    """Takes its time until `hurry` is set: little in `quick` talks, too much in the others."""

    def __init__(self, quick_s: float) -> None:
        self.hurry = False
        self._quick_s = quick_s

    def answer(self, call: ModelCall) -> Reply:
        """The script."""
        text = call.last_text
        slowly_s = self._quick_s if text.startswith("quick") else NEVER_S
        return Reply(answer_to(text), delay_s=0 if self.hurry else slowly_s)


class _Talks:
    """Callers who each have a session of their own and wait for their answers."""

    def __init__(self, caller: Caller) -> None:
        self.calls: list[asyncio.Task[Told]] = []
        self._caller = caller
        self._sessions: dict[str, str] = {}

    async def begin(self, count: int) -> None:
        """Make the sessions and send the first message of each."""
        for number in range(count):
            place = f"{'quick' if number % 2 else 'slow'} {number}"
            made = (await self._caller.call("POST", "/v1/sessions", {})).expect(201).json
            self._sessions[place] = str(made["id"])
        for place in self._sessions:
            self._say(Spoken(place, 1, monotonic()))

    async def queue_more(self, gateway: GatewayProcess) -> None:
        """Send a second message in a third of them, and wait until they are stored."""
        places = list(self._sessions)[::3]
        for place in places:
            self._say(Spoken(place, 2, monotonic()))
        async with asyncio.timeout(PATIENCE_S):
            while True:
                status = await gateway.run_json("status")
                if status["turns"]["queued"] >= len(places):
                    return
                await asyncio.sleep(LOOK_AGAIN_S)

    async def ask_again(self, said: Spoken) -> Told:
        """The same call once more, until its turn is over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                told = await self._ask(said)
                if told.status != 409:
                    return told
                await asyncio.sleep(LOOK_AGAIN_S)

    def _say(self, said: Spoken) -> None:
        self.calls.append(asyncio.create_task(self._ask(said)))

    async def _ask(self, said: Spoken) -> Told:
        path = f"/v1/sessions/{self._sessions[said.place]}/messages"
        try:
            answer = await self._caller.call(
                "POST", path, {"input": said.text}, repeat_key=said.text.replace(" ", "-")
            )
        except aiohttp.ClientError as error:
            return Told(said, LOST, text=str(error))
        text = answer.text
        if answer.status == 200:
            text = str(answer.json["output_text"])
        return Told(said, answer.status, "Retry-After" in answer.headers, text)


async def _stop_under_load(stage: Stage) -> Observation:
    turns, drain_s = stage.pick(40, 200), stage.pick(5, 20)
    mind = _Model(quick_s=drain_s * 0.6)
    async with OpenAIServer(mind.answer) as model:
        limits = f"[limits]\nrequests_per_minute = 0\nturns = {turns}\n"
        config = limits + over_endpoint(model) + DESK
        server = f"drain_s = {drain_s}"
        async with serving(stage.folder, config, server=server) as (gateway, caller):
            talks = _Talks(caller)
            await talks.begin(turns)
            await model.wait_for_calls(turns, timeout_s=PATIENCE_S)
            await talks.queue_more(gateway)
            stage.tell(f"{turns} turns in work")
            began = monotonic()
            stop = Stop(await gateway.stop(), monotonic() - began, drain_s)
            told = await asyncio.gather(*talks.calls)
            mind.hurry = True
            await gateway.start()
            again = await asyncio.gather(*(talks.ask_again(each.said) for each in told))
            found = await wait_until_settled(gateway, patience_s=PATIENCE_S)
            found += await _judge_history(caller, told)
    answered = sum(each.status == 200 for each in told)
    seen = (
        f"{turns} in work: exit {stop.code} after {stop.seconds:.1f} of {drain_s} + {LATE_S:.0f} s,"
        f" {answered} answered, {len(told) - answered} sent away and answered later"
    )
    return Observation(seen, [*judge_stop(stop), *judge_callers(told, again), *found])


async def _judge_history(caller: Caller, told: Sequence[Told]) -> Sequence[Violation]:
    evidence = Evidence(
        spoken=[each.said for each in told],
        transcripts=await read_transcripts(caller.client, caller.url),
        sent=(),
        kills=(),
        apology=APOLOGY,
    )
    return judge(evidence).violations


def judge_stop(stop: Stop) -> list[Violation]:
    """What a stop in good order says to how the process ended."""
    found = []
    if stop.code != 0:
        found.append(Violation("a stop ends with 0", "process", f"it ended with {stop.code}"))
    if stop.seconds > stop.drain_s + LATE_S:
        seen = f"{stop.seconds:.1f} s with {stop.drain_s:.0f} s to drain"
        found.append(Violation("a stop ends in time", "process", seen))
    return found


def judge_callers(told: Sequence[Told], again: Sequence[Told]) -> list[Violation]:
    """Callers got their answer or may come back, and who came back got it then."""
    found = []
    for each in told:
        is_answered = each.status == 200 and each.text == each.said.answer
        if not is_answered and not (each.status == 503 and each.may_retry):
            seen = f"status {each.status}, retry {each.may_retry}: {each.text[:200]}"
            found.append(Violation("a caller can act on what it is told", each.said.text, seen))
    for each in again:
        if each.status != 200 or each.text != each.said.answer:
            seen = f"status {each.status}: {each.text[:200]}"
            found.append(Violation("a repeat gets the answer", each.said.text, seen))
    return found


STOPPING = Fault(
    id="F20",
    name="SIGTERM under load",
    promise="ends in time, nothing lost or repeated",
    injected="SIGTERM with 200 turns in work",
    run=_stop_under_load,
)
