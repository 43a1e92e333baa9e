"""Tools one by one: arguments, limits, Python functions, HTTP endpoints."""

import asyncio
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.agents.tools.context import ToolContext, ToolResult
from gateway.agents.tools.load import load_tools
from gateway.agents.tools.python import MAX_THREADS
from gateway.agents.tools.table import ToolTable
from gateway.domain.bots import ToolSpec
from gateway.domain.conversation import ToolCall
from gateway.domain.ids import ParticipantId, ProjectId, SessionId
from gateway.errors import ConfigError, ToolError
from gateway.http_client import HttpClient
from tests.agents.builders import PARAMETERS, RecordingTool, tool

CONTEXT = ToolContext(
    project_id=ProjectId("demo"),
    bot="support",
    idempotency_key="turn_1/0",
    session_id=SessionId("ses_1"),
    participant_id=ParticipantId("par_1"),
)
GOOD = '{"user_id": "u1"}'


async def run(table: ToolTable, arguments: str = GOOD, name: str = "get_balance") -> ToolResult:
    return await table.run(ToolCall("c1", name, arguments), context=CONTEXT)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ('"u1"', "not a JSON object"),
        ("", "'user_id' is a required property"),
        ('{"user_id": 5}', "at user_id: 5 is not of type 'string'"),
        ('{"user_id": "u1", "admin": true}', "'admin' was unexpected"),
        ('{"user_id": NaN}', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"user_id": "' + "x" * 300_000 + '"}', "too long"),
    ],
)
async def test_wrong_arguments_are_explained_and_not_run(arguments, sentence):
    runner = RecordingTool()
    table = ToolTable([(tool(), runner)])

    result = await run(table, arguments)

    assert not result.is_ok
    assert sentence in result.text
    assert len(result.text) <= 500
    assert runner.calls == []
    assert table.problem(ToolCall("c1", "get_balance", arguments)) == result.text


async def test_no_arguments_at_all_stand_for_an_empty_object():
    runner = RecordingTool()

    result = await run(ToolTable([(tool(parameters={}), runner)]), "")

    assert result.is_ok
    assert runner.calls[0][0] == {}


async def test_a_tool_that_hangs_is_given_up():
    never = asyncio.Event()

    async def hang() -> str:
        await never.wait()
        return ""

    result = await run(ToolTable([(tool(timeout_s=0.05), RecordingTool(hang))]))

    assert result == ToolResult("The tool did not answer within 0.05 s.", is_ok=False)


async def test_a_result_that_is_too_large_is_refused():
    result = await run(ToolTable([(tool(max_bytes=5), RecordingTool("äää"))]))

    assert result == ToolResult("The result is larger than 5 bytes.", is_ok=False)


async def test_half_a_surrogate_pair_does_not_leave_a_tool():
    result = await run(ToolTable([(tool(), RecordingTool("a\ud800b"))]))

    assert result.text == "a?b"


async def test_a_nul_does_not_leave_a_tool():
    result = await run(ToolTable([(tool(), RecordingTool("a\0b"))]))

    assert result.text == "a\ufffdb"


async def test_an_error_of_a_tool_is_its_sentence():
    result = await run(ToolTable([(tool(), RecordingTool(ToolError("Closed today.")))]))

    assert result == ToolResult("Closed today.", is_ok=False)


async def test_a_tool_that_the_caller_runs_is_not_run_here():
    table = ToolTable([(tool(kind="client"), None)])

    assert not (await run(table)).is_ok
    assert table.definition("get_balance") is not None


async def test_a_table_knows_only_its_own_tools():
    table = ToolTable([(tool(), RecordingTool())])

    assert await run(table, name="other") == ToolResult(
        "There is no tool named other.", is_ok=False
    )
    assert table.spec("other") is None


async def test_a_client_tool_is_loaded_without_a_runner():
    async with HttpClient() as http:
        table = load_tools([tool(kind="client")], http=http)

    assert table.spec("get_balance") is not None


def test_a_definition_has_the_form_of_the_chat_completions_api():
    table = ToolTable([(tool(), RecordingTool())])

    assert table.definition("get_balance") == {
        "type": "function",
        "function": {
            "name": "get_balance",
            "description": "A balance.",
            "parameters": PARAMETERS,
        },
    }


def test_parameters_that_are_no_schema_are_a_configuration_error():
    with pytest.raises(ConfigError, match=r"tools\.get_balance\.parameters"):
        ToolTable([(tool(parameters={"type": "thing"}), RecordingTool())])


async def test_a_schema_elsewhere_is_never_fetched():
    schema = {"type": "object", "properties": {"user_id": {"$ref": "http://127.0.0.1:9/x.json"}}}

    result = await run(ToolTable([(tool(parameters=schema), RecordingTool())]))

    assert result == ToolResult("The arguments cannot be checked.", is_ok=False)


# ------------------------------------------------------------------ Python functions


def plain(user_id: str) -> Mapping[str, Any]:
    return {"user_id": user_id, "thread": threading.current_thread().name}


async def awaited(user_id: str) -> str:
    await asyncio.sleep(0)
    return f"balance of {user_id}"


def told(user_id: str, context: ToolContext) -> list[str | None]:
    return [user_id, context.session_id, context.idempotency_key]


def broken(user_id: str) -> str:
    raise LookupError(f"no such user: {user_id}")


def leaving(user_id: str) -> str:
    raise SystemExit(user_id)


def odd(user_id: str) -> object:
    return object()


def polite(user_id: str) -> str:
    raise ToolError("Ask again later.")


async def called(function: str) -> ToolResult:
    async with HttpClient() as http:
        table = load_tools([tool(target=f"{__name__}:{function}")], http=http)
        return await run(table)


