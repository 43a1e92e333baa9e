"""The server under an application: limits of the protocol, and errors raised before routing.

aiohttp answers malformed requests itself, in plain text. Here they get the same shape as every
other error, and every limit is the documented one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
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

LINGER_S = 2.0
"""How long the rest of a body is awaited once its answer is sent."""

ENVELOPES = web.AppKey("gateway_envelopes", Envelopes)


class Runner(web.AppRunner):
    """Runs an application of `build_app` on our own connections.

    A connection without a request, or with half the headers of one, is closed after `idle_s`.
    """

    def __init__(
        self, app: web.Application, *, shutdown_timeout_s: float = 5, idle_s: float = IDLE_S
    ) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout_s)
        self._idle_s = idle_s

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            envelopes=self.app[ENVELOPES],
            idle_s=self._idle_s,
        )


class _Server(web.Server):
    """Makes a `_Connection` for every client."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        request_factory: Callable[..., web.BaseRequest],
        envelopes: Envelopes,
        idle_s: float,
    ) -> None:
        super().__init__(handler, request_factory=request_factory)
        self._envelopes = envelopes
        self._idle_s = idle_s

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, envelopes=self._envelopes, idle_s=self._idle_s)


class _Connection(web.RequestHandler):
    """One client's connection; its errors before routing look like all others."""

    __slots__ = ("_envelopes",)

    def __init__(self, server: web.Server, *, envelopes: Envelopes, idle_s: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # aiohttp's own way to say: none
            auto_decompress=False,
            keepalive_timeout=idle_s,
            lingering_time=LINGER_S,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        self._envelopes = envelopes

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
