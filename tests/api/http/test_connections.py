"""Connections: how slow a client may be, and how many there may be at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from gateway.api.http.errors import Envelopes
from gateway.api.http.server import ENVELOPES, ConnectionLimits, Runner
from gateway.api.native.problems import native_envelope
from gateway.errors import BadRequest

LONG_S, SHORT_S, PATIENCE_S = 60.0, 0.2, 10.0
HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def echo(request: web.Request) -> web.Response:
    """Answers what it was sent, and sets no limit of its own."""
    try:
        return web.Response(body=await request.read())
    except BadRequest as error:
        return web.Response(status=error.status, text=error.code)


@asynccontextmanager
async def listening(limits: ConnectionLimits) -> AsyncIterator[int]:
    """The port of a server with these limits."""
    app = web.Application()
    app[ENVELOPES] = Envelopes(default=native_envelope("http://gateway.test"), by_prefix={})
    app.router.add_post("/echo", echo)
    runner = Runner(app, shutdown_timeout_s=0.1, limits=limits)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def ask(line: Line, *pieces: bytes) -> bytes:
    """What is answered to a call that comes in pieces."""
    reader, writer = line
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        return head + await reader.readexactly(4)


async def rest(line: Line) -> bytes:
    """Everything that comes until the connection is closed."""
    async with asyncio.timeout(PATIENCE_S):
        return await line[0].read()


@pytest.mark.parametrize("sent", [b"P", HEAD[:-2]], ids=["a letter", "all but the last line"])
async def test_half_a_head_is_given_up_before_an_idle_connection_is(sent: bytes) -> None:
    limits = ConnectionLimits(idle_s=LONG_S, head_s=SHORT_S)
    async with listening(limits) as port, connected(port) as line:
        line[1].write(sent)

        answer = await rest(line)

    assert answer == b""


async def test_a_head_that_came_in_time_leaves_no_deadline_behind() -> None:
    limits = ConnectionLimits(idle_s=LONG_S, head_s=SHORT_S, body_s=SHORT_S)
    async with listening(limits) as port, connected(port) as line:
        await ask(line, HEAD[:9], HEAD[9:], b"bo", b"dy")

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(line[0].read(1), timeout=2 * SHORT_S)
        answer = await ask(line, HEAD + b"more")

    assert answer.endswith(b"more")


async def test_a_body_that_never_ends_is_given_up_whoever_reads_it() -> None:
    limits = ConnectionLimits(idle_s=LONG_S, body_s=SHORT_S)
    async with listening(limits) as port, connected(port) as line:
        line[1].write(HEAD + b"bo")

        answer = await rest(line)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b"body_too_slow")


async def test_a_client_too_many_is_told_to_come_back_and_let_in_when_one_has_left() -> None:
    async with listening(ConnectionLimits(connections=1)) as port:
        async with connected(port) as first, connected(port) as second:
            await ask(first, HEAD + b"body")
            refusal = await rest(second)
        answer = await let_in(port)

    assert refusal.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5" in refusal
    assert answer.endswith(b"body")


async def let_in(port: int) -> bytes:
    """What a client is answered who comes back until it is let in."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with connected(port) as line:
                line[1].write(HEAD.replace(b"Host", b"Connection: close\r\nHost") + b"body")
                answer = await line[0].read()
            if answer.startswith(b"HTTP/1.1 200 "):
                return answer
