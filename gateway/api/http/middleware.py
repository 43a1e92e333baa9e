"""The one middleware: names the request, and turns every error into its surface's shape.

Nothing leaves it but an answer: what is unexpected is logged with the request's id and answered
500 without details.
"""

from __future__ import annotations

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from structlog.contextvars import bind_contextvars

from gateway.api.http.errors import (
    Envelopes,
    ErrorPlace,
    Internal,
    from_gateway,
    from_http,
)
from gateway.api.http.headers import CommonHeaders, check_head, is_preflight
from gateway.api.http.state import RequestState, begin
from gateway.errors import BadRequest, GatewayError, RequestError

log = structlog.get_logger(__name__)


def outermost(envelopes: Envelopes, headers: CommonHeaders) -> Middleware:
    """The middleware of an application."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        state = begin(request)
        bind_contextvars(request_id=state.request_id)
        try:
            _check_target(request)
            check_head(request)
            if is_preflight(request):
                return await headers.preflight(request)
            return await handler(request)
        except GatewayError as error:
            write = log.debug if isinstance(error, RequestError) else log.warning
            write("request_refused", method=request.method, path=request.path, code=error.code)
            return refuse(request, from_gateway(error), state)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return refuse(request, from_http(error), state)
        except ConnectionError:
            raise
        except Exception:
            log.exception("request_failed", method=request.method, path=request.path)
            return refuse(request, Internal("Something went wrong on our side."), state)

    def refuse(request: web.Request, shown: RequestError, state: RequestState) -> web.Response:
        # No frame that an error has passed may keep it in a variable: both would then stay, with
        # all the body that was read, until the collector comes by.
        if state.has_begun:
            raise ConnectionAbortedError("the stream broke off") from None
        return envelopes.render(shown, ErrorPlace(request.path, state.request_id))

    return answer


def _check_target(request: web.Request) -> None:
    """Raise BadRequest unless the request names a path: no address, no authority, no `*`."""
    if not request.raw_path.startswith("/"):
        raise BadRequest("The request must name a path of this server.")
