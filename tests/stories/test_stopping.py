"""Stops: in good order under load, forced, and two daemons on one data directory."""

import asyncio
import signal
from pathlib import Path
from time import monotonic
from uuid import uuid4

import aiohttp

from gateway.testing import OpenAIServer, Reply, Silence
from gateway.testing.scene import DESK, PATIENCE_S, Answered, Caller, logged, over_endpoint, serving
from tests.stories.checks import findings

TALKS = 12
QUEUED = 3


async def test_a_stop_under_load_loses_nothing_and_answers_every_caller(tmp_path: Path) -> None:
    async with (
        OpenAIServer(lambda call: Reply(f"Heard: {call.last_text}", delay_s=0.4)) as model,
        serving(tmp_path, over_endpoint(model) + DESK) as (gateway, caller),
    ):
        sessions = [(await caller.say("Hi", background=True))["session_id"] for _ in range(TALKS)]
        keys = {(session, n): str(uuid4()) for session in sessions for n in range(QUEUED)}
        calls = {
            (session, n): asyncio.create_task(
                caller.call(
                    "POST",
                    f"/v1/sessions/{session}/messages",
                    {"input": f"message {n}"},
                    repeat_key=key,
                )
            )
            for (session, n), key in keys.items()
        }
        await model.wait_for_calls(TALKS + 2, timeout_s=PATIENCE_S)

        assert await gateway.stop() == 0

        first = {which: await answered(call) for which, call in calls.items()}
        refused = [answer for answer in first.values() if answer.status == 503]
        assert {answer.status for answer in first.values()} <= {200, 503}
        assert refused
        assert all(answer.headers["Retry-After"].isdigit() for answer in refused)
        assert len(logged(gateway, "gateway_stopped")) == 1

        await gateway.start()
        for which, key in keys.items():
            turn = await repeated(caller, which, key)
            assert turn.json["output_text"] == f"Heard: message {which[1]}"
        for session in sessions:
            said = await caller.texts(session, role="user")
            assert sorted(said) == ["Hi", *(f"message {n}" for n in range(QUEUED))]
            replies = await caller.texts(session, role="assistant")
            assert replies == [f"Heard: {text}" for text in said]
        assert await findings(gateway) == []


async def answered(call: asyncio.Task[Answered]) -> Answered:
    """What a call was told; a connection that ends without an answer fails the story."""
    try:
        return await call
    except aiohttp.ClientError as error:
        raise AssertionError(f"a caller was cut off: {error!r}") from error


async def repeated(caller: Caller, which: tuple[str, int], key: str) -> Answered:
    """The same call again, until its turn is over."""
    session, number = which
    path, body = f"/v1/sessions/{session}/messages", {"input": f"message {number}"}
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await caller.call("POST", path, body, repeat_key=key)
            if answer.status != 409:
                assert answer.status == 200, answer.text
                return answer
            await caller.call("GET", f"{answer.headers['Location']}?wait=5")


async def test_a_second_signal_ends_at_once_and_the_turn_goes_on_later(tmp_path: Path) -> None:
    async with (
        OpenAIServer() as model,
        serving(tmp_path, over_endpoint(model) + DESK) as (gateway, caller),
    ):
        model.enqueue(Silence())
        turn = await caller.say("Hi", background=True)
        await model.wait_for_calls(1, timeout_s=PATIENCE_S)

        stopping = asyncio.create_task(gateway.stop())
        while not logged(gateway, "gateway_stopping"):
            await asyncio.wait((stopping,), timeout=0.02)
        assert gateway.is_running
        began = monotonic()
        gateway.send_signal(signal.SIGTERM)
        await stopping

        assert monotonic() - began < 10
        await gateway.start()
        assert (await caller.turn(turn["id"]))["output_text"] == "echo: Hi"
        assert await findings(gateway) == []


async def test_a_second_daemon_on_the_same_data_ends_with_75(tmp_path: Path) -> None:
    async with serving(tmp_path) as (gateway, caller):
        code, _, errors = await gateway.run("serve")

        assert code == 75
        assert "Traceback" not in errors
        assert "data" in errors
        assert (await caller.say("Hi"))["output_text"] == "Heard: Hi"


async def test_an_idle_gateway_is_back_at_once_after_a_kill(tmp_path: Path) -> None:
    async with serving(tmp_path) as (gateway, caller):
        session = (await caller.say("Hi"))["session_id"]

        await gateway.kill()
        began = monotonic()
        await gateway.start()

        assert monotonic() - began < 10  # 2 s on a quiet machine
        again = await caller.say("Still there?", session=session)
        assert again["output_text"] == "Heard: Still there?"
