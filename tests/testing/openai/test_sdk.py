"""The official `openai` package takes the fake endpoint for the real one."""

from contextlib import asynccontextmanager

import openai
import pytest

from gateway.testing import (
    EmptyChoices,
    ErrorEvent,
    HangUp,
    HttpError,
    OpenAIServer,
    Reply,
    ToolCall,
    Truncated,
    Usage,
    too_many_requests,
    unknown_model,
    wrong_key,
)

HELLO = [{"role": "user", "content": "hello"}]


@asynccontextmanager
async def client_of(model: OpenAIServer, *, retries: int = 0):
    async with openai.AsyncOpenAI(
        base_url=model.base_url, api_key="k", max_retries=retries, timeout=5
    ) as client:
        yield client


async def test_a_reply_arrives_typed():
    async with OpenAIServer() as model, client_of(model) as client:
        model.enqueue(Reply("Good morning.", usage=Usage(7, 3)))
        answer = await client.chat.completions.create(model="m", messages=HELLO)

    assert answer.choices[0].message.content == "Good morning."
    assert answer.usage.total_tokens == 10
    assert model.problems == []


async def test_a_stream_arrives_piece_by_piece_with_usage_at_the_end():
    async with OpenAIServer() as model, client_of(model) as client:
        model.enqueue(Reply(pieces=("Good ", "morning.")))
        stream = await client.chat.completions.create(
            model="m", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Good morning."
    assert chunks[-1].usage.completion_tokens == 5
    assert model.problems == []


async def test_the_typed_stream_helper_puts_tool_calls_together():
    zone = {
        "type": "object",
        "properties": {"zone": {"type": "string"}},
        "required": ["zone"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "clock", "parameters": zone, "strict": True}}

    async with OpenAIServer() as model, client_of(model) as client:
        model.enqueue(Reply("Let me see.", tool_calls=(ToolCall("clock", {"zone": "Asia/Tokyo"}),)))
        async with client.chat.completions.stream(
            model="m", messages=HELLO, tools=[tool]
        ) as stream:
            final = await stream.get_final_completion()

    call = final.choices[0].message.tool_calls[0]
    assert (call.function.name, call.function.arguments) == ("clock", '{"zone": "Asia/Tokyo"}')
    assert final.choices[0].finish_reason == "tool_calls"


async def test_a_tool_round_trip_keeps_the_rules():
    async with OpenAIServer() as model, client_of(model) as client:
        model.enqueue(Reply(tool_calls=(ToolCall("clock"),)), "It is noon.")
        first = await client.chat.completions.create(model="m", messages=HELLO)
        call = first.choices[0].message.tool_calls[0]
        answered = {"role": "tool", "tool_call_id": call.id, "content": "12:00"}
        second = await client.chat.completions.create(
            model="m",
            messages=[*HELLO, first.choices[0].message.to_dict(), answered],
        )

    assert second.choices[0].message.content == "It is noon."
    assert model.problems == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (too_many_requests(), openai.RateLimitError),
        (HttpError(500), openai.InternalServerError),
        (wrong_key(), openai.AuthenticationError),
        (unknown_model(), openai.NotFoundError),
        (HangUp(), openai.APIConnectionError),
    ],
)
async def test_faults_raise_the_errors_of_the_package(fault, error):
    async with OpenAIServer() as model, client_of(model) as client:
        model.enqueue(fault)
        with pytest.raises(error):
            await client.chat.completions.create(model="m", messages=HELLO)


async def test_a_retry_after_is_obeyed_by_the_package():
    async with OpenAIServer() as model, client_of(model, retries=1) as client:
        model.enqueue(too_many_requests(0.2), "at last")
        answer = await client.chat.completions.create(model="m", messages=HELLO)

    assert answer.choices[0].message.content == "at last"
    assert model.calls[1].at - model.calls[0].at >= 0.2


async def test_a_cut_stream_is_a_connection_error_after_its_chunks():
    async with OpenAIServer() as model, client_of(model) as client:
        model.enqueue(Truncated(Reply("one two three"), after=3))
        stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        given = [await anext(stream) for _ in range(3)]
        with pytest.raises(openai.APIError):
            await anext(stream)

    assert [chunk.choices[0].delta.content for chunk in given] == ["", "one ", "two "]


async def test_a_stream_without_its_end_stops_silently():
    async with OpenAIServer() as model, client_of(model) as client:
        model.enqueue(Truncated(Reply("one two three"), after=3, how="end"))
        stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        reasons = [chunk.choices[0].finish_reason async for chunk in stream]

    assert reasons == [None, None, None]


async def test_an_error_event_raises_its_message():
    async with OpenAIServer() as model, client_of(model) as client:
        model.enqueue(ErrorEvent(message="overloaded"))
        stream = await client.chat.completions.create(model="m", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="overloaded"):
            async for _ in stream:
                pass


async def test_empty_choices_reach_the_caller():
    async with OpenAIServer() as model, client_of(model) as client:
        model.enqueue(EmptyChoices())
        answer = await client.chat.completions.create(model="m", messages=HELLO)

    assert answer.choices == []


async def test_models_are_listed():
    async with OpenAIServer(models=("a", "b")) as model, client_of(model) as client:
        names = [entry.id async for entry in client.models.list()]

    assert names == ["a", "b"]
