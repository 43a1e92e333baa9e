"""HTTP itself: methods, paths, bodies, limits, ids and headers, in one shape whoever refuses."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
import structlog
from aiohttp import web

from gateway.api.app import ApiSettings, Runner, build_app
from gateway.api.http.server import ConnectionLimits
from tests.api.native.conftest import Start
from tests.api.native.gateway import Gateway

CHAT = "/v1/chat"


def port_of(gateway: Gateway) -> int:
    """The port it listens on."""
    return int(gateway.url.rpartition(":")[2])


async def raw(gateway: Gateway, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are and read one answer until the connection closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(gateway))
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            answer = await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name: value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/", "/v1/nothing", "/v1/chat/", "/v2/chat", "/%00", "/v1/sessions/a/b/c"],
)
async def test_an_unknown_path_is_a_problem_like_any_other(gateway: Gateway, path: str) -> None:
    reply = await gateway.api.get(path)

    assert (reply.status, reply.code) == (404, "not_found")
    assert reply.headers["Content-Type"].startswith("application/problem+json")


async def test_a_wrong_method_is_told_the_right_ones(gateway: Gateway) -> None:
    chat = await gateway.api.get(CHAT)
    messages = await gateway.api.call("DELETE", "/v1/sessions/ses_1/messages")

    assert (chat.status, chat.code, chat.headers["Allow"]) == (405, "method_not_allowed", "POST")
    assert messages.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "path", ["/healthz", "/v1/sessions", "/v1/bots/support", "/v1/openapi.json", "/docs"]
)
async def test_head_answers_where_get_does(gateway: Gateway, path: str) -> None:
    got, head = await gateway.api.get(path), await gateway.api.call("HEAD", path)

    assert head.status == got.status == 200
    assert head.body == b""
    assert head.headers["Content-Length"] == got.headers["Content-Length"]


async def test_head_of_a_stream_does_not_stream(gateway: Gateway) -> None:
    turn = (await gateway.api.say("Hi")).json["id"]

    head = await gateway.api.call("HEAD", f"/v1/turns/{turn}/events")

    assert head.headers["Content-Type"].startswith("text/event-stream")


async def test_a_good_request_id_is_kept_and_a_bad_one_replaced(gateway: Gateway) -> None:
    kept = await gateway.api.get("/healthz", X_Request_Id="trace-1.2_3")
    replaced = await gateway.api.get("/healthz", X_Request_Id="a b\tc")

    assert kept.headers["X-Request-Id"] == "trace-1.2_3"
    assert replaced.headers["X-Request-Id"].startswith("req_")


async def test_errors_name_the_request_and_where_to_read_about_them(gateway: Gateway) -> None:
    reply = await gateway.api.get("/v1/turns/turn_1", X_Request_Id="trace-1")

    assert reply.json == {
        "type": "http://gateway.test/docs#error-not_found",
        "title": "Not found",
        "status": 404,
        "detail": "There is no such turn.",
        "instance": "/v1/turns/turn_1",
        "code": "not_found",
        "request_id": "trace-1",
        "retryable": False,
    }


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "missing_credentials"),
        ("", "invalid_credentials"),
        ("Basic YTpi", "invalid_credentials"),
        ("Bearer", "invalid_credentials"),
        ("Bearer ", "invalid_credentials"),
        ("Bearer gw_sk_nonsense", "invalid_credentials"),
        ("Bearer gw_st_nonsense", "invalid_credentials"),
        ("Bearer " + "x" * 5000, "invalid_credentials"),
    ],
)
async def test_without_a_good_key_nothing_opens(
    gateway: Gateway, authorization: str | None, code: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    reply = await gateway.api.with_key(None, **headers).say("Hi")

    assert (reply.status, reply.code) == (401, code)
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_scheme_may_be_written_in_any_case(gateway: Gateway) -> None:
    client = gateway.api.with_key(None, Authorization=f"bEARER {gateway.api.key}")

    assert (await client.get("/v1/bots")).status == 200


async def test_a_key_in_the_address_is_no_key(gateway: Gateway) -> None:
    reply = await gateway.api.with_key(None).get(f"/v1/bots?key={gateway.api.key}")

    assert reply.status == 401


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/json; charset=latin-1",
        "",
    ],
)
async def test_only_json_is_read(gateway: Gateway, content_type: str) -> None:
    reply = await gateway.api.call("POST", CHAT, raw=b'{"input": "Hi"}', Content_Type=content_type)

    assert (reply.status, reply.code) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "application/merge-patch+json"]
)
async def test_every_kind_of_json_is_read(gateway: Gateway, content_type: str) -> None:
    reply = await gateway.api.call("POST", CHAT, raw=b'{"input": "Hi"}', Content_Type=content_type)

    assert reply.status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"a":1,"a":1}',
        b'{"input":"\xff"}',
        b'{"input":NaN}',
        b'{"input":"\\ud800"}',
    ],
)
async def test_a_body_that_cannot_be_read_stores_nothing(gateway: Gateway, body: bytes) -> None:
    reply = await gateway.api.call("POST", CHAT, raw=body)

    assert (reply.status, reply.code) == (400, "invalid_json")
    assert (await gateway.api.get("/v1/sessions")).json["data"] == []


async def test_a_body_over_the_limit_is_refused_by_its_declared_length(gateway: Gateway) -> None:
    request = (
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.api.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1048577\r\nConnection: close\r\n\r\n"
    )

    status, _, body = await asyncio.wait_for(raw_head(gateway, request.encode()), 2)

    assert (status, json.loads(body)["code"]) == (413, "body_too_large")


async def raw_head(gateway: Gateway, request: bytes) -> tuple[int, str, bytes]:
    """Send bytes and read the first answer by its Content-Length, without sending more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(gateway))
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        return int(head.split()[1]), head, await reader.readexactly(length)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_body_of_unknown_length_is_refused_while_it_is_read(start: Start) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"input": "'
        for _ in range(100):
            yield b"x" * 1000

    async with start(limits={"body_bytes": 10_000}) as gateway:
        headers = {"Authorization": f"Bearer {gateway.api.key}", "Content-Type": "application/json"}
        async with gateway.api.http.post(
            gateway.url + CHAT, data=endless(), headers=headers
        ) as reply:
            problem = await reply.json(content_type=None)

    assert (reply.status, problem["code"]) == (413, "body_too_large")


