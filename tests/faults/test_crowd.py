"""The crowd counts what becomes of its connections, and drips."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.testing.faults.props.crowd import Group, crowd

PATIENCE_S = 20.0
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(talk: Talk) -> AsyncIterator[int]:
    """The port of a server that talks so with everybody."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_what_is_awaited_is_counted_also_when_it_comes_in_pieces() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opening = await reader.readuntil(b"\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nevent: turn.com")
        await writer.drain()
        if opening == b"say all\n":
            await reader.readexactly(1)
            writer.write(b"pleted\n")
        await reader.read()
        writer.close()

    group = Group(
        count=4,
        openings=["say all\n", "say half\n"],
        drip="x",
        drip_s=0.1,
        until="turn.completed",
    )
    async with answering(talk) as port, crowd(port, group) as seen:
        assert await seen.until(lambda now: now.count("heard") == 2, within_s=PATIENCE_S)

        assert (seen.count("open"), seen.count("status 200")) == (4, 4)


async def test_who_is_hung_up_on_is_counted() -> None:
    async def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    group = Group(count=3, openings=["hello"])
    async with answering(talk) as port, crowd(port, group) as seen:
        assert await seen.until(lambda now: now.count("closed") == 3, within_s=PATIENCE_S)


async def test_what_does_not_come_true_is_told_when_time_is_over() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    group = Group(count=1, openings=["hello"])
    async with answering(talk) as port, crowd(port, group) as seen:
        assert not await seen.until(lambda now: now.count("closed") == 1, within_s=0.2)


async def test_a_port_without_anybody_refuses_all(unused_tcp_port: int) -> None:
    group = Group(count=2, openings=["hello"])
    async with crowd(unused_tcp_port, group) as seen:
        assert await seen.until(lambda now: now.count("refused") == 2, within_s=PATIENCE_S)


@pytest.fixture
async def unused_tcp_port() -> int:
    """A port that was closed a moment ago."""
    async with answering(lambda _reader, _writer: asyncio.sleep(0)) as port:
        return port
