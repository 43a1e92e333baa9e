"""The fake model endpoint as a plain HTTP client sees it: answers, script, log, keys."""

import asyncio
import json
import sys
import time

import aiohttp
import pytest

from gateway.testing import (
    OpenAIServer,
    Reply,
    ToolCall,
)
from tests.testing.openai.client import HELLO, STREAM, answer_to, asking, events_of


async def test_without_a_script_it_echoes_what_the_user_said():
    async with OpenAIServer() as model:
        status, document = await answer_to(model)

    assert status == 200
    assert document["choices"][0]["message"] == {
        "role": "assistant",
        "content": "echo: hello",
        "refusal": None,
    }
    assert document["choices"][0]["finish_reason"] == "stop"


async def test_queued_answers_are_given_in_order_before_the_script_is_asked():
    async with OpenAIServer(lambda call: Reply("from the script")) as model:
        model.enqueue("first", Reply("second"))
        texts = [(await answer_to(model))[1]["choices"][0]["message"]["content"] for _ in range(3)]

    assert texts == ["first", "second", "from the script"]
    assert model.unused == 0


async def test_a_stream_has_role_pieces_finish_reason_and_end_mark():
    async with OpenAIServer() as model:
        model.enqueue(Reply(pieces=("Good ", "morning.")))
        *chunks, last = await events_of(model)

    choices = [json.loads(chunk)["choices"][0] for chunk in chunks]
    assert last == "[DONE]"
    assert choices[0]["delta"]["role"] == "assistant"
    assert [c["delta"].get("content") for c in choices] == ["", "Good ", "morning.", None]
    assert [c["finish_reason"] for c in choices] == [None, None, None, "stop"]


async def test_usage_comes_in_a_last_chunk_without_choices_only_when_asked_for():
    wanted = {**STREAM, "stream_options": {"include_usage": True}}

    async with OpenAIServer() as model:
        with_usage = [json.loads(e) for e in (await events_of(model, wanted))[:-1]]
        without = [json.loads(e) for e in (await events_of(model))[:-1]]

    assert with_usage[-1]["choices"] == []
    assert with_usage[-1]["usage"]["total_tokens"] == 15
    assert all(chunk["usage"] is None for chunk in with_usage[:-1])
    assert all(chunk["choices"] and "usage" not in chunk for chunk in without)


async def test_tool_calls_are_streamed_in_pieces_by_index_with_the_name_only_in_the_first():
    calls = (ToolCall("clock", {"zone": "Europe/Paris"}), ToolCall("noop"))

    async with OpenAIServer() as model:
        model.enqueue(Reply(tool_calls=calls))
        events = await events_of(model)

    deltas = [
        delta
        for event in events[:-1]
        for delta in json.loads(event)["choices"][0]["delta"].get("tool_calls", [])
    ]
    clock = [delta for delta in deltas if delta["index"] == 0]
    assert [d["function"].get("name") for d in clock] == ["clock", *[None] * (len(clock) - 1)]
    assert len(clock) > 2
    assert json.loads("".join(d["function"]["arguments"] for d in clock)) == {
        "zone": "Europe/Paris"
    }
    assert {delta["id"] for delta in deltas if "id" in delta} == {"call_1_0", "call_1_1"}


async def test_every_call_is_logged_with_body_headers_and_time():
    async with OpenAIServer() as model:
        before = time.monotonic()
        async with asking(model, HELLO, headers={"X-Trace": "7"}):
            [call] = await model.wait_for_calls(1)

    assert call.body == HELLO
    assert call.headers["x-trace"] == "7"
    assert call.last_text == "hello"
    assert before <= call.at <= time.monotonic()


async def test_waiting_for_a_call_that_never_comes_says_how_many_came():
    async with OpenAIServer() as model:
        with pytest.raises(TimeoutError, match="0 of 1 model calls"):
            await model.wait_for_calls(1, timeout_s=0.01)


async def test_a_call_that_breaks_a_rule_is_refused_and_recorded():
    orphan = {"model": "m", "messages": [{"role": "tool", "content": "x", "tool_call_id": "c1"}]}

    async with OpenAIServer() as model:
        model.enqueue("not for this one")
        status, document = await answer_to(model, orphan)

    assert status == 400
    assert "answers no preceding tool call" in document["error"]["message"]
    assert len(model.problems) == 1
    assert model.unused == 1


