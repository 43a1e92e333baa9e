"""The model behind an OpenAI-compatible endpoint, against the fake endpoint and all its faults."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from gateway.agents.model import ModelDone, ModelEvent, ModelRequest, ModelText
from gateway.agents.openai_model import OpenAIModel
from gateway.domain.conversation import ToolCall, Usage
from gateway.domain.models import ModelSpec, Secret
from gateway.domain.policy import ModelPolicy
from gateway.errors import ModelError
from gateway.testing.openai import replies as fake
from gateway.testing.openai.server import OpenAIServer

KEY = "sk-canary-123"
QUICK = ModelPolicy(connect_s=1, first_byte_s=0.3, idle_s=0.3)


def request(text: str = "Hello", **settings) -> ModelRequest:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    return ModelRequest(agent="Desk", **{"messages": messages, **settings})


@asynccontextmanager
async def endpoint(
    *answers: fake.Answer | str, policy: ModelPolicy | None = None, **settings
) -> AsyncIterator[tuple[OpenAIServer, OpenAIModel]]:
    """A fake endpoint with these answers, and the model that asks it."""
    async with OpenAIServer(api_key=KEY, **settings) as server:
        server.enqueue(*answers)
        spec = ModelSpec(
            name="main",
            provider="openai",
            base_url=server.base_url,
            api_key=Secret(KEY),
            model="fake-model",
        )
        model = OpenAIModel(spec, policy or ModelPolicy())
        try:
            yield server, model
        finally:
            await model.aclose()


@asynccontextmanager
async def served(
    reply: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[OpenAIModel]:
    """A model whose endpoint answers in a way of its own."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", reply)
    async with TestServer(app) as server:
        spec = ModelSpec(name="main", provider="openai", base_url=str(server.make_url("/v1")))
        model = OpenAIModel(spec, QUICK)
        try:
            yield model
        finally:
            await model.aclose()


async def events(model: OpenAIModel, asked: ModelRequest | None = None) -> list[ModelEvent]:
    return [event async for event in model.stream(asked or request())]


async def answer(*answers: fake.Answer | str, **settings) -> list[ModelEvent]:
    asked = settings.pop("asked", None)
    async with endpoint(*answers, **settings) as (_, model):
        return await events(model, asked)


async def failure(*answers: fake.Answer | str, **settings) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await answer(*answers, **{"policy": QUICK, **settings})
    return caught.value


def text_of(told: list[ModelEvent]) -> str:
    return "".join(event.text for event in told if isinstance(event, ModelText))


@pytest.fixture(params=[True, False], ids=["stream", "document"])
def asked(request) -> ModelRequest:
    return globals()["request"](wants_stream=request.param)


async def test_an_answer_comes_piece_by_piece():
    told = await answer(fake.Reply("It is noon.", between_s=0.02))

    assert [e.text for e in told[:-1] if isinstance(e, ModelText)] == ["It ", "is ", "noon."]


async def test_an_answer_ends_with_its_usage_and_the_configured_name(asked):
    told = await answer(fake.Reply("Yes.", usage=fake.Usage(7, 3)), asked=asked)

    assert text_of(told) == "Yes."
    assert told[-1] == ModelDone((), Usage(7, 3), "main")


async def test_a_document_is_asked_for_where_nobody_listens():
    async with endpoint("Yes.") as (server, model):
        await events(model, request(wants_stream=False))

        assert not server.calls[0].streams


async def test_the_request_keeps_to_the_rules_of_the_api():
    tools = [{"type": "function", "function": {"name": "f", "description": "", "parameters": {}}}]
    full = request(
        tools=tools, temperature=0.5, max_tokens=9, parameters={"seed": 3}, request_id="req_1"
    )

    async with endpoint("Yes.") as (server, model):
        await events(model, full)

        (call,) = server.calls
    assert call.problems == ()
    assert call.body["model"] == "fake-model"
    assert call.body["messages"] == full.messages
    assert (call.body["temperature"], call.body["max_tokens"], call.body["seed"]) == (0.5, 9, 3)
    assert call.tool_names == ("f",)
    assert call.headers["x-client-request-id"] == "req_1"


async def test_parameters_cannot_replace_what_is_ours():
    async with endpoint("Yes.") as (server, model):
        await events(model, request(parameters={"model": "other", "messages": []}))

        assert server.calls[0].model == "fake-model"


async def test_tool_calls_are_put_together_from_their_pieces(asked):
    wanted = (
        fake.ToolCall("get_balance", '{"user_id": "u1"}', id="c1"),
        fake.ToolCall("get_rate", "{}", id="c2"),
    )

    told = await answer(fake.Reply("Let me look.", tool_calls=wanted), asked=asked)

    done = told[-1]
    assert isinstance(done, ModelDone)
    assert done.tool_calls == (
        ToolCall("c1", "get_balance", '{"user_id": "u1"}'),
        ToolCall("c2", "get_rate", "{}"),
    )
    assert text_of(told) == "Let me look."