async def test_a_body_in_pieces_is_read(gateway: Gateway) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for letter in b'{"input": "Hi"}':
            yield bytes([letter])

    headers = {"Authorization": f"Bearer {gateway.api.key}", "Content-Type": "application/json"}
    async with gateway.api.http.post(gateway.url + CHAT, data=pieces(), headers=headers) as reply:
        assert (await reply.json())["output_text"] == "You said: Hi"


async def test_a_compressed_body_is_not_unpacked(gateway: Gateway) -> None:
    bomb = gzip.compress(b'{"input": "' + b"x" * 50_000_000 + b'"}')

    reply = await gateway.api.call("POST", CHAT, raw=bomb, Content_Encoding="gzip")

    assert (reply.status, reply.code) == (415, "unsupported_media_type")


HOST = b" HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"GET /" + b"x" * 70_000 + HOST + b"\r\n", 431, "headers_too_large"),
        (b"GET /" + HOST + b"X-Big: " + b"x" * 65_536 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"NONSENSE\r\n\r\n", 400, "bad_request"),
        (b"GET /" + HOST + b"A b: c\r\n\r\n", 400, "bad_request"),
        (
            b"POST /v1/chat"
            + HOST
            + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_request",
        ),
        (
            b"POST /v1/chat" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
            400,
            "bad_request",
        ),
        (b"POST /v1/chat" + HOST + b"Content-Length: -1\r\n\r\n", 400, "bad_request"),
    ],
)
async def test_what_is_no_http_is_refused_in_the_same_shape(
    gateway: Gateway, request_bytes: bytes, status: int, code: str
) -> None:
    found, headers, body = await raw(gateway, request_bytes)

    assert (found, json.loads(body)["code"]) == (status, code)
    assert headers["Content-Type"].startswith("application/problem+json")
    assert headers["X-Request-Id"].startswith("req_")
    assert headers["Server"] == "bot-gateway"


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTT", b"GET /healthz" + HOST + b"X-Slow: "])
async def test_a_connection_that_never_completes_a_request_is_closed(
    start: Start, sent: bytes
) -> None:
    async with start(connections=ConnectionLimits(idle_s=0.2)) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(gateway))
        writer.write(sent)

        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()

    assert answer == b""


async def test_a_body_that_comes_too_slowly_is_refused(start: Start) -> None:
    async with start(body_timeout_s=0.2) as gateway:
        request = (
            f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.api.key}\r\n"
            'Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"input": '
        )

        status, _, body = await raw_head(gateway, request.encode())

    assert (status, json.loads(body)["code"]) == (400, "body_too_slow")


async def test_who_never_sends_the_rest_of_a_body_is_soon_hung_up_on(gateway: Gateway) -> None:
    request = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{{"
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(gateway))
    writer.write(request.encode())

    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_body_that_breaks_off_stores_nothing(gateway: Gateway) -> None:
    request = (
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.api.key}\r\n"
        'Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{"input": "Hi"}'
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(gateway))
    writer.write(request.encode())
    writer.write_eof()

    async with asyncio.timeout(5):
        await reader.read()
    writer.close()

    assert (await gateway.api.get("/v1/sessions")).json["data"] == []


async def test_no_answer_is_kept_by_caches_or_guessed_at(gateway: Gateway) -> None:
    for reply in (await gateway.api.say("Hi"), await gateway.api.get("/nothing")):
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Server"] == "bot-gateway"


