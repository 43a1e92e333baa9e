"""The client for foreign addresses: what it reaches, what it refuses, what bounds it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.errors import FetchError
from gateway.http_client import HttpClient, is_private, is_public

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Inside:
    """A server on the loopback address that counts who comes."""

    def __init__(self, handler: Handler | None = None) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self._handler = handler
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app, host="127.0.0.1")

    @property
    def port(self) -> int:
        assert self._server.port is not None
        return self._server.port

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/tool"

    async def __aenter__(self):
        await self._server.start_server()
        return self

    async def __aexit__(self, *_):
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self._handler(request) if self._handler else web.Response(text="inside")


@asynccontextmanager
async def fetching(url: str, **settings) -> AsyncIterator:
    limits = {"timeout_s": 5, "max_bytes": 1000, **settings}
    async with HttpClient() as client:
        yield await client.request("POST", url, **limits)


async def refusal(url: str, **settings) -> FetchError:
    with pytest.raises(FetchError) as caught:
        async with fetching(url, **settings):
            pass
    return caught.value


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",  # decimal
        "0177.0.0.1",  # octal
        "0x7f.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
    ],
)
async def test_no_spelling_of_this_machine_is_reached(host):
    async with Inside() as inside:
        error = await refusal(inside.url(host))

        assert inside.requests == []
    assert error.code in ("address_blocked", "fetch_failed", "bad_address")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "[fd00::1]"]
)
async def test_private_addresses_are_refused_by_name(host):
    error = await refusal(f"http://{host}:9/")

    assert error.code == "address_blocked"
    assert not error.transient
    assert host not in str(error)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fd00:ec2::254]", "0.0.0.0", "[fe80::1]"])
async def test_metadata_services_stay_closed_even_where_private_addresses_are_open(host):
    error = await refusal(f"http://{host}:9/", allow_private_network=True)

    assert error.code == "address_blocked"


async def test_a_private_address_is_reached_where_that_is_allowed():
    async with Inside() as inside:
        async with fetching(inside.url(), allow_private_network=True, body=b"{}") as answer:
            assert (answer.status, answer.body) == (200, b"inside")

        assert inside.bodies == [b"{}"]


async def test_what_is_allowed_for_one_call_is_not_allowed_for_the_next():
    async with Inside() as inside, HttpClient() as client:
        await client.request(
            "GET", inside.url(), timeout_s=5, max_bytes=100, allow_private_network=True
        )
        with pytest.raises(FetchError, match="not allowed"):
            await client.request("GET", inside.url(), timeout_s=5, max_bytes=100)

        assert len(inside.requests) == 1


async def test_a_redirect_is_an_answer_and_not_followed():
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with Inside(redirect) as inside:
        async with fetching(inside.url(), allow_private_network=True) as answer:
            assert (answer.status, answer.headers["location"]) == (302, "/elsewhere")

        assert len(inside.requests) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "gopher://x", "http:"])
async def test_only_http_is_spoken(url):
    assert (await refusal(url)).code == "bad_address"


async def test_a_large_answer_is_cut_off():
    async def large(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 100_000)

    async with Inside(large) as inside:
        error = await refusal(inside.url(), allow_private_network=True)

    assert error.code == "answer_too_large"


async def test_a_packed_answer_is_not_unpacked():
    async def packed(request: web.Request) -> web.Response:
        return web.Response(body=b"x", headers={"Content-Encoding": "gzip"})

    async with Inside(packed) as inside:
        error = await refusal(inside.url(), allow_private_network=True)

    assert error.code == "fetch_failed"


async def test_a_slow_answer_is_given_up():
    never = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    async with Inside(slow) as inside:
        error = await refusal(inside.url(), allow_private_network=True, timeout_s=0.1)
        never.set()

    assert (error.code, error.transient) == ("timed_out", True)


async def test_a_closed_port_may_be_tried_again():
    async with Inside() as inside:
        url = inside.url()

    error = await refusal(url, allow_private_network=True)

    assert (error.code, error.transient) == ("fetch_failed", True)


async def test_cookies_are_not_kept():
    async def cookie(request: web.Request) -> web.Response:
        return web.Response(headers={"Set-Cookie": "a=b"})

    async with Inside(cookie) as inside, HttpClient() as client:
        for _ in range(2):
            await client.request(
                "GET", inside.url(), timeout_s=5, max_bytes=100, allow_private_network=True
            )

        assert "Cookie" not in inside.requests[1].headers


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::1",
        "fc00::1",
        "fe80::1%eth0",
        "ff02::1",
        "::ffff:192.168.1.1",
        "2002:c0a8:0101::1",
        "64:ff9b::a00:1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
def test_an_address_that_is_not_of_the_internet_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_an_address_of_the_internet_is_public_and_not_private(address):
    assert is_public(address)
    assert not is_private(address)