async def test_an_answer_that_reached_its_limit_is_marked(asked):
    told = await answer(fake.Reply("Once upon", finish_reason="length"), asked=asked)

    assert isinstance(told[-1], ModelDone)
    assert told[-1].was_cut


async def test_a_refusal_by_a_content_filter_is_permanent(asked):
    error = await failure(fake.Reply("", finish_reason="content_filter"), asked=asked)

    assert (error.code, error.transient) == ("model_refused_request", False)


async def test_usage_that_is_not_told_is_estimated(asked):
    told = await answer(fake.Reply("x" * 400, usage=None), asked=asked)

    assert isinstance(told[-1], ModelDone)
    assert told[-1].usage.output_tokens == 100
    assert told[-1].usage.input_tokens > 10


async def test_pictures_are_left_out_for_a_model_that_sees_none():
    picture = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
    ]

    async with endpoint("A cat.") as (server, model):
        await events(model, request(messages=[{"role": "user", "content": picture}]))

        assert server.calls[0].messages[0]["content"] == "What is this?\n[picture]"


async def test_half_a_surrogate_pair_is_not_sent():
    async with endpoint("Yes.") as (server, model):
        await events(model, request("a\ud800b"))

        assert server.calls[0].last_text == "a?b"
        assert server.problems == []


@pytest.mark.parametrize(
    ("fault", "transient", "code"),
    [
        (fake.HttpError(500), True, "model_error"),
        (fake.HttpError(503), True, "model_error"),
        (fake.HttpError(408), True, "model_error"),
        (fake.HttpError(502, body="<html>Bad gateway</html>"), True, "model_error"),
        (fake.HttpError(400), False, "model_refused_request"),
        (fake.HttpError(422), False, "model_refused_request"),
        (fake.HttpError(401), False, "model_error"),
        (fake.HttpError(403), False, "model_error"),
        (fake.unknown_model(), False, "model_error"),
        (fake.HttpError(302), False, "model_error"),
        (fake.HttpError(429, code="insufficient_quota"), False, "model_error"),
    ],
)
async def test_a_status_says_whether_to_try_again(fault, transient, code, asked):
    error = await failure(fault, asked=asked)

    assert (error.transient, error.code, error.status) == (transient, code, fault.status)


async def test_a_wish_to_wait_is_passed_on():
    error = await failure(fake.too_many_requests(7))

    assert (error.transient, error.retry_after_s) == (True, 7)


async def test_a_wish_to_wait_may_be_a_date():
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)

    error = await failure(fake.HttpError(429, retry_after=at))

    assert error.retry_after_s is not None
    assert 50 < error.retry_after_s <= 60


@pytest.mark.parametrize("nonsense", ["soon", "-1", "nan", "1e400", ""])
async def test_a_wish_to_wait_that_is_nonsense_is_none(nonsense):
    error = await failure(fake.HttpError(429, retry_after=nonsense))

    assert error.retry_after_s is None


@pytest.mark.parametrize(
    "fault",
    [
        fake.Garbage(),
        fake.EmptyChoices(),
        fake.Truncated(fake.Reply("This is going well."), how="cut"),
        fake.Truncated(fake.Reply("This is going well."), how="end"),
        fake.ErrorEvent(),
        fake.Silence(),
        fake.Silence(after=0),
        fake.Silence(after=2),
        fake.HangUp(),
    ],
    ids=repr,
)
async def test_a_broken_answer_may_be_tried_again(fault, asked):
    error = await failure(fault, asked=asked)

    assert error.transient
    assert error.code == "model_error"


async def test_text_before_the_break_was_given():
    async with endpoint(fake.Truncated(fake.Reply("This is going well."))) as (_, model):
        stream = model.stream(request())
        first = await anext(stream)
        with pytest.raises(ModelError):
            await anext(stream)

    assert first == ModelText("This ")


async def test_an_error_event_that_blames_the_request_is_permanent():
    body = 'data: {"error": {"type": "invalid_request_error", "message": "too long"}}\n\n'

    error = await failure(fake.Garbage(body.removeprefix("data: ").strip()))

    assert (error.transient, error.code) == (False, "model_refused_request")


async def test_an_answer_of_10_mb_is_refused(asked):
    error = await failure(fake.huge_reply(), asked=asked, policy=ModelPolicy())

    assert not error.transient


