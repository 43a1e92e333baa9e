"""F5 and F6: what comes ten times is turned once, and what comes back changed is not turned again.

F5: platforms and callers repeat themselves: in turn, all at once, after a restart, with the members
of a document in another order. Every copy has to be acknowledged like the first, and there is one
message, one turn and one reply. (That a day later makes no difference is a test of the store.)
F6: an event's id comes back with another body: it is acknowledged, the log has an alarm, and
nothing runs. A caller's key with another body is refused.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import monotonic
from typing import Final

import aiohttp

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.raw_webhook import RawWebhook, rewritten
from gateway.testing.kills.settled import errors_in_log, read_transcripts, wait_until_settled
from gateway.testing.kills.witness import Evidence, Sent, Spoken, Violation, judge
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import (
    DESK,
    PATIENCE_S,
    SCRIPTED,
    Answered,
    Caller,
    calling,
    logged,
    on_telegram,
)
from gateway.testing.telegram.endpoint import TelegramServer

COPIES: Final = 10
WAYS: Final = ("plain", "background", "stream")
ALARM: Final = "inbox_digest_mismatch"
IN_PROGRESS: Final = "idempotency_in_progress"
REUSED: Final = "idempotency_key_reused"


@dataclass(frozen=True, slots=True)
class Ack:
    """What one copy was answered: `body` is what has to be the same for all of them."""

    status: int
    body: str

    @property
    def says_wait(self) -> bool:
        """Whether a copy was told that the first one is still at work."""
        return self.status == 409 and IN_PROGRESS in self.body


@dataclass(slots=True)
class Repeated:
    """Something that was sent again and again, and every answer to it."""

    said: Spoken
    acks: list[Ack] = field(default_factory=list)


def judge_acks(repeated: Sequence[Repeated]) -> list[Violation]:
    """Copies that were answered otherwise than the first, or not acknowledged at all."""
    found = []
    for each in repeated:
        told = [ack for ack in each.acks if not ack.says_wait]
        if not told:
            found.append(_unequal(each, "no copy was ever acknowledged"))
        elif refused := [ack.status for ack in told if not 200 <= ack.status < 300]:
            found.append(_unequal(each, f"copies were answered {sorted(set(refused))}"))
        elif len(set(told)) > 1:
            seen = f"{len(set(told))} different answers: {[ack.body[:120] for ack in set(told)]}"
            found.append(_unequal(each, seen))
    return found


def judge_changed(
    acks: Sequence[Ack], *, first: Ack, alarms: int, refusals: Sequence[Ack]
) -> list[Violation]:
    """Whether every changed copy was acknowledged with an alarm, and every changed call refused."""
    found = []
    wrong = [ack for ack in acks if ack != first]
    if wrong:
        seen = f"{len(wrong)} of {len(acks)} were answered otherwise, as {wrong[0]}"
        found.append(Violation("a changed event is acknowledged", "webhook", seen))
    if alarms != len(acks):
        seen = f"{alarms} alarms for {len(acks)} changed events"
        found.append(Violation("a changed event raises an alarm", "log", seen))
    taken = [ack for ack in refusals if ack.status != 422 or REUSED not in ack.body]
    if taken:
        found.append(Violation("a key stands for one body", "REST", f"answered {taken[0]}"))
    return found


def _unequal(each: Repeated, seen: str) -> Violation:
    return Violation("every copy is acknowledged like the first", each.said.text, seen)


# ---------------------------------------------------------------- who repeats


class _World:
    """A gateway with a webhook, a caller, and everything that was said to it."""

    def __init__(
        self, gateway: GatewayProcess, caller: Caller, telegram: TelegramServer, webhook: RawWebhook
    ) -> None:
        self.gateway = gateway
        self.caller = caller
        self.telegram = telegram
        self.webhook = webhook
        self.repeated: list[Repeated] = []

    def say(self, place: str) -> Repeated:
        """Something new that will be repeated."""
        repeated = Repeated(Spoken(place, 1, monotonic()))
        self.repeated.append(repeated)
        return repeated

    async def restart(self) -> None:
        """Kill it, and start it again."""
        await self.gateway.kill()
        await self.gateway.start()

    async def verdict(self) -> list[Violation]:
        """Let it come to rest; then everything was turned once, and nothing went wrong."""
        found = await wait_until_settled(self.gateway, patience_s=PATIENCE_S)
        headers = {"Authorization": f"Bearer {self.caller.key}"}
        async with aiohttp.ClientSession(headers=headers) as client:
            transcripts = await read_transcripts(client, self.gateway.url)
        sent = [Sent(f"chat {one.chat}", one.text, one.at) for one in self.telegram.sent()]
        spoken = [each.said for each in self.repeated]
        evidence = Evidence(
            spoken=spoken, transcripts=transcripts, sent=sent, kills=[], apology="Sorry"
        )
        return [*found, *judge(evidence).violations, *errors_in_log(self.gateway.log)]


async def _play(stage: Stage, scene: Callable[[_World], Awaitable[Observation]]) -> Observation:
    async with TelegramServer() as telegram:
        config = SCRIPTED + DESK + on_telegram(telegram)
        async with GatewayProcess(stage.folder, config=config) as gateway:
            key = await gateway.create_key()
            await gateway.start()
            await telegram.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
            async with calling(gateway, key) as caller:
                webhook = RawWebhook(caller.client, telegram)
                return await scene(_World(gateway, caller, telegram, webhook))


# ---------------------------------------------------------------- F5


async def _repeat_all(stage: Stage) -> Observation:
    return await _play(stage, lambda world: _repeat(world, stage.pick(6, 120)))


async def _repeat(world: _World, count: int) -> Observation:
    chats = [_Chat(world, number) for number in range(1, count + 1)]
    calls = [_Call(world, number, way) for number in range(1, count + 1) for way in WAYS]
    sources: list[_Chat | _Call] = [*chats, *calls]
    await asyncio.gather(*(source.begin() for source in sources))
    await asyncio.gather(*(source.at_once(COPIES // 2) for source in sources))
    await wait_until_settled(world.gateway, patience_s=PATIENCE_S)
    await world.restart()
    await asyncio.gather(*(source.at_once(COPIES // 2) for source in sources))
    await asyncio.gather(*(source.in_turn(COPIES // 2) for source in sources))
    found = [*judge_acks(world.repeated), *_false_alarms(world), *await world.verdict()]
    copies = sum(len(each.acks) for each in world.repeated)
    return Observation(f"{len(world.repeated)} messages in {copies} copies", found)


def _false_alarms(world: _World) -> list[Violation]:
    lines = logged(world.gateway, ALARM)
    promise = "a copy that says the same raises no alarm"
    return [Violation(promise, "log", f"{len(lines)} alarms")] if lines else []


class _Chat:
    """A message on Telegram that the platform delivers again and again, written in two ways.

    Every other one comes for the first time in several copies at once.
    """

    def __init__(self, world: _World, number: int) -> None:
        self._post = world.webhook.post
        self._repeated = world.say(f"chat {number}")
        body = world.webhook.text(number, self._repeated.said.text)
        self._bodies = cycle((body, rewritten(body)))
        self._first_copies = 1 if number % 2 else COPIES

    async def begin(self) -> None:
        await self.at_once(self._first_copies)

    async def at_once(self, times: int) -> None:
        answers = await asyncio.gather(*(self._post(next(self._bodies)) for _ in range(times)))
        self._repeated.acks += [_ack(answer) for answer in answers]

    async def in_turn(self, times: int) -> None:
        for _ in range(times):
            await self.at_once(1)


class _Call:
    """A call over REST that is repeated with its key: plain, as a stream or in the background."""

    def __init__(self, world: _World, number: int, way: str) -> None:
        self._caller = world.caller
        self._key = f"{way}-{number}"
        self._repeated = world.say(f"{way} caller {number}")
        place = self._repeated.said.place
        self._body: dict[str, object] = {
            "input": self._repeated.said.text,
            "participant": {"external_id": place},
            **({} if way == "plain" else {way: True}),
        }

    async def begin(self) -> None:
        await self.at_once(COPIES)

    async def at_once(self, times: int) -> None:
        await asyncio.gather(*(self._once() for _ in range(times)))

    async def in_turn(self, times: int) -> None:
        for _ in range(times):
            await self._once()

    async def _once(self) -> None:
        answer = await self._caller.call("POST", "/v1/chat", self._body, repeat_key=self._key)
        self._repeated.acks.append(_ack(answer))


def _ack(answer: Answered) -> Ack:
    """An answer; of a stream, what its last event says of the turn."""
    if not answer.headers.get("Content-Type", "").startswith("text/event-stream"):
        return Ack(answer.status, answer.text)
    events = [line for line in answer.text.splitlines() if line.startswith("data: {")]
    last = json.loads(events[-1].removeprefix("data: ")) if events else {}
    return Ack(answer.status, json.dumps(last.get("turn"), sort_keys=True))


# ---------------------------------------------------------------- F6


async def _change_all(stage: Stage) -> Observation:
    return await _play(stage, lambda world: _change(world, stage.pick(4, 80)))


async def _change(world: _World, count: int) -> Observation:
    originals, refusals, changed = [], [], []
    for number in range(1, count + 1):
        said = world.say(f"chat {number}").said
        originals.append(await world.webhook.post(world.webhook.text(number, said.text)))
        called = world.say(f"caller {number}").said
        await _call_with(world, number, called.text)
    for is_after_restart in (False, True):
        if is_after_restart:
            await wait_until_settled(world.gateway, patience_s=PATIENCE_S)
            await world.restart()
        answers = await asyncio.gather(
            *(
                world.webhook.post(world.webhook.text(number, f"Something else {copy}"))
                for number in range(1, count + 1)
                for copy in range(COPIES // 2)
            )
        )
        changed += [_ack(answer) for answer in answers]
        refusals += [_ack(await _call_with(world, n, "Else")) for n in range(1, count + 1)]
    alarms = len(logged(world.gateway, ALARM))
    found = judge_changed(changed, first=_ack(originals[0]), alarms=alarms, refusals=refusals)
    seen = f"{len(changed)} changed events, {alarms} alarms, {len(refusals)} refusals"
    return Observation(seen, [*found, *await world.verdict()])


async def _call_with(world: _World, number: int, text: str) -> Answered:
    body = {"input": text, "participant": {"external_id": f"caller {number}"}}
    return await world.caller.call("POST", "/v1/chat", body, repeat_key=f"order-{number}")


REDELIVERY: Final = Fault(
    id="F5",
    name="redelivery",
    promise="one turn for all copies, equal acknowledgements",
    injected="each webhook and call x10, at once, after a kill",
    run=_repeat_all,
)

CHANGED: Final = Fault(
    id="F6",
    name="same event, other body",
    promise="acknowledged, an alarm, not run",
    injected="known event ids and keys with other bodies",
    run=_change_all,
)
