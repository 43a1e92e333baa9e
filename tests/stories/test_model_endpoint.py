"""A bot on an OpenAI-compatible endpoint, over the whole daemon: good days and bad ones."""

from collections import Counter
from pathlib import Path

from gateway.testing import (
    Answer,
    Garbage,
    HttpError,
    ModelCall,
    OpenAIServer,
    Reply,
    Silence,
    ToolCall,
    Truncated,
    too_many_requests,
)
from gateway.testing.scene import DESK, over_endpoint, serving
from tests.stories.checks import findings

TEAM = """
[tools.get_outstanding_balance]
kind = "python"
function = "gateway.demo:get_outstanding_balance"
parameters = { type = "object", properties = { card = { type = "string" } } }

[[bots]]
slug = "support"
model = "main"

[[bots.agents]]
name = "Desk"
handoffs = ["Billing"]

[[bots.agents]]
name = "Billing"
tools = ["get_outstanding_balance"]
"""
CANARY = "sk-canary-of-the-story"
PARTIAL = "This must never be seen again."

FAULTS: dict[str, Answer] = {
    "limited": too_many_requests(retry_after_s=1),
    "broken": HttpError(500),
    "cut": Truncated(Reply(PARTIAL), after=2),
    "garbage": Garbage(),
}


def faulty_once(call: ModelCall, seen: Counter[str]) -> Answer:
    """Each message meets its fault at first and a good answer then."""
    seen[call.last_text] += 1
    fault = FAULTS.get(call.last_text) if seen[call.last_text] == 1 else None
    return fault or Reply(f"Heard: {call.last_text}")


async def test_it_answers_hands_over_and_calls_a_tool(tmp_path: Path) -> None:
    async with (
        OpenAIServer() as model,
        serving(tmp_path, over_endpoint(model) + TEAM) as (
            _,
            caller,
        ),
    ):
        model.enqueue(
            Reply(tool_calls=(ToolCall("transfer_to_billing"),)),
            Reply(tool_calls=(ToolCall("get_outstanding_balance", {"card": "7730"}),)),
            "You owe $212.07.",
        )

        turn = await caller.say("What do I owe?")

        assert turn["output_text"] == "You owe $212.07."
        assert turn["agent"] == "Billing"
        assert model.calls[0].tool_names == ("transfer_to_billing",)
        assert "$212.07" in str(model.calls[2].messages[-1]["content"])
        assert model.problems == []


async def test_a_stream_is_seen_before_it_ends(tmp_path: Path) -> None:
    async with (
        OpenAIServer() as model,
        serving(tmp_path, over_endpoint(model) + DESK) as (
            _,
            caller,
        ),
    ):
        model.enqueue(Reply(pieces=("Good ", "day."), between_s=0.3))
        events, was_open = [], False

        async for event in caller.stream({"input": "Hi", "stream": True}):
            events.append(event)
            was_open |= event.type == "message.delta" and model.active == 1

        assert was_open
        deltas = [event.data["text"] for event in events if event.type == "message.delta"]
        assert "".join(deltas) == "Good day."
        assert events[-1].type == "turn.completed"
        assert events[-1].data["turn"]["output_text"] == "Good day."


async def test_a_fault_is_mended_and_nothing_of_it_stays(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    async with (
        OpenAIServer(lambda call: faulty_once(call, seen)) as model,
        serving(tmp_path, over_endpoint(model) + DESK) as (gateway, caller),
    ):
        started = {text: await caller.say(text, background=True) for text in FAULTS}

        for text, turn in started.items():
            ended = await caller.turn(turn["id"])
            assert ended["output_text"] == f"Heard: {text}"
            assert seen[text] == 2
            replies = await caller.texts(turn["session_id"], role="assistant")
            assert replies == [f"Heard: {text}"]
        assert await findings(gateway) == []


async def test_a_model_that_never_ends_fails_the_turn_and_the_session_goes_on(
    tmp_path: Path,
) -> None:
    async with (
        OpenAIServer() as model,
        serving(tmp_path, over_endpoint(model) + DESK) as (
            gateway,
            caller,
        ),
    ):
        session = (await caller.say("Hi"))["session_id"]
        model.enqueue(Silence(Reply(PARTIAL), after=3))

        path = f"/v1/sessions/{session}/messages"
        answer = await caller.call("POST", path, {"input": "Go on", "timeout_s": 1})

        assert answer.status == 504, answer.text
        assert answer.json["code"] == "turn_timeout"
        assert PARTIAL[:8] not in str(await caller.texts(session, role="assistant"))
        again = await caller.say("Still there?", session=session)
        assert again["output_text"] == "echo: Still there?"
        assert await findings(gateway) == []


async def test_a_refused_key_fails_the_turn_and_is_told_nowhere(tmp_path: Path) -> None:
    async with OpenAIServer(api_key="another") as model:
        config = '[log]\nlevel = "debug"\n' + over_endpoint(model, key=CANARY) + DESK
        async with serving(tmp_path, config) as (gateway, caller):
            plain = await caller.call("POST", "/v1/chat", {"input": "Hi"})
            events = [event async for event in caller.stream({"input": "Hi", "stream": True})]

            assert (plain.status, plain.json["code"]) == (502, "model_error")
            assert events[-1].type == "turn.failed"
            assert events[-1].data["error"]["code"] == "model_error"
            assert model.count == 2
            for told in (plain.text, str(plain.headers), str(events), gateway.log):
                assert CANARY not in told
                assert caller.key not in told
