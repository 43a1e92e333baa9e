"""From endpoints to routes: know the caller, check the scope, run the handler, write its answer."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import HttpVersion11, web
from pydantic import BaseModel

from gateway.api.http.callers import Callers
from gateway.api.http.cursors import Cursors
from gateway.api.http.endpoints import Answer, Call, Endpoint
from gateway.api.http.queries import check_no_query
from gateway.api.http.settings import ApiSettings
from gateway.domain.access import Principal
from gateway.domain.ids import ProjectId
from gateway.errors import Conflict, Forbidden, Unavailable
from gateway.service.repeats import IdempotencyKey, StoredAnswer
from gateway.service.services import Services

MEDIA = "application/json"
JSON = f"{MEDIA}; charset=utf-8"

NOBODY = Principal(
    id="nobody", project_id=ProjectId(""), kind="session", role="viewer", scopes=frozenset()
)
"""Who calls an endpoint that demands nothing: reaches nothing."""


class Dispatcher:
    """Makes the routes of endpoints."""

    def __init__(self, services: Services, settings: ApiSettings) -> None:
        self._services = services
        self._settings = settings
        self._callers = Callers(services.access, settings)
        self._cursors = Cursors(services.signer)

    def routes(self, endpoints: Iterable[Endpoint]) -> list[web.RouteDef]:
        """One route an endpoint; GET answers HEAD too."""
        return [self._route(endpoint) for endpoint in endpoints]

    def _route(self, endpoint: Endpoint) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            call = await self._call(request, endpoint)
            if endpoint.once:
                return await self._once(call)
            return _response(await endpoint.handler(call))

        if endpoint.method == "GET":
            return web.get(endpoint.path, handle)

        limits = self._settings.limits
        max_bytes = limits.body_bytes if endpoint.body_media == MEDIA else limits.file_bytes

        async def expect(request: web.Request) -> None:
            if (request.content_length or 0) <= max_bytes:
                await _ask_for_body(request)

        return web.route(endpoint.method, endpoint.path, handle, expect_handler=expect)

    async def _call(self, request: web.Request, endpoint: Endpoint) -> Call:
        demands = endpoint.demands
        if demands == "nothing":
            principal = NOBODY
        else:
            principal = await self._callers.principal(request)
            if demands != "any" and not principal.may(demands):
                raise Forbidden(f"This key lacks the scope {demands!r}.")
        if endpoint.query is None:
            check_no_query(request)
        if endpoint.makes_turns and self._services.health.is_draining:
            raise Unavailable("The gateway is stopping.", retry_after_s=5, code="draining")
        return Call(
            request=request,
            endpoint=endpoint,
            principal=principal,
            services=self._services,
            settings=self._settings,
            cursors=self._cursors,
        )

    async def _once(self, call: Call) -> web.StreamResponse:
        """Run the handler once for each `Idempotency-Key`; a repeat gets the kept answer."""
        key = await call.repeat_key()
        if key is None:
            return _response(await call.endpoint.handler(call))
        repeats = self._services.repeats
        kept = await repeats.begin(key)
        if kept is not None:
            return _replayed(call, kept)
        try:
            answer = await call.endpoint.handler(call)
            await self._keep(key, answer)
        except BaseException:
            await repeats.release(key)
            raise
        return _response(answer)

    async def _keep(self, key: IdempotencyKey, answer: Answer | web.StreamResponse) -> None:
        if isinstance(answer, web.StreamResponse):
            return
        body = _json(answer.kept or answer.document)
        await self._services.repeats.keep(key, StoredAnswer(answer.status, answer.headers, body))


async def _ask_for_body(request: web.Request) -> None:
    """Ask for the body a client holds back; other expectations are ignored (RFC 9110, 10.1.1)."""
    is_held_back = request.headers.get("Expect", "").lower() == "100-continue"
    if is_held_back and request.version >= HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def _replayed(call: Call, kept: StoredAnswer) -> web.Response:
    if kept.status == 0:
        raise Conflict(
            "The first request with this key is still at work.",
            code="idempotency_in_progress",
            retry_after_s=1,
        )
    restore = call.endpoint.restore
    body = _json(restore(call, kept.body)) if restore else kept.body
    headers = {**kept.headers, "Idempotent-Replayed": "true", "Content-Type": JSON}
    return web.Response(status=kept.status, body=body, headers=headers)


def _response(answer: Answer | web.StreamResponse) -> web.StreamResponse:
    if isinstance(answer, web.StreamResponse):
        return answer
    if answer.document is None:
        return web.Response(status=answer.status, headers=answer.headers)
    headers = {**answer.headers, "Content-Type": JSON}
    return web.Response(status=answer.status, body=_json(answer.document), headers=headers)


def _json(document: BaseModel | None) -> bytes:
    return document.model_dump_json().encode() if document is not None else b""
