"""Callers of the API whose gateway is killed in the middle of their call."""

import asyncio
import contextlib
from pathlib import Path

import aiohttp
import pytest

from gateway.testing import OpenAIServer, Reply, Silence
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, Answered, Caller, Event, over_endpoint, serving
from tests.stories.checks import findings


async def until_answered(caller: Caller, body: object, *, key: str) -> Answered:
    """The same call again and again, as long as the first is said to be at work."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await caller.call("POST", "/v1/chat", body, repeat_key=key)
            if answer.status != 409:
                return answer
            assert answer.json["code"] == "idempotency_in_progress"
            await caller.call("GET", f"{answer.headers['Location']}?wait=5")


async def test_a_call_cut_off_by_a_kill_is_answered_when_it_is_repeated(tmp_path: Path) -> None:
    async with (
        OpenAIServer() as model,
        serving(tmp_path, over_endpoint(model) + DESK) as (gateway, caller),
    ):
        model.enqueue(Silence(), "Here you are.")
        body = {"input": "Hi"}
        first = asyncio.create_task(caller.call("POST", "/v1/chat", body, repeat_key="k1"))
        await model.wait_for_calls(1, timeout_s=PATIENCE_S)

        await gateway.kill()
        with pytest.raises(aiohttp.ClientError):
            await first
        await gateway.start()
        answers = [await until_answered(caller, body, key="k1") for _ in range(3)]

        assert {answer.json["output_text"] for answer in answers} == {"Here you are."}
        assert {answer.headers["Idempotent-Replayed"] for answer in answers} == {"true"}
        assert len({answer.text for answer in answers}) == 1
        assert await caller.session_count() == 1
        session = answers[0].json["session_id"]
        assert await caller.texts(session, role="user") == ["Hi"]
        assert await caller.texts(session, role="assistant") == ["Here you are."]
        other = await caller.call("POST", "/v1/chat", {"input": "Ho"}, repeat_key="k1")
        assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
        assert await findings(gateway) == []


def read(events: list[Event]) -> str:
    """What a reader of the stream has in the end: new attempts and restarts void what was there."""
    text = ""
    for event in events:
        if event.type in ("turn.in_progress", "message.restarted"):
            text = ""
        elif event.type == "message.delta":
            text += event.data["text"]
    return text


async def killed_in_the_middle(gateway: GatewayProcess, caller: Caller) -> list[Event]:
    """What a caller sees of a stream until the gateway is killed, at its first word."""
    events: list[Event] = []
    with contextlib.suppress(aiohttp.ClientError):
        async for event in caller.stream({"input": "Hi", "stream": True}):
            events.append(event)
            if event.type == "message.delta":
                await gateway.kill()
    return events


async def test_a_stream_cut_off_by_a_kill_goes_on_where_it_was(tmp_path: Path) -> None:
    async with (
        OpenAIServer() as model,
        serving(tmp_path, over_endpoint(model) + DESK) as (gateway, caller),
    ):
        model.enqueue(Silence(Reply("This never comes to an end"), after=4))
        model.enqueue("All is well.")
        events = await killed_in_the_middle(gateway, caller)
        turn = events[0].data["turn"]["id"]

        await gateway.start()
        after = events[-1].data["seq"]
        more = [event async for event in caller.follow(turn, after=after)]

        numbers = [event.data["seq"] for event in events + more if event.type != "ping"]
        assert numbers == sorted(set(numbers))
        assert more[-1].type == "turn.completed"
        assert read(events + more) == "All is well."
        assert await caller.texts(more[-1].data["turn"]["session_id"], role="assistant") == [
            "All is well."
        ]
