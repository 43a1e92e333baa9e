"""A small HTTP server on a loopback port, and the ways a fake misbehaves on purpose.

Takes one handler for all paths (aiohttp's low-level server: no router between a benchmark and
its stub) and a port, 0 for a free one. Gives the address, and ways to stall an answer or to cut
it off. It knows no protocol of any platform.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""Largest body a fake reads: larger than a 50 MB upload to a platform."""

STOP_WITHIN_S: Final = 0.05
"""How long an answer that is still being written, or never will be, may keep a closing fake."""


class Loopback:
    """One listening socket and what is needed to close it again.

    The handler is cancelled when its client goes away, so a fake notices a caller that gave up.
    """

    def __init__(self, handler: Handler, *, port: int = 0, host: str = "127.0.0.1") -> None:
        self._handler = handler
        self._host = host
        self._port = port
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """Address without a trailing slash, known once the server is open."""
        if self._runner is None:
            raise RuntimeError("the fake is not running: use it with `async with`")
        return f"http://{self._host}:{self._port}"

    async def open(self) -> None:
        """Listen; returns when the port answers."""
        server = web.Server(
            self._handle,
            request_factory=_large_request,
            handler_cancellation=True,
            access_log=None,
        )
        runner = web.ServerRunner(server, shutdown_timeout=STOP_WITHIN_S)
        await runner.setup()
        await web.TCPSite(runner, self._host, self._port).start()
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening and let go of whoever is stalled; may be called twice."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer; a client that died while it was being answered is no error of the fake."""
        try:
            return await self._handler(request)
        except ConnectionResetError:
            return hang_up(request)


class Changes:
    """Lets tests wait for a fact about a fake instead of sleeping."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Something changed: every waiting fact is looked at again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(
        self, fact: Callable[[], bool], *, timeout_s: float | None, otherwise: Callable[[], str]
    ) -> None:
        """Return when `fact()` holds; TimeoutError with the sentence of `otherwise()` if not."""
        try:
            async with asyncio.timeout(timeout_s):
                while not fact():
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"after {timeout_s} s: {otherwise()}") from None


async def stall() -> NoReturn:
    """Wait until the client hangs up or the fake is closed: both cancel the wait."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError("nobody ends this wait")


async def pause(seconds: float) -> None:
    """Wait that long; 0 does not even yield."""
    if seconds > 0:
        await asyncio.sleep(seconds)


def hang_up(request: web.BaseRequest) -> web.Response:
    """Close the connection; what was written before still goes out, nothing after it does.

    The response given back is only what the server wants to see; it never reaches the client.
    """
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def _large_request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    return web.BaseRequest(
        message,
        payload,
        protocol,
        writer,
        task,
        asyncio.get_running_loop(),
        client_max_size=MAX_BODY_BYTES,
    )


async def announce_and_serve(address: str) -> None:
    """Print the address on a line of its own and return when SIGINT or SIGTERM arrives."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    await stop.wait()
