"""What the fake model endpoint breaks on purpose, as a plain HTTP client sees it."""

import asyncio
import json
import time

import aiohttp
import pytest

from gateway.testing import (
    Drip,
    EmptyChoices,
    ErrorEvent,
    Garbage,
    HangUp,
    HttpError,
    OpenAIServer,
    Reply,
    Silence,
    Truncated,
    huge_reply,
    too_many_requests,
)
from tests.testing.openai.client import HELLO, STREAM, answer_to, asking, events_of


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_http_errors_come_in_the_shape_of_the_api(status):
    async with OpenAIServer() as model:
        model.enqueue(HttpError(status, "no", code="c"))
        got, document = await answer_to(model)

    assert got == status
    assert document["error"]["message"] == "no"
    assert document["error"]["code"] == "c"


async def test_too_many_requests_carries_a_retry_after_header():
    async with OpenAIServer() as model:
        model.enqueue(too_many_requests(1.5))
        async with asking(model, HELLO) as response:
            assert response.status == 429
            assert response.headers["Retry-After"] == "1.5"


async def test_an_error_may_have_a_body_that_is_no_json():
    async with OpenAIServer() as model:
        model.enqueue(HttpError(502, body="<html>bad gateway</html>"))
        async with asking(model, HELLO) as response:
            assert response.content_type == "text/html"
            assert await response.text() == "<html>bad gateway</html>"


@pytest.mark.parametrize("body", [HELLO, STREAM])
async def test_garbage_is_a_success_that_cannot_be_parsed(body):
    async with OpenAIServer() as model:
        model.enqueue(Garbage())
        async with asking(model, body) as response:
            text = (await response.text()).removeprefix("data: ")

    assert response.status == 200
    with pytest.raises(ValueError):
        json.loads(text)


async def test_empty_choices_are_well_formed():
    async with OpenAIServer() as model:
        model.enqueue(EmptyChoices(), EmptyChoices())
        _, document = await answer_to(model)
        events = await events_of(model)

    assert document["choices"] == []
    assert json.loads(events[0])["choices"] == []


async def test_a_cut_stream_ends_in_a_lost_connection_after_its_chunks():
    async with OpenAIServer() as model:
        model.enqueue(Truncated(Reply("one two three"), after=2))
        async with asking(model, STREAM) as response:
            first = await response.content.readuntil(b"\n\n")
            second = await response.content.readuntil(b"\n\n")
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()

    assert (b"role" in first, b"one" in second) == (True, True)


async def test_a_stream_may_end_in_order_but_without_finish_reason_and_end_mark():
    async with OpenAIServer() as model:
        model.enqueue(Truncated(Reply("one two three"), after=3, how="end"))
        events = await events_of(model)

    assert len(events) == 3
    assert json.loads(events[-1])["choices"][0]["finish_reason"] is None


async def test_a_cut_document_is_shorter_than_it_promised():
    async with OpenAIServer() as model:
        model.enqueue(Truncated(Reply("one two three")))
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer_to(model)


async def test_a_document_may_end_in_the_middle():
    async with OpenAIServer() as model:
        model.enqueue(Truncated(Reply("one two three"), how="end"))
        with pytest.raises(ValueError):
            await answer_to(model)


async def test_an_error_event_comes_after_the_chunks_before_it():
    async with OpenAIServer() as model:
        model.enqueue(ErrorEvent(after=2, message="overloaded"))
        events = await events_of(model)

    assert len(events) == 3
    assert json.loads(events[-1])["error"]["message"] == "overloaded"


async def test_silence_lasts_until_the_caller_gives_up():
    async with OpenAIServer() as model:
        model.enqueue(Silence())
        with pytest.raises(asyncio.TimeoutError):
            async with asking(model, HELLO, timeout=aiohttp.ClientTimeout(total=0.05)):
                pass
        await model.wait_for_abandoned()

    assert model.active == 0


async def test_a_stream_may_fall_silent_in_the_middle():
    async with OpenAIServer() as model:
        model.enqueue(Silence(after=2))
        async with asking(model, STREAM) as response:
            first = await response.content.readuntil(b"\n\n")
            await response.content.readuntil(b"\n\n")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(response.content.read(1), 0.05)

    assert first.startswith(b"data: ")


async def test_a_caller_that_leaves_in_the_middle_of_a_stream_is_noticed():
    async with OpenAIServer() as model:
        model.enqueue(Reply("one two three four", between_s=0.05))
        async with asking(model, STREAM) as response:
            await response.content.readline()
        await model.wait_for_abandoned()

    assert model.abandoned == 1


async def test_a_dripping_answer_comes_byte_by_byte():
    async with OpenAIServer() as model:
        model.enqueue(Drip(Reply("slow"), interval_s=0.001))
        async with asking(model, HELLO) as response:
            pieces = [piece async for piece in response.content.iter_any()]

    assert len(pieces) > 10
    assert json.loads(b"".join(pieces))["choices"][0]["message"]["content"] == "slow"


async def test_a_stream_may_drip_too():
    async with OpenAIServer() as model:
        model.enqueue(Drip(Reply("slow"), interval_s=0))
        events = await events_of(model)

    assert events[-1] == "[DONE]"


async def test_without_streaming_an_error_event_is_a_document_with_status_200():
    async with OpenAIServer() as model:
        model.enqueue(ErrorEvent(message="overloaded"))
        status, document = await answer_to(model)

    assert (status, document["error"]["message"]) == (200, "overloaded")


async def test_a_closed_connection_gives_no_answer_at_all():
    async with OpenAIServer() as model:
        model.enqueue(HangUp())
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await answer_to(model)


async def test_a_huge_reply_has_exactly_the_size_asked_for():
    async with OpenAIServer() as model:
        model.enqueue(huge_reply(300_001), huge_reply(300_001))
        _, document = await answer_to(model)
        events = await events_of(model)

    assert len(document["choices"][0]["message"]["content"]) == 300_001
    assert sum(len(event) for event in events) > 300_001


async def test_delays_come_before_the_answer_the_first_chunk_and_the_next_ones():
    async with OpenAIServer() as model:
        model.enqueue(Reply("a b", delay_s=0.05, first_chunk_delay_s=0.1, between_s=0.02))
        start = time.monotonic()
        async with asking(model, STREAM) as response:
            headers_s = time.monotonic() - start
            await response.content.readline()
            first_s = time.monotonic() - start
            await response.read()
            whole_s = time.monotonic() - start

    assert headers_s >= 0.05
    assert first_s >= 0.15
    assert whole_s >= 0.15 + 4 * 0.02


async def test_closing_the_server_lets_go_of_a_stalled_caller():
    async with OpenAIServer() as model:
        model.enqueue(Silence())
        caller = asyncio.create_task(answer_to(model))
        await model.wait_for_calls(1)

    with pytest.raises(aiohttp.ClientError):
        await caller
