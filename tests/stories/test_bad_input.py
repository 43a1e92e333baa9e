"""Good JSON with bad contents, bad keys and bad places: a clear answer, and nothing stored.

Bodies that are no documents at all are a row of the fault matrix: rows/malformed.py.
"""

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gateway.testing.kills.settled import errors_in_log
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import Caller, serving
from tests.stories.checks import findings

JSON = {"Content-Type": "application/json"}
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id", "retryable"}
UNKNOWN = "ses_01k00000000000000000000000"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[GatewayProcess, Caller]]:
    """One daemon for all of them: it has to stand all of them."""
    async with serving(tmp_path_factory.mktemp("bad-input")) as (gateway, caller):
        yield gateway, caller
        assert await findings(gateway) == []
        assert (await caller.say("Still there?"))["output_text"] == "Heard: Still there?"
        assert await gateway.stop() == 0


async def post(
    caller: Caller,
    body: bytes,
    *,
    path: str = "/v1/chat",
    key: str | None = None,
    headers: dict[str, str] = JSON,
) -> tuple[int, str, Any]:
    """A raw body: status, content type and document of the answer."""
    authorized = {"Authorization": f"Bearer {caller.key if key is None else key}", **headers}
    async with (
        aiohttp.ClientSession() as client,
        client.post(caller.url + path, data=BytesIO(body), headers=authorized) as answer,
    ):
        return answer.status, answer.content_type, await answer.json(content_type=None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"input": ""}', 422, "validation_failed"),
        (b'{"input": 7}', 422, "validation_failed"),
        (b"{}", 422, "validation_failed"),
        (b'{"input": "Hi", "bot": "nobody"}', 404, "not_found"),
        (b'{"input": "Hi", "agent": "nobody"}', 404, "not_found"),
        (b'{"input": "Hi", "session_id": "%b"}' % UNKNOWN.encode(), 404, "not_found"),
        (b'{"input": "Hi", "session_id": "\'; DROP TABLE session"}', 404, "not_found"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else str(value),
)
async def test_a_document_that_cannot_be_used_is_refused_and_nothing_is_stored(
    house: tuple[GatewayProcess, Caller], body: bytes, status: int, code: str
) -> None:
    gateway, caller = house
    before, log_before = await caller.session_count(), len(gateway.log)

    seen, content_type, problem = await post(caller, body)

    assert (seen, problem["code"]) == (status, code)
    assert content_type == "application/problem+json"
    assert problem.keys() >= MEMBERS
    assert (problem["status"], problem["instance"]) == (status, "/v1/chat")
    assert await caller.session_count() == before
    assert errors_in_log(gateway.log[log_before:]) == []


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "invalid_credentials"),
        ("gw_sk_wrong", "invalid_credentials"),
        ("x" * 4000, "invalid_credentials"),
        ("é", "invalid_credentials"),
    ],
)
async def test_a_wrong_key_is_refused_and_nothing_is_stored(
    house: tuple[GatewayProcess, Caller], key: str, code: str
) -> None:
    gateway, caller = house
    before, log_before = await caller.session_count(), len(gateway.log)

    status, content_type, problem = await post(caller, b'{"input": "Hi"}', key=key)

    assert (status, content_type) == (401, "application/problem+json")
    assert problem["code"] == code
    assert await caller.session_count() == before
    assert errors_in_log(gateway.log[log_before:]) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/v1/sessions/{UNKNOWN}/messages", 404),
        ("/v1/sessions/%00/messages", 404),
        ("/v1/nothing", 404),
        ("/v1/bots", 405),
        ("/v1/chat?limit=1", 400),
    ],
)
async def test_a_place_that_is_not_there_says_so(
    house: tuple[GatewayProcess, Caller], path: str, status: int
) -> None:
    gateway, caller = house
    log_before = len(gateway.log)

    seen, content_type, problem = await post(caller, b'{"input": "Hi"}', path=path)

    assert (seen, content_type) == (status, "application/problem+json")
    assert problem.keys() >= MEMBERS
    assert errors_in_log(gateway.log[log_before:]) == []


async def test_no_key_at_all_is_told_apart(house: tuple[GatewayProcess, Caller]) -> None:
    _, caller = house

    async with aiohttp.ClientSession() as client, client.get(f"{caller.url}/v1/bots") as answer:
        problem = await answer.json(content_type=None)

    assert (answer.status, problem["code"]) == (401, "missing_credentials")