async def test_a_lenient_server_records_the_broken_rule_and_answers():
    async with OpenAIServer(strict=False) as model:
        status, _ = await answer_to(model, {"model": "m", "messages": []})

    assert status == 200
    assert model.problems == ["messages: [] is too short"]


async def test_a_body_that_is_not_json_is_refused():
    async with (
        OpenAIServer() as model,
        aiohttp.ClientSession() as session,
        session.post(f"{model.base_url}/chat/completions", data=b"{") as response,
    ):
        assert response.status == 400
        assert model.problems == ["the body is not a JSON object"]


async def test_a_wrong_key_is_refused_where_one_is_demanded():
    async with OpenAIServer(api_key="right") as model:
        async with asking(model, HELLO, headers={"Authorization": "Bearer wrong"}) as response:
            refused = response.status, (await response.json())["error"]["code"]
        async with asking(model, HELLO, headers={"Authorization": "Bearer right"}) as response:
            accepted = response.status

    assert refused == (401, "invalid_api_key")
    assert accepted == 200


async def test_models_are_listed_and_other_paths_are_unknown():
    async with OpenAIServer(models=("a", "b")) as model, aiohttp.ClientSession() as session:
        async with session.get(f"{model.base_url}/models") as response:
            listed = await response.json()
        async with session.get(f"{model.base_url}/embeddings") as response:
            unknown = response.status

    assert [entry["id"] for entry in listed["data"]] == ["a", "b"]
    assert unknown == 404


async def test_the_constant_mode_keeps_the_pace_of_its_reply():
    reply = Reply("a b", delay_s=0.02, first_chunk_delay_s=0.02, between_s=0.02)
    async with OpenAIServer(constant=reply) as model:
        start = time.monotonic()
        events = await events_of(model)

    assert len(events) == 5
    assert time.monotonic() - start >= 0.12


async def test_only_posts_reach_the_chat_path():
    async with (
        OpenAIServer() as model,
        aiohttp.ClientSession() as session,
        session.get(f"{model.base_url}/chat/completions") as response,
    ):
        assert response.status == 405
        assert model.count == 0


async def test_the_highest_number_of_calls_at_once_is_known():
    async with OpenAIServer(lambda call: Reply("hi", delay_s=0.05)) as model:
        await asyncio.gather(*(answer_to(model) for _ in range(3)))
        await model.wait_until_idle()

    assert (model.active, model.peak_active) == (0, 3)


async def test_the_log_reads_text_out_of_parts_and_names_the_tools_offered():
    parts = [{"type": "text", "text": "look "}, {"type": "text", "text": "here"}]
    tool = {"type": "function", "function": {"name": "clock"}}
    body = {"model": "m", "messages": [{"role": "user", "content": parts}], "tools": [tool]}

    async with OpenAIServer() as model:
        _, document = await answer_to(model, body)

    assert document["choices"][0]["message"]["content"] == "echo: look here"
    assert model.calls[0].tool_names == ("clock",)


async def test_its_address_is_known_only_while_it_runs():
    with pytest.raises(RuntimeError, match="async with"):
        _ = OpenAIServer().base_url


async def test_the_constant_mode_gives_the_same_bytes_whole_or_streamed_and_only_counts():
    async with OpenAIServer(constant=Reply("All is well.")) as model:
        _, document = await answer_to(model, {"not": "checked"})
        events = await events_of(model)

    assert document["choices"][0]["message"]["content"] == "All is well."
    assert events[-1] == "[DONE]"
    assert (model.count, model.calls) == (2, [])


async def test_the_constant_mode_is_not_fooled_by_text_that_speaks_of_streams():
    said = {"model": "m", "messages": [{"role": "user", "content": '"stream": true'}]}

    async with OpenAIServer(constant=Reply("ok")) as model, asking(model, said) as response:
        assert response.content_type == "application/json"


async def test_as_a_process_it_prints_its_address_and_stops_on_a_signal():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "gateway.testing.openai.server", "--text", "Hi from afar."),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    base_url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/chat/completions", json=HELLO) as response,
    ):
        document = await response.json()
    process.terminate()

    assert document["choices"][0]["message"]["content"] == "Hi from afar."
    assert await asyncio.wait_for(process.wait(), 10) == 0
