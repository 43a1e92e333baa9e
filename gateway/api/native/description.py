"""The native API described: for programs at `/v1/openapi.json`, for people at `/docs`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property

from aiohttp import web

from gateway.api.http.dispatch import JSON
from gateway.api.http.endpoints import Call, Endpoint
from gateway.api.native.problems import TITLES
from gateway.api.native.wire.catalogue import DescriptionOut, PageOut
from gateway.api.native.wire.common import ProblemOut


class Description:
    """The description of some endpoints and of itself; made when it is first asked for."""

    def __init__(self, endpoints: Sequence[Endpoint], *, version: str, public_url: str) -> None:
        self._version = version
        self._public_url = public_url
        self._html: bytes | None = None
        self.endpoints = (*endpoints, *self._own())

    @cached_property
    def document(self) -> dict[str, object]:
        """The OpenAPI document."""
        # Here and not above: most gateways are never asked for it.
        from gateway.api.openapi import About, describe  # noqa: PLC0415

        about = About(
            title="bot-gateway",
            version=self._version,
            summary="Conversations between people and bots, and everything around them.",
            server=self._public_url,
            problem=ProblemOut,
            problem_media="application/problem+json",
            error_titles=TITLES,
        )
        return describe(self.endpoints, about)

    async def read_description(self, call: Call) -> web.Response:
        """The description as OpenAPI 3.1."""
        return _cached(call, self._json, headers={"Content-Type": JSON})

    async def read_page(self, call: Call) -> web.Response:
        """The description as a page."""
        # Here and not above: most gateways are never asked for it.
        from gateway.api.docs_page import CONTENT_SECURITY_POLICY, docs_page  # noqa: PLC0415

        if self._html is None:
            self._html = docs_page(self.document).encode()
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "Referrer-Policy": "no-referrer",
        }
        return _cached(call, self._html, headers=headers)

    @cached_property
    def _json(self) -> bytes:
        return json.dumps(self.document, separators=(",", ":")).encode()

    def _own(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                method="GET",
                path="/v1/openapi.json",
                handler=self.read_description,
                name="readDescription",
                summary="This description",
                tag="Description",
                demands="nothing",
                answers={200: DescriptionOut, 304: None},
                has_etag=True,
            ),
            Endpoint(
                method="GET",
                path="/docs",
                handler=self.read_page,
                name="readDocs",
                summary="This description, readable",
                tag="Description",
                demands="nothing",
                answers={200: PageOut, 304: None},
                media="text/html",
                has_etag=True,
            ),
        )


def _cached(call: Call, body: bytes, *, headers: dict[str, str]) -> web.Response:
    """A document that changes only with the program."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
    headers |= {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in call.request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers)
