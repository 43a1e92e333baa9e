"""F21: a tool that blocks the event loop, under a service manager that watches the pulse.

One turn blocks when it is run for the first time, one whenever it is run. The first is to be
answered by its second run, the second to be given up after three, and the session goes on.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.service_manager import ServiceManager
from gateway.testing.kills.settled import LOOK_AGAIN_S, wait_until_settled
from gateway.testing.kills.witness import CRASHES_BEFORE_GIVEN_UP, Violation
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import PATIENCE_S, Caller, UnexpectedAnswer, calling

BLOCKED_S = 40
ONCE, ALWAYS, AFTER = "stall once", "stall always", "and what now"
OVER_WITHIN_S = 240.0

TOOL = f'''
"""A tool of an operator who has never heard of event loops."""

import time
from pathlib import Path


async def stall(how):
    calls = Path("calls.txt")
    with calls.open("a") as log:
        log.write(how + "\\n")
    if "always" in how or calls.read_text().splitlines().count(how) == 1:
        time.sleep({BLOCKED_S})
    return "done"
'''

CONFIG = """
[limits]
requests_per_minute = 0

[models.main]
provider = "scripted"

[[models.main.rules]]
tool = "stall"
reply = "Heard: {text}"

[[models.main.rules]]
text = "stall"
call = "stall"
arguments = { how = "{text}" }

[[models.main.rules]]
reply = "Heard: {text}"

[tools.stall]
kind = "python"
function = "stalling_tool:stall"
parameters = { type = "object", properties = { how = { type = "string" } } }
timeout_s = 60

[[bots]]
slug = "support"

[[bots.agents]]
name = "Desk"
model = "main"
tools = ["stall"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalled:
    """What was seen: how each turn ended, how often the tool ran for it, what was aborted."""

    once: Mapping[str, Any]
    always: Mapping[str, Any]
    after: Mapping[str, Any]
    runs: Mapping[str, int]
    aborted: int


async def _stall(stage: Stage) -> Observation:
    (stage.folder / "stalling_tool.py").write_text(TOOL)
    async with (
        ServiceManager(watchdog_s=stage.pick(3, 10)) as manager,
        GatewayProcess(stage.folder, config=CONFIG, environment=manager.environment) as gateway,
    ):
        key = await gateway.create_key()
        async with calling(gateway, key) as caller:
            await manager.start(gateway)
            once = await _over(caller, await caller.say(ONCE, background=True))
            stage.tell("one turn was run again")
            begun = await caller.say(ALWAYS, background=True)
            next_one = await _say_between(caller, AFTER, session=begun["session_id"])
            stalled = Stalled(
                once=once,
                always=await _over(caller, begun),
                after=await _over(caller, next_one),
                runs=_runs(stage.folder),
                aborted=manager.aborted,
            )
            found = await wait_until_settled(gateway, patience_s=PATIENCE_S)
    seen = (
        f"{stalled.aborted} processes aborted, a turn answered by run {stalled.runs[ONCE]},"
        f" one given up after {stalled.runs[ALWAYS]} runs, its session goes on"
    )
    return Observation(seen, [*judge_stalls(stalled), *found])


def judge_stalls(stalled: Stalled) -> list[Violation]:
    """What is promised of turns that block the process."""
    found = []
    for text, turn in ((ONCE, stalled.once), (AFTER, stalled.after)):
        if turn["output_text"] != f"Heard: {text}":
            seen = f"{turn['status']}: {turn['output_text']}"
            found.append(Violation("what can be answered is answered", text, seen))
    error = stalled.always["error"] or {}
    if error.get("code") != "poison":
        seen = f"{stalled.always['status']}: {error}"
        found.append(Violation("a turn that always blocks is given up", ALWAYS, seen))
    if stalled.runs[ALWAYS] != CRASHES_BEFORE_GIVEN_UP:
        seen = f"it was run {stalled.runs[ALWAYS]} times"
        found.append(Violation("a turn is given up after three runs", ALWAYS, seen))
    if stalled.aborted < 1 + CRASHES_BEFORE_GIVEN_UP:
        seen = f"{stalled.aborted} processes were aborted"
        found.append(Violation("a process that blocks has no pulse", "process", seen))
    return found


async def _say_between(caller: Caller, text: str, *, session: str) -> Any:  # noqa: ANN401 - a turn
    """A message, sent until a process takes it; the key sees to it that it counts once."""
    async with asyncio.timeout(OVER_WITHIN_S):
        while True:
            try:
                return await caller.say(text, session=session, background=True, repeat_key="next")
            except (aiohttp.ClientError, TimeoutError, UnexpectedAnswer):
                await asyncio.sleep(LOOK_AGAIN_S)


async def _over(caller: Caller, turn: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a turn
    """A turn when it is over, whichever process ends it."""
    async with asyncio.timeout(OVER_WITHIN_S):
        while True:
            try:
                return await caller.turn(turn["id"])
            except (aiohttp.ClientError, TimeoutError, UnexpectedAnswer):
                await asyncio.sleep(LOOK_AGAIN_S)


def _runs(folder: Path) -> Counter[str]:
    return Counter((folder / "calls.txt").read_text().splitlines())


STALLS = Fault(
    id="F21",
    name="blocked event loop",
    promise="restarted, run again, given up after three",
    injected="a tool that sleeps 40 s on the event loop",
    run=_stall,
)
