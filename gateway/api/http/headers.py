"""How much a request's headers may hold, those every answer carries, and pages of other origins."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from gateway.api.http.errors import HeadersTooLarge
from gateway.api.http.settings import ApiSettings
from gateway.api.http.state import STATE
from gateway.service.access import AccessService
from gateway.service.rates import Allowance

SERVER = "bot-gateway"
NATIVE = "/v1/"

MAX_HEAD_BYTES = 32_768
"""All headers of a request together; what one may hold is a limit of the server."""

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_ALLOW_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-Id, "
    "X-User-Identifier, If-Match, If-None-Match, Prefer"
)
_EXPOSE_HEADERS = (
    "X-Request-Id, X-Conversation-Id, Location, Retry-After, RateLimit, RateLimit-Policy, ETag, "
    "Idempotent-Replayed"
)
_MAX_AGE_S = "7200"


class CommonHeaders:
    """Adds what every answer carries, just before it is sent."""

    def __init__(self, access: AccessService, settings: ApiSettings) -> None:
        self._access = access
        self._settings = settings

    async def add(self, request: web.Request, response: web.StreamResponse) -> None:
        """Complete the headers of an answer (a signal of aiohttp)."""
        headers = response.headers
        headers["Server"] = SERVER
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("Cache-Control", "no-store")
        state = request.get(STATE)
        if state is not None:
            headers["X-Request-Id"] = state.request_id
            if state.allowances:
                headers["RateLimit-Policy"], headers["RateLimit"] = rate_headers(state.allowances)
        if "Origin" in request.headers and request.path.startswith(NATIVE):
            headers.add("Vary", "Origin")
            origin = request.headers["Origin"]
            if await self.is_allowed(origin):
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = _EXPOSE_HEADERS

    async def is_allowed(self, origin: str) -> bool:
        """Whether pages of that origin may call: configured, or named by a publishable key."""
        return origin in self._settings.cors_origins or await self._access.knows_origin(origin)

    async def preflight(self, request: web.Request) -> web.Response:
        """The answer to a browser that asks first; it needs no key and reaches no handler."""
        response = web.Response(status=204)
        if await self.is_allowed(request.headers.get("Origin", "")):
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _ALLOW_HEADERS
            response.headers["Access-Control-Max-Age"] = _MAX_AGE_S
        return response


def check_head(request: web.Request) -> None:
    """Raise HeadersTooLarge when the headers are too much together."""
    if sum(len(name) + len(value) for name, value in request.raw_headers) > MAX_HEAD_BYTES:
        raise HeadersTooLarge(f"The headers are over {MAX_HEAD_BYTES} bytes.")


def is_preflight(request: web.Request) -> bool:
    """Whether a browser asks what it may send (WHATWG Fetch, CORS-preflight request)."""
    return (
        request.method == "OPTIONS"
        and "Origin" in request.headers
        and "Access-Control-Request-Method" in request.headers
        and request.path.startswith(NATIVE)
    )


def rate_headers(allowances: Iterable[Allowance]) -> tuple[str, str]:
    """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10).

    >>> minute = Allowance(name="minute", quota=600, window_s=60, remaining=599, reset_s=1)
    >>> rate_headers([minute])
    ('"minute";q=600;w=60', '"minute";r=599;t=1')
    """
    known = tuple(allowances)
    policy = ", ".join(f'"{a.name}";q={a.quota};w={a.window_s}' for a in known)
    return policy, ", ".join(f'"{a.name}";r={a.remaining};t={a.reset_s}' for a in known)
