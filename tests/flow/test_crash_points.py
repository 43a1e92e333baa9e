"""A process dies where it was told to, and nowhere else."""

import asyncio
import signal
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.errors import ConfigError
from gateway.flow.crash_points import (
    CRASH_POINTS,
    ENVIRONMENT,
    Fuse,
    check_armed,
    crash_point,
    read_fuse,
)
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, SCRIPTED, calling, serving

KILLED = -signal.SIGKILL
PASSING = """
from gateway.flow.crash_points import check_armed, crash_point
check_armed()
for number in range(4):
    crash_point("before_t3")
    crash_point("after_t3")
    print(number, flush=True)
"""


async def passed(setting: str) -> tuple[int, list[str]]:
    """How a process that passes two points four times ends, and what it printed before."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", PASSING),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={ENVIRONMENT: setting},
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode().split()


async def test_nobody_dies_who_was_not_told_to() -> None:
    code, output = await passed("")

    assert code == 0
    assert output[-4:] == ["0", "1", "2", "3"]


async def test_an_armed_point_kills_when_it_is_passed_first() -> None:
    code, output = await passed("after_t3")

    assert code == KILLED
    assert "0" not in output


async def test_an_armed_point_kills_when_it_is_passed_often_enough() -> None:
    code, output = await passed("before_t3:3")

    assert code == KILLED
    assert output[-2:] == ["0", "1"]


def test_a_start_with_an_armed_point_says_so(
    monkeypatch: pytest.MonkeyPatch, logs: list[MutableMapping[str, Any]]
) -> None:
    monkeypatch.setenv(ENVIRONMENT, "after_t3:3")
    try:
        check_armed()
        crash_point("after_t3")
        crash_point("before_t3")
        crash_point("after_t3")
    finally:
        monkeypatch.delenv(ENVIRONMENT)
        check_armed()

    assert [(one["event"], one["name"], one["passes"]) for one in logs] == [
        ("crash_point_armed", "after_t3", 3)
    ]


@pytest.mark.parametrize("name", CRASH_POINTS)
def test_every_point_can_be_armed(name: str) -> None:
    assert read_fuse(name) == Fuse(name, 1)


@pytest.mark.parametrize(
    "setting", ["after_t9", "after_t3:0", "after_t3:", "after_t3:-1", "after_t3:x", ":1", "t3 "]
)
def test_a_point_that_is_none_is_refused_with_the_names_there_are(setting: str) -> None:
    with pytest.raises(ConfigError, match="before_ack, after_t2, after_t2b"):
        read_fuse(setting)


async def test_a_daemon_armed_with_a_wrong_name_does_not_start(tmp_path: Path) -> None:
    wrong = {ENVIRONMENT: "nowhere"}
    async with GatewayProcess(tmp_path, config=SCRIPTED + DESK, environment=wrong) as gateway:
        code, _output, errors = await gateway.run("serve")

    assert code == 78
    assert ENVIRONMENT in errors
    assert "mid_llm" in errors
    assert "Traceback" not in errors


async def test_a_daemon_dies_at_the_armed_point_and_the_next_one_goes_on(tmp_path: Path) -> None:
    armed = {ENVIRONMENT: "before_t3:2"}
    async with serving(tmp_path, environment=armed) as (gateway, caller):
        session = (await caller.say("one"))["session_id"]
        with pytest.raises(aiohttp.ClientError):
            await caller.say("two", session=session, repeat_key="k")
        assert await gateway.wait_for_end() == KILLED

    again = GatewayProcess(tmp_path, config=SCRIPTED + DESK)
    async with again, calling(again, caller.key) as caller:
        await again.start()
        turn = await caller.say("two", session=session, repeat_key="k")
        assert (await caller.turn(turn["id"]))["output_text"] == "Heard: two"
        assert await caller.texts(session, role="assistant") == ["Heard: one", "Heard: two"]
