"""Requests that mean little: whatever is sent, the answer is described and never a 5xx."""

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.api.http.endpoints import Endpoint
from gateway.api.native.routes import ENDPOINTS
from tests.api.native.gateway import Gateway
from tests.api.native.test_http import raw_head

CASES = 400
VALUES: list[Any] = [
    None, True, False, 0, -1, 2**63 - 1, -(2**63), 1e308, "", " ", "x", "é😀", "x" * 5000,
    "\\u0000", [], [None], {}, {"a": None}, "ses_01k00000000000000000000000", "support", "Desk",
    "2020-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", {"type": "text", "text": "x"},
    [{"type": "text", "text": "x"}], {"external_id": "x"},
]  # fmt: skip
PARAMETERS = [
    "", "1", "-1", "x", "asc", "all", "0", "100", "1e5", "99999999999999999999", "%F0%9F%98%80",
    "%FF", "2020-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59Z",
]  # fmt: skip
NOT_FOR_FUN = {"revokeKey", "cancelTurn"}


def requests(seed: int, ids: list[str]) -> Iterator[tuple[Endpoint, str, Any, dict[str, str]]]:
    """Endpoint, path, body and headers of requests that follow the description by halves."""
    chance = random.Random(seed)
    chosen = [endpoint for endpoint in ENDPOINTS if endpoint.name not in NOT_FOR_FUN]
    for _ in range(CASES):
        endpoint = chance.choice(chosen)
        path = re.sub(r"{\w+}", lambda _: chance.choice(ids), endpoint.path)
        if endpoint.query is not None:
            names = [name for name in endpoint.query.model_fields if name != "wait"]
            given = chance.sample(names, k=min(2, len(names)))
            path += "?" + "&".join(f"{name}={chance.choice(PARAMETERS)}" for name in given)
        body = None
        if endpoint.body is not None:
            members = [*endpoint.body.model_fields, "unknown"]
            body = {chance.choice(members): chance.choice(VALUES) for _ in range(4)}
            if "input" in members:
                body["input"] = chance.choice(["Hi", chance.choice(VALUES)])
        headers = {"Idempotency_Key": chance.choice("abc"), "If_Match": chance.choice('"*x')}
        yield endpoint, path, body, headers if chance.random() < 0.3 else {}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_is_sent_the_answer_is_described(gateway: Gateway, seed: int) -> None:
    turn = (await gateway.api.say("Hi")).json
    ids = [turn["session_id"], turn["id"], turn["participant_id"], "support", "api", "%2F", "%FF"]

    for endpoint, path, body, headers in requests(seed, ids):
        reply = await gateway.admin.call(endpoint.method, path, body, raw=None, **headers)
        assert reply.status < 500 or reply.status == 429, (endpoint.name, path, body, reply.body)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /\xff HTTP/1.1", 400),
        (b"GET /%ff%00%ed%a0%80 HTTP/1.1", 404),
        (b"GET http://x/v1/bots HTTP/1.1", 400),
        (b"OPTIONS * HTTP/1.1", 400),
        (b"CONNECT x:1 HTTP/1.1", 400),
        (b"TRACE /v1/bots HTTP/1.1", 405),
        (b"FOO /v1/bots HTTP/1.1", 400),
        (b"GET /v1/bots HTTP/1.1\r\nAuthorization: Bearer \xff\xfe", 401),
        (b"GET /healthz HTTP/1.1\r\nX-Request-Id: \xff", 200),
        (b"GET /healthz HTTP/1.1\r\nOrigin: \xff", 200),
        (b"GET /healthz HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade", 200),
        (b"GET /healthz HTTP/1.1\r\nX-Folded: a\r\n b", 400),
    ],
)
async def test_odd_lines_are_answered_in_good_order(
    gateway: Gateway, line: bytes, status: int
) -> None:
    found, _, _ = await raw_head(gateway, line + b"\r\nHost: x\r\n\r\n")

    assert found == status


async def test_a_client_that_waits_to_send_is_asked_to_go_on(gateway: Gateway) -> None:
    reply = await gateway.api.call("POST", "/v1/chat", {"input": "Hi"}, Expect="100-continue")
    other = await gateway.api.call("POST", "/v1/chat", {"input": "Hi"}, Expect="something")

    assert (reply.status, other.status) == (200, 200)