async def test_an_answer_in_single_bytes_is_read(asked):
    told = await answer(fake.Drip(fake.Reply("Drop by drop."), interval_s=0), asked=asked)

    assert text_of(told) == "Drop by drop."


async def test_an_endpoint_that_is_not_there_may_be_tried_again():
    async with endpoint() as (server, model):
        await server.__aexit__(None, None, None)
        with pytest.raises(ModelError) as caught:
            await events(model)

    assert caught.value.transient


async def test_a_wrong_key_does_not_show_in_the_error_nor_in_the_log():
    secret = fake.HttpError(401, f"Incorrect API key provided: {KEY}. You said: Hello")

    with capture_logs() as logs:
        error = await failure(secret)

    told = f"{error!r} {error} {error.message} {logs}"
    assert KEY not in told
    assert "You said" not in told
    assert logs[0]["event"] == "model_refused"


async def test_closing_the_stream_hangs_up():
    async with endpoint(fake.Silence(after=2)) as (server, model):
        async with aclosing(model.stream(request())) as stream:
            await anext(stream)

        await server.wait_for_abandoned()


async def test_cancelling_the_reader_hangs_up():
    async with endpoint(fake.Silence()) as (server, model):
        reader = asyncio.create_task(events(model))
        await server.wait_for_calls(1)

        reader.cancel()
        await asyncio.wait({reader}, timeout=5)

        await server.wait_for_abandoned()


async def test_64_calls_run_at_once():
    answers = [fake.Reply(str(n), delay_s=0.2) for n in range(64)]

    async with endpoint(*answers) as (server, model):
        await asyncio.gather(*(events(model) for _ in range(64)))

        assert server.peak_active == 64


async def test_a_connection_is_used_again(asked):
    peers: set[object] = set()

    async def reply(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        chunk = b'{"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]}'
        await response.write(b"data: " + chunk + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async with served(reply) as model:
        for _ in range(3):
            await events(model, asked)

    assert len(peers) == 1


async def test_an_endpoint_that_refuses_the_usage_option_is_asked_without_it_from_then_on():
    def script(call):
        if "stream_options" in call.body:
            return fake.HttpError(400, "Unrecognized request argument: stream_options")
        return fake.Reply("Yes.")

    async with endpoint(script=script) as (server, model):
        first = await events(model)
        await events(model)

        wanted = ["stream_options" in call.body for call in server.calls]
    assert text_of(first) == "Yes."
    assert wanted == [True, False, False]


async def test_an_endpoint_that_names_the_token_limit_otherwise_is_given_its_name():
    def script(call):
        if "max_tokens" in call.body:
            return fake.HttpError(400, "Use 'max_completion_tokens' instead.")
        return fake.Reply("Yes.")

    async with endpoint(script=script) as (server, model):
        await events(model, request(max_tokens=5))
        await events(model, request(max_tokens=5))

        limits = [call.body.get("max_completion_tokens") for call in server.calls]
    assert limits == [None, 5, 5]


async def test_a_model_too_slow_for_one_piece_is_streamed_from_then_on():
    async with endpoint(fake.Silence(), "Yes.", policy=QUICK) as (server, model):
        with pytest.raises(ModelError):
            await events(model, request(wants_stream=False))
        told = await events(model, request(wants_stream=False))

        assert [call.streams for call in server.calls] == [False, True]
    assert text_of(told) == "Yes."


async def test_a_document_in_place_of_a_stream_is_read():
    document = {"choices": [{"message": {"content": "Yes."}, "finish_reason": "stop"}]}

    async def reply(request: web.Request) -> web.Response:
        return web.json_response(document)

    async with served(reply) as model:
        told = await events(model)

    assert text_of(told) == "Yes."


async def test_an_answer_that_is_finished_counts_though_the_stream_stays_open():
    never = asyncio.Event()

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        chunk = b'{"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]}'
        await response.write(b"data: " + chunk + b"\n\n")
        await never.wait()
        return response

    async with served(reply) as model:
        told = await events(model)
        never.set()

    assert text_of(told) == "Yes."
    assert isinstance(told[-1], ModelDone)


async def test_an_end_mark_counts_though_the_connection_stays_open():
    never = asyncio.Event()

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        chunk = b'{"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]}'
        await response.write(b"data: " + chunk + b"\n\ndata: [DONE]\n\n")
        await never.wait()
        return response

    async with served(reply) as model:
        told = await asyncio.wait_for(events(model), QUICK.idle_s)
        never.set()

    assert text_of(told) == "Yes."


async def test_a_document_that_is_too_large_is_refused():
    async def reply(request: web.Request) -> web.Response:
        return web.Response(body=b" " * 9_000_000, content_type="application/json")

    async with served(reply) as model:
        with pytest.raises(ModelError, match="too large"):
            await events(model)
