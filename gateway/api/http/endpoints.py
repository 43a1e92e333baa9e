"""Endpoints: one value says what a path takes, gives and demands; routes and description follow.

A handler gets a `Call` and gives an `Answer` or a stream. Before it runs, the caller is known, has
the scope and is within its quota.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel

from gateway.api.http.bodies import (
    Document,
    check_json_type,
    parse_object,
    read_body,
    validate,
)
from gateway.api.http.cursors import Cursors
from gateway.api.http.queries import read_query
from gateway.api.http.settings import ApiSettings
from gateway.domain.access import Principal, Scope
from gateway.errors import BadRequest, FieldError, NotFound, Unprocessable
from gateway.service.repeats import IdempotencyKey
from gateway.service.services import Services

Model = TypeVar("Model", bound=BaseModel)

REPEAT_KEY = re.compile(r"[!-~]{1,255}")
"""What an `Idempotency-Key` may be, whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a handler gives: a document (None = no body), its status and headers of its own.

    `kept` replaces the document where the answer is stored for a repeated request, so that no
    secret is stored; `Endpoint.restore` leads back.
    """

    document: BaseModel | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    kept: BaseModel | None = None


@dataclass(slots=True, kw_only=True)
class Call:
    """One request to an endpoint, with everything a handler needs."""

    request: web.Request
    endpoint: Endpoint
    principal: Principal
    services: Services
    settings: ApiSettings
    cursors: Cursors
    _document: Document | None = None

    def path(self, name: str) -> str:
        """A part of the path; raises NotFound for one that no id can be."""
        value = self.request.match_info[name]
        if "\0" in value or len(value) > 512:
            raise NotFound("There is nothing at this path.")
        return value

    def query(self, model: type[Model]) -> Model:
        """The parameters as the endpoint's query model."""
        return read_query(self.request, model)

    async def body(self, model: type[Model]) -> Model:
        """The body as the endpoint's body model."""
        return validate(model, await self.document())

    async def document(self) -> Document:
        """The body as a JSON object, read once."""
        if self._document is None:
            self._document = await self._read()
        return self._document

    async def repeat_key(self) -> IdempotencyKey | None:
        """The caller's `Idempotency-Key` with what it stands for, or None."""
        key = self.request.headers.get("Idempotency-Key")
        if key is None:
            return None
        if not REPEAT_KEY.fullmatch(key):
            detail = "1 to 255 visible ASCII characters"
            fields = [FieldError("Idempotency-Key", "invalid", detail)]
            raise Unprocessable("The Idempotency-Key is not valid.", fields=fields)
        text = json.dumps(await self.document(), sort_keys=True, separators=(",", ":"))
        return IdempotencyKey(
            principal_id=self.principal.id,
            route=f"{self.request.method} {self.request.path}",
            key=key,
            fingerprint=hashlib.sha256(text.encode()).digest(),
        )

    async def _read(self) -> Document:
        raw = await read_body(
            self.request,
            max_bytes=self.settings.limits.body_bytes,
            timeout_s=self.settings.body_timeout_s,
        )
        if not raw and self.endpoint.body_is_optional:
            return {}
        if not raw:
            raise BadRequest("A JSON object is expected as body.", code="invalid_json")
        check_json_type(self.request)
        return parse_object(raw)


Handler = Callable[[Call], Awaitable[Answer | web.StreamResponse]]
Demand = Scope | Literal["any", "nothing"]
"""The scope a caller needs; any valid credential; or no credential at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A method on a path: what it takes, gives and demands.

    `body_media` is the type of the body; a body that is no JSON the handler reads itself.
    `answers` are the documents by status (None = no body), `media` their type; `errors` the
    statuses of problems beside those that follow from the rest. `streams` names the event
    documents of its stream. `places` says more of the path's parts, as JSON Schemas. `once` keeps
    the answer for a repeated `Idempotency-Key`; `restore` makes the document of a kept one.
    """

    method: str
    path: str
    handler: Handler
    name: str
    summary: str
    tag: str
    demands: Demand
    places: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_is_optional: bool = False
    body_media: str = "application/json"
    answers: Mapping[int, type[BaseModel] | None]
    media: str = "application/json"
    errors: tuple[int, ...] = ()
    streams: tuple[type[BaseModel], ...] = ()
    takes_repeat_key: bool = False
    once: bool = False
    has_etag: bool = False
    restore: Callable[[Call, bytes], BaseModel] | None = None

    @property
    def refusals(self) -> frozenset[int]:
        """The statuses of the problems that a caller may get here."""
        expected = {400, 431, 500, 503, *self.errors}
        expected |= {401, 403, 429} if self.demands != "nothing" else set()
        expected |= {413, 415, 422} if self.body is not None else set()
        expected |= {422} if self.query is not None or self.takes_repeat_key else set()
        return frozenset(expected)

    @property
    def makes_turns(self) -> bool:
        """Whether requests here start work, which a stopping gateway refuses unread."""
        return self.method == "POST" and bool(self.streams)
