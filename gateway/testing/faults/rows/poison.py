"""F22: a turn that kills the process each time it runs is given up, and its session goes on.

A bot has a tool, a Python function of the operator's, that ends the process at once. A person on
Telegram and a caller over REST ask for it; the gateway is started again after each death, as a
supervisor would. After the third death the turn is dead: the person gets one apology, the caller an
error, and what was said next in these sessions is answered.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import aiohttp

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.kills.settled import errors_in_log, wait_until_settled
from gateway.testing.kills.witness import CRASHES_BEFORE_GIVEN_UP, Violation
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import PATIENCE_S, Answered, Caller, calling, on_telegram
from gateway.testing.telegram.endpoint import TelegramServer

POISON: Final = "poison, please"
NEXT: Final = "Are you still there?"
ANSWER: Final = f"Heard: {NEXT}"
APOLOGY: Final = "Sorry, that did not work."
GIVEN_UP: Final = "poison"
CHAT: Final = 7
AGAIN_S: Final = 0.2

TOOL: Final = '''"""A tool that ends its process."""

import os
import signal


def end_it():
    """Never comes back."""
    os.kill(os.getpid(), signal.SIGKILL)
'''

BOT: Final = f"""
[limits]
requests_per_minute = 0

[models.main]
provider = "scripted"

[[models.main.rules]]
text = "^poison"
call = "end_it"

[[models.main.rules]]
reply = "Heard: {{text}}"

[tools.end_it]
kind = "python"
function = "calamity:end_it"
description = "Ends it all."

[[bots]]
slug = "support"
apology = "{APOLOGY}"

[[bots.agents]]
name = "Desk"
model = "main"
tools = ["end_it"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What became of one poisonous turn: the deaths while it ran, and what was then answered.

    `answers` of a chat are all its messages; over REST the error's code, and the next answer.
    """

    where: str
    deaths: int
    answers: Sequence[str]


def judge_poison(seen: Seen, *, expected: Sequence[str]) -> list[Violation]:
    """Every way in which a poisonous turn was not given up as it should be."""
    found = []
    if seen.deaths != CRASHES_BEFORE_GIVEN_UP:
        told = f"the process died {seen.deaths} times"
        found.append(Violation("a poisonous turn is dead after 3 crashes", seen.where, told))
    if list(seen.answers) != list(expected):
        told = f"{list(seen.answers)} instead of {list(expected)}"
        found.append(Violation("one apology, then the session goes on", seen.where, told))
    return found


class _Revived:
    """Starts a gateway again each time it dies, and counts."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.deaths = 0
        self._gateway = gateway

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wait_for_end()
            self.deaths += 1
            await self._gateway.spawn()

    async def _wait_for_end(self) -> None:
        while self._gateway.is_running:
            try:
                await self._gateway.wait_for_end()
            except TimeoutError:
                continue


async def _poison(stage: Stage) -> Observation:
    async with _running(stage.room("gateway")) as (gateway, caller, telegram):
        revived = _Revived(gateway)
        reviving = asyncio.create_task(revived.run())
        try:
            stage.tell("a person on Telegram")
            in_chat = await _in_chat(telegram, revived)
            stage.tell("a caller over REST")
            over_rest = await _over_rest(caller, revived)
        finally:
            reviving.cancel()
            await asyncio.wait([reviving])
        await gateway.wait_until_ready()
        violations = await wait_until_settled(gateway, patience_s=PATIENCE_S)
        violations += errors_in_log(gateway.log)
    violations += judge_poison(in_chat, expected=[APOLOGY, ANSWER])
    violations += judge_poison(over_rest, expected=[GIVEN_UP, ANSWER])
    return Observation(_told(in_chat, over_rest), violations)


def _told(in_chat: Seen, over_rest: Seen) -> str:
    apologies, errors = in_chat.answers.count(APOLOGY), over_rest.answers.count(GIVEN_UP)
    answered = [*in_chat.answers, *over_rest.answers].count(ANSWER)
    return (
        f"{in_chat.deaths} and {over_rest.deaths} deaths; {apologies} apology on Telegram, "
        f"{errors} error over REST, {answered} next turns answered"
    )


@asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[tuple[GatewayProcess, Caller, TelegramServer]]:
    (folder / "calamity.py").write_text(TOOL)
    others = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(folder), *([others] if others else [])])
    async with (
        TelegramServer() as telegram,
        GatewayProcess(
            folder, config=BOT + on_telegram(telegram), environment={"PYTHONPATH": path}
        ) as gateway,
    ):
        key = await gateway.create_key()
        async with calling(gateway, key) as caller:
            await gateway.start()
            await telegram.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
            yield gateway, caller, telegram


async def _in_chat(telegram: TelegramServer, revived: _Revived) -> Seen:
    """Somebody on Telegram asks for the poison and goes on talking, without waiting."""
    before = revived.deaths
    telegram.post_text(CHAT, CHAT, POISON)
    telegram.post_text(CHAT, CHAT, NEXT)
    await telegram.wait_for_sent(2, chat=CHAT, timeout_s=PATIENCE_S)
    texts = [sent.text for sent in telegram.sent(CHAT)]
    return Seen(where="Telegram", deaths=revived.deaths - before, answers=texts)


async def _over_rest(caller: Caller, revived: _Revived) -> Seen:
    """A caller asks for it with an Idempotency-Key, until there is an answer, and then goes on."""
    before = revived.deaths
    session = str((await caller.say("Hello"))["session_id"])
    failed = await _insistent(caller, session, POISON)
    then = await _insistent(caller, session, NEXT)
    turn = await caller.get(failed.expect(500).headers["Location"])
    answers = [str(turn["error"]["code"]), str(then.expect(200).json["output_text"])]
    return Seen(where="REST", deaths=revived.deaths - before, answers=answers)


async def _insistent(caller: Caller, session: str, text: str) -> Answered:
    """The answer to a message that is repeated until there is one."""
    path, key = f"/v1/sessions/{session}/messages", str(uuid4())
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                answer = await caller.call("POST", path, {"input": text}, repeat_key=key)
            except (aiohttp.ClientError, TimeoutError):
                answer = None
            if answer is not None and answer.status not in (409, 502, 503, 504):
                return answer
            await asyncio.sleep(AGAIN_S)


POISONOUS_TURN: Final = Fault(
    id="F22",
    name="poison",
    promise="a turn that kills is dead after 3, others run on",
    injected="a tool that kills the process each time",
    run=_poison,
)