async def test_an_ordinary_function_runs_in_a_thread():
    result = await called("plain")

    assert json.loads(result.text) == {"user_id": "u1", "thread": "tool-get_balance"}


async def test_an_async_function_is_awaited():
    assert (await called("awaited")).text == "balance of u1"


async def test_a_function_that_asks_for_it_learns_who_is_talking():
    assert json.loads((await called("told")).text) == ["u1", "ses_1", "turn_1/0"]


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        ("broken", "The tool failed (LookupError)."),
        ("leaving", "The tool failed (SystemExit)."),
        ("odd", "The tool gave a value that is not JSON."),
        ("polite", "Ask again later."),
    ],
)
async def test_whatever_a_function_raises_becomes_a_sentence(function, sentence):
    assert await called(function) == ToolResult(sentence, is_ok=False)


async def test_a_model_cannot_pass_a_context_of_its_own():
    async with HttpClient() as http:
        free = tool(target=f"{__name__}:told", parameters={"type": "object"})
        result = await run(
            load_tools([free], http=http), '{"user_id": "u1", "context": {"session_id": "other"}}'
        )

    assert json.loads(result.text)[1] == "ses_1"


async def test_a_function_that_blocks_does_not_hold_up_the_others():
    release.clear()
    async with HttpClient() as http:
        table = load_tools([tool(target=f"{__name__}:blocking", timeout_s=0.05)], http=http)
        result = await run(table)
    release.set()

    assert not result.is_ok


release = threading.Event()


def blocking(user_id: str) -> str:
    release.wait(5)
    return user_id


@pytest.mark.parametrize("target", ["no.such.module:f", f"{__name__}:nothing", f"{__name__}:GOOD"])
async def test_a_function_that_is_not_there_is_a_configuration_error(target):
    async with HttpClient() as http:
        with pytest.raises(ConfigError, match=r"tools\.get_balance"):
            load_tools([tool(target=target)], http=http)


async def test_a_kind_that_cannot_be_run_is_a_configuration_error():
    async with HttpClient() as http:
        with pytest.raises(ConfigError, match="mcp"):
            load_tools([tool(kind="mcp")], http=http)


async def cancelled(user_id: str) -> str:
    raise asyncio.CancelledError


async def test_a_function_that_cancels_itself_does_not_cancel_the_turn():
    assert await called("cancelled") == ToolResult("The tool was cancelled.", is_ok=False)


async def test_calls_of_a_function_that_hangs_are_bounded():
    release.clear()
    async with HttpClient() as http:
        table = load_tools([tool(target=f"{__name__}:blocking", timeout_s=0.2)], http=http)
        results = await asyncio.gather(*(run(table) for _ in range(MAX_THREADS + 1)))
    release.set()

    assert results[-1] == ToolResult("The tool is busy, try again later.", is_ok=False)


# ------------------------------------------------------------------ HTTP endpoints


class Endpoint:
    """A tool of the operator."""

    def __init__(self, answer: web.Response | None = None) -> None:
        self.requests: list[tuple[Mapping[str, str], Any]] = []
        self._answer = answer or web.Response(text='{"balance": 12.5}')
        app = web.Application()
        app.router.add_post("/balance", self._take)
        self._server = TestServer(app, host="127.0.0.1")

    async def _take(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.json()))
        return self._answer

    async def ask(self, *, context: ToolContext = CONTEXT, **settings) -> ToolResult:
        async with self._server as server, HttpClient() as http:
            target = str(server.make_url("/balance"))
            spec: ToolSpec = tool(
                kind="http", target=target, **{"allow_private_network": True, **settings}
            )
            call = ToolCall("c1", "get_balance", GOOD)
            return await load_tools([spec], http=http).run(call, context=context)


async def test_arguments_are_posted_and_the_answer_is_the_result():
    endpoint = Endpoint()

    result = await endpoint.ask(headers={"Authorization": "Bearer t"})

    assert result == ToolResult('{"balance": 12.5}')
    headers, body = endpoint.requests[0]
    assert body == {"user_id": "u1"}
    assert headers["Authorization"] == "Bearer t"
    assert headers["Content-Type"] == "application/json"


async def test_an_endpoint_learns_who_is_talking_from_headers():
    endpoint = Endpoint()

    await endpoint.ask()

    headers, _ = endpoint.requests[0]
    assert headers["Idempotency-Key"] == "turn_1/0"
    assert headers["X-Gateway-Session"] == "ses_1"
    assert headers["X-Gateway-Participant"] == "par_1"
    assert headers["X-Gateway-Bot"] == "support"
    assert headers["X-Gateway-Project"] == "demo"


async def test_a_call_outside_a_session_names_none():
    endpoint = Endpoint()

    await endpoint.ask(context=replace(CONTEXT, session_id=None, participant_id=None))

    headers, _ = endpoint.requests[0]
    assert "X-Gateway-Session" not in headers
    assert "X-Gateway-Participant" not in headers


async def test_a_failing_endpoint_is_told_without_its_body():
    result = await Endpoint(web.Response(status=500, text="Traceback: password=x")).ask()

    assert result == ToolResult("The tool failed with status 500.", is_ok=False)


async def test_a_private_endpoint_is_not_reached_unless_that_is_allowed():
    endpoint = Endpoint()

    result = await endpoint.ask(allow_private_network=False)

    assert result == ToolResult("The tool failed: The address is not allowed.", is_ok=False)
    assert endpoint.requests == []


async def test_an_answer_over_the_size_limit_is_a_failure():
    result = await Endpoint(web.Response(text="x" * 1000)).ask(max_bytes=100)

    assert not result.is_ok


async def test_an_http_tool_without_an_address_is_a_configuration_error():
    async with HttpClient() as http:
        with pytest.raises(ConfigError, match="no url"):
            load_tools([tool(kind="http")], http=http)
