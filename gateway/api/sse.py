"""Server-sent events: frames onto a connection that may be slow, silent or gone.

Takes frames as bytes from an async generator and writes what is there in one piece. Silence is
filled by a ping event; a reader that stops reading is cut off and may come back with
`Last-Event-ID`. Knows nothing of what the events mean.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing

from aiohttp import web

from gateway.api.http.settings import ApiSettings
from gateway.api.http.state import STATE

MAX_BUFFER_BYTES = 32_768
"""Frames held for one reader, beside the piece that is being written and what waits behind it."""

MAX_WAITING_BYTES = 16_384
"""What the connection may hold that the system does not take."""

MAX_UNSENT_BYTES = 131_072
"""What the system may hold for one reader; it would take megabytes before we notice anything."""

FIRST_WAIT_S = 1.0
"""How long an error may still become an ordinary answer before the stream is begun."""

_PIECE_BYTES = 16_384
_RETRY = b"retry: 2000\n\n"
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def frame(kind: str, data: str, *, number: int) -> bytes:
    r"""One event as it goes over the wire; `data` is JSON without line ends.

    >>> frame("ping", "{}", number=3)
    b'id: 3\nevent: ping\ndata: {}\n\n'
    """
    return f"id: {number}\nevent: {kind}\ndata: {data}\n\n".encode()


async def stream(
    request: web.Request,
    frames: AsyncGenerator[bytes, None],
    *,
    settings: ApiSettings,
    may_go_on: Callable[[], Awaitable[bool]],
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Write frames until they end or the reader is gone; raises what they raise at first.

    `may_go_on` is asked once per `ping_s`: False ends the stream. `headers` are added to our own.
    """
    async with aclosing(frames):
        feed = _Feed(frames)
        pump = asyncio.create_task(feed.pump())
        try:
            await feed.wait(FIRST_WAIT_S)
            if pump.done() and not feed.has_news:
                await pump
            response = await _begin(request, headers)
            await _write(response, feed, settings=settings, may_go_on=may_go_on)
            if pump.done():
                await pump
            return response
        except TimeoutError as error:
            _cut(request)
            raise ConnectionAbortedError("the reader stopped reading") from error
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)


def _cut(request: web.Request) -> None:
    """Drop the connection and whatever the system still holds for it (SO_LINGER, socket(7))."""
    if request.transport is not None:
        linger = struct.pack("ii", 1, 0)
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        request.transport.abort()


async def _begin(request: web.Request, headers: Mapping[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers={**_HEADERS, **headers})
    request[STATE].has_begun = True
    connection = request.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_UNSENT_BYTES)
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=MAX_WAITING_BYTES)
    await response.prepare(request)
    return response


async def _write(
    response: web.StreamResponse,
    feed: _Feed,
    *,
    settings: ApiSettings,
    may_go_on: Callable[[], Awaitable[bool]],
) -> None:
    data = _RETRY + feed.take()
    clock = asyncio.get_running_loop()
    ask_at = clock.time() + settings.ping_s
    while True:
        for start in range(0, len(data), _PIECE_BYTES):
            async with asyncio.timeout(settings.stall_s):
                await response.write(data[start : start + _PIECE_BYTES])
        data = b""  # whoever is slow holds nothing while waiting
        if feed.is_over and not feed.has_news:
            return
        await feed.wait(settings.ping_s)
        data = feed.take()
        if not feed.is_over and (not data or clock.time() >= ask_at):
            if not await may_go_on():
                return
            ask_at = clock.time() + settings.ping_s
            data = data or _PING


class _Feed:
    """Frames between their source and the connection: bounded, in order."""

    def __init__(self, source: AsyncGenerator[bytes, None]) -> None:
        self._source = source
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self.is_over = False

    @property
    def has_news(self) -> bool:
        """Whether frames wait to be written."""
        return bool(self._frames)

    async def pump(self) -> None:
        """Take frames from the source, as long as there is room for them."""
        try:
            async for piece in self._source:
                self._frames.append(piece)
                self._size += len(piece)
                self._news.set()
                if self._size > MAX_BUFFER_BYTES:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self.is_over = True
            self._news.set()

    async def wait(self, limit_s: float) -> None:
        """Wait until there are frames, the end, or the time is over."""
        if self._news.is_set():
            return
        try:
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        except TimeoutError:
            return

    def take(self) -> bytes:
        """Waiting frames as one piece, not much longer than what is written at once."""
        taken, size = [], 0
        while self._frames and size < _PIECE_BYTES:
            frame = self._frames.popleft()
            taken.append(frame)
            size += len(frame)
        self._size -= size
        if self._size <= MAX_BUFFER_BYTES:
            self._room.set()
        if not self._frames and not self.is_over:
            self._news.clear()
        return b"".join(taken)