async def test_every_reply_to_a_caller_tells_what_is_left(start: Start) -> None:
    async with start(limits={"requests_per_minute": 3}) as gateway:
        replies = [await gateway.api.get("/v1/bots") for _ in range(4)]

    assert [r.status for r in replies] == [200, 200, 200, 429]
    assert replies[0].headers["RateLimit-Policy"] == '"minute";q=3;w=60'
    assert replies[0].headers["RateLimit"].startswith('"minute";r=2;t=')
    refused = replies[-1]
    assert refused.code == "rate_limited"
    assert refused.json["retryable"] is True
    reset_s = int(refused.headers["RateLimit"].rpartition("t=")[2])
    assert int(refused.headers["Retry-After"]) >= reset_s > 0


async def test_a_key_may_have_limits_of_its_own(gateway: Gateway) -> None:
    body = {"name": "k", "limits": {"requests_per_minute": 1, "requests_per_hour": 5}}
    narrow = gateway.api.with_key((await gateway.admin.post("/v1/keys", body)).json["key"])

    first, second = await narrow.get("/v1/bots"), await narrow.get("/v1/bots")

    assert first.headers["RateLimit-Policy"] == '"minute";q=1;w=60, "hour";q=5;w=3600'
    assert (first.status, second.status) == (200, 429)


async def test_a_limit_of_zero_is_no_limit(start: Start) -> None:
    async with start(limits={"requests_per_minute": 0, "bad_keys_per_minute": 1}) as gateway:
        stranger = gateway.api.with_key("gw_sk_wrong")

        assert {(await gateway.api.get("/v1/bots")).status for _ in range(5)} == {200}
        assert {(await stranger.get("/v1/bots")).status for _ in range(5)} == {401}
        assert "RateLimit" not in (await gateway.api.get("/v1/bots")).headers


async def test_wrong_keys_are_slowed_down_and_never_lock_out_right_ones(start: Start) -> None:
    async with start(limits={"bad_keys_per_minute": 3}) as gateway:
        stranger = gateway.api.with_key("gw_sk_wrong")

        refused = [(await stranger.get("/v1/bots")).status for _ in range(5)]
        right = await gateway.api.get("/v1/bots")

    assert refused == [401, 401, 401, 429, 429]
    assert right.status == 200


async def test_a_made_up_address_does_not_escape_that(start: Start) -> None:
    async with start(limits={"bad_keys_per_minute": 2}) as gateway:
        stranger = gateway.api.with_key("gw_sk_wrong")

        seen = [
            (await stranger.get("/v1/bots", X_Forwarded_For=f"203.0.113.{n}")).status
            for n in range(4)
        ]

    assert seen == [401, 401, 429, 429]


async def test_a_configured_origin_may_call_and_others_may_not(start: Start) -> None:
    site = "https://app.example.com"
    async with start(cors_origins=frozenset({site})) as gateway:
        allowed = await gateway.api.get("/v1/bots", Origin=site)
        other = await gateway.api.get("/v1/bots", Origin="https://evil.example")
        plain = await gateway.api.get("/v1/bots")

    assert allowed.headers["Access-Control-Allow-Origin"] == site
    assert "RateLimit" in allowed.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in other.headers
    assert "Access-Control-Allow-Origin" not in plain.headers


async def test_a_preflight_needs_no_key_and_reaches_no_handler(start: Start) -> None:
    site = "https://app.example.com"
    asked = {"Origin": site, "Access-Control-Request-Method": "POST"}
    async with start(cors_origins=frozenset({site})) as gateway:
        async with gateway.api.http.options(gateway.url + CHAT, headers=asked) as allowed:
            pass
        asked["Origin"] = "https://evil.example"
        async with gateway.api.http.options(gateway.url + CHAT, headers=asked) as refused:
            pass

    assert (allowed.status, refused.status) == (204, 204)
    assert allowed.headers["Access-Control-Allow-Origin"] == site
    assert "Idempotency-Key" in allowed.headers["Access-Control-Allow-Headers"]
    assert allowed.headers["Access-Control-Max-Age"] == "7200"
    assert "Access-Control-Allow-Methods" not in refused.headers


async def test_what_breaks_is_logged_and_told_without_details(gateway: Gateway) -> None:
    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("the password is hunter2")

    settings = ApiSettings(public_url="http://gateway.test")
    routes = [web.get("/hooks/broken", broken)]
    runner = Runner(build_app(gateway.services, settings=settings, extra_routes=routes))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/broken"

    with structlog.testing.capture_logs() as logs:
        async with aiohttp.ClientSession() as http, http.get(url) as reply:
            text = await reply.text()
    await runner.cleanup()

    assert reply.status == 500
    assert json.loads(text)["code"] == "internal"
    assert "hunter2" not in text
    [line] = [line for line in logs if line["event"] == "request_failed"]
    assert line["exc_info"]
