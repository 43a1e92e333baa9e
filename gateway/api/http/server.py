"""The server under an application: limits of the protocol, and errors raised before routing.

aiohttp answers malformed requests itself, in plain text. Here they get the same shape as every
other error, and every limit is the documented one. A client that sends slowly is given up, one too
many is sent away at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from aiohttp import StreamReader, web
from aiohttp.http_exceptions import LineTooLong

from gateway.api.http.errors import Envelopes, ErrorPlace, HeadersTooLarge, Internal
from gateway.api.http.headers import SERVER
from gateway.domain.ids import new_request_id
from gateway.errors import BadRequest, RequestError

log = structlog.get_logger(__name__)

MAX_LINE_BYTES = 8_190
MAX_HEADER_BYTES = 8_190
MAX_HEADERS = 100
IDLE_S = 25
"""aiohttp counts it from the last answer or the connection's start until a request is complete."""

HEAD_S = 10
"""How long the head of a request may take, from its first piece on."""

BODY_S = 27
"""How long any body may take; handlers whose own limit is shorter answer more kindly."""

LINGER_S = 2.0
"""How long the rest of a body is awaited once its answer is sent."""

ENVELOPES = web.AppKey("gateway_envelopes", Envelopes)


_TELL_EVERY = 1_000
"""Of so many refused clients one is written to the log."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many clients there may be at once (0 = any number), and how slow they may be."""

    connections: int = 0
    idle_s: float = IDLE_S
    head_s: float = HEAD_S
    body_s: float = BODY_S


class Runner(web.AppRunner):
    """Runs an application of `build_app` on our own connections.

    A connection without a request is closed after `idle_s`, one with a part of a request after
    `head_s` or `body_s`.
    """

    def __init__(
        self,
        app: web.Application,
        *,
        shutdown_timeout_s: float = 5,
        limits: ConnectionLimits | None = None,
    ) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout_s)
        self._limits = limits or ConnectionLimits()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            envelopes=self.app[ENVELOPES],
            limits=self._limits,
        )


class _Server(web.Server):
    """Makes a `_Connection` for every client, as long as there is room."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        request_factory: Callable[..., web.BaseRequest],
        envelopes: Envelopes,
        limits: ConnectionLimits,
    ) -> None:
        super().__init__(handler, request_factory=request_factory)
        self._envelopes = envelopes
        self._limits = limits
        self._refused = 0

    def __call__(self) -> web.RequestHandler:
        most = self._limits.connections
        is_full = most > 0 and len(self._connections) >= most
        if is_full:
            self._note_refused()
        return _Connection(self, envelopes=self._envelopes, limits=self._limits, is_full=is_full)

    def _note_refused(self) -> None:
        if self._refused % _TELL_EVERY == 0:
            log.warning("connections_refused", most=self._limits.connections, before=self._refused)
        self._refused += 1


class _Connection(web.RequestHandler):
    """One client's connection; its errors before routing look like all others.

    `is_full`: one too many, told to come back and not heard. A request that does not arrive
    in time is given up: half a head with the connection, half a body with an error for whoever
    reads it.
    """

    __slots__ = ("_body", "_deadline", "_envelopes", "_is_full", "_limits")

    def __init__(
        self, server: web.Server, *, envelopes: Envelopes, limits: ConnectionLimits, is_full: bool
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # aiohttp's own way to say: none
            auto_decompress=False,
            keepalive_timeout=limits.idle_s,
            lingering_time=LINGER_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        self._envelopes = envelopes
        self._limits = limits
        self._is_full = is_full
        self._body: StreamReader | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._is_full and isinstance(transport, asyncio.Transport):
            transport.write(_FULL)
            transport.close()
        else:
            super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages:
            self._await_body(self._messages[-1][1])
        elif self._body is not None:
            if self._body.is_eof():
                self._arrived()
        elif self._deadline is None and self._waiter is not None and not self._waiter.done():
            self._deadline = self._loop.call_later(self._limits.head_s, self._give_up)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def _await_body(self, body: StreamReader) -> None:
        """A head is complete: its body may follow, if it has not come with it."""
        self._arrived()
        if not body.is_eof():
            self._body = body
            self._deadline = self._loop.call_later(self._limits.body_s, self._give_up)

    def _arrived(self) -> None:
        self._body = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        body = self._body
        self._arrived()
        if body is None:
            self.force_close()
        elif not body.is_eof():
            self._lingering_time = 0.0
            body.set_exception(BadRequest("The body came too slowly.", code="body_too_slow"))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was already begun")
        request_id = new_request_id()
        if status >= 500:
            log.error("connection_failed", request_id=request_id, exc_info=exc)
        response = self._envelopes.render(_seen(status, exc), ErrorPlace("/", request_id))
        response.headers["Server"] = SERVER
        response.headers["X-Request-Id"] = request_id
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        response.force_close()
        return response


def _seen(status: int, exc: BaseException | None) -> RequestError:
    if status >= 500:
        return Internal("Something went wrong on our side.")
    if isinstance(exc, LineTooLong):
        return HeadersTooLarge("The request line or a header is too long.")
    return BadRequest("This is not a valid HTTP request.")
