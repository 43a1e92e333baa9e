"""The description of an API (OpenAPI 3.1), made from the endpoints that are served.

The endpoints name the wire models of what they take and give, so the description cannot say
anything else than the routes do. Streams: 3.1 cannot describe the items of a `text/event-stream`,
so each event's schema stands under `x-itemSchema`, named as 3.2 names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.api.http.endpoints import REPEAT_KEY, Endpoint

REF = "#/components/schemas/{model}"

Json = dict[str, object]
Mode = Literal["validation", "serialization"]

_PARAMETER = re.compile(r"{(\w+)}")
_HEADERS = {
    "X-Request-Id": "Names this request in answers and logs.",
    "RateLimit-Policy": "Quotas of the key (draft-ietf-httpapi-ratelimit-headers-10).",
    "RateLimit": "What is left of them.",
    "Retry-After": "Seconds until a repeat makes sense.",
    "Idempotent-Replayed": "`true`: the answer of an earlier request with the same key.",
    "ETag": "The version of this document.",
    "Location": "Where the new thing is.",
    "Link": 'The next piece, `rel="next"`.',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a description says about the whole API."""

    title: str
    version: str
    summary: str
    server: str
    problem: type[BaseModel]
    problem_media: str
    error_titles: Mapping[str, str] = field(default_factory=dict)


def describe(endpoints: Sequence[Endpoint], about: About) -> Json:
    """The OpenAPI document of these endpoints."""
    schemas = _Schemas(_models(endpoints, about))
    paths: dict[str, dict[str, Json]] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, about, schemas)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": about.title, "version": about.version, "summary": about.summary},
        "servers": [{"url": about.server}],
        "tags": [{"name": tag} for tag in dict.fromkeys(e.tag for e in endpoints)],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "headers": {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in _HEADERS.items()
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "x-error-codes": dict(about.error_titles),
    }


class _Schemas:
    """JSON Schemas of all models, and where each is."""

    def __init__(self, models: Iterable[tuple[type[BaseModel], Mode]]) -> None:
        self._places, document = models_json_schema(list(models), ref_template=REF)
        self.definitions: Json = document.get("$defs", {})

    def ref(self, model: type[BaseModel], mode: Mode = "serialization") -> Mapping[str, object]:
        """The reference to a model's schema."""
        return self._places[model, mode]

    def properties(self, model: type[BaseModel]) -> Json:
        """The schemas of a flat model's fields."""
        schema = model.model_json_schema()
        properties: Json = schema.get("properties", {})
        return properties


def _models(endpoints: Sequence[Endpoint], about: About) -> Iterable[tuple[type[BaseModel], Mode]]:
    yield about.problem, "serialization"
    for endpoint in endpoints:
        if endpoint.body is not None:
            yield endpoint.body, "validation"
        for model in (*endpoint.answers.values(), *endpoint.streams):
            if model is not None:
                yield model, "serialization"


def _operation(endpoint: Endpoint, about: About, schemas: _Schemas) -> Json:
    operation: Json = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "parameters": [*_parameters(endpoint, schemas)],
        "responses": _responses(endpoint, about, schemas),
    }
    if endpoint.handler.__doc__:
        operation["description"] = endpoint.handler.__doc__
    if endpoint.demands != "nothing":
        operation["security"] = [{"key": []}]
        operation["x-scope"] = endpoint.demands
    if endpoint.body is not None:
        content = {endpoint.body_media: {"schema": schemas.ref(endpoint.body, "validation")}}
        operation["requestBody"] = {"required": not endpoint.body_is_optional, "content": content}
    return operation


def _parameters(endpoint: Endpoint, schemas: _Schemas) -> Iterable[Json]:
    text: Json = {"type": "string"}
    for name in _PARAMETER.findall(endpoint.path):
        more = endpoint.places.get(name, {})
        yield {"name": name, "in": "path", "required": True, "schema": {**text, **more}}
    if endpoint.query is not None:
        for name, schema in schemas.properties(endpoint.query).items():
            yield {"name": name, "in": "query", "required": False, "schema": schema}
    for name, about in _request_headers(endpoint):
        parameter: Json = {"name": name, "in": "header", "required": False, "description": about}
        pattern = {"pattern": f"^{REPEAT_KEY.pattern}$"} if name == "Idempotency-Key" else {}
        yield parameter | {"schema": text | pattern}


def _request_headers(endpoint: Endpoint) -> Iterable[tuple[str, str]]:
    yield "X-Request-Id", "Kept when it matches `[A-Za-z0-9._-]{1,128}`."
    if endpoint.takes_repeat_key:
        yield "Idempotency-Key", "The same key and body never act twice; kept 24 hours."
    if endpoint.has_etag and endpoint.method == "GET":
        yield "If-None-Match", "304 when this is still the version."
    if endpoint.has_etag and endpoint.method in ("PATCH", "PUT"):
        yield "If-Match", "412 when this is not the version any more."
    if endpoint.streams and endpoint.method == "GET":
        yield "Last-Event-ID", "Go on behind this event."


def _responses(endpoint: Endpoint, about: About, schemas: _Schemas) -> Json:
    responses: Json = {}
    for status, model in endpoint.answers.items():
        responses[str(status)] = _response(status, endpoint, model, schemas=schemas)
    if endpoint.streams and 200 not in endpoint.answers:
        responses["200"] = _response(200, endpoint, None, schemas=schemas)
    for status in sorted(endpoint.refusals - set(endpoint.answers)):
        content = {about.problem_media: {"schema": schemas.ref(about.problem)}}
        responses[str(status)] = _described(status, endpoint) | {"content": content}
    return responses


def _response(
    status: int, endpoint: Endpoint, model: type[BaseModel] | None, *, schemas: _Schemas
) -> Json:
    content: Json = {}
    if model is not None:
        content[endpoint.media] = {"schema": schemas.ref(model)}
    if endpoint.streams and status == 200:
        content["text/event-stream"] = {
            "schema": {"description": "Server-sent events; each one's data: see x-itemSchema."},
            "x-itemSchema": {"oneOf": [schemas.ref(event) for event in endpoint.streams]},
        }
    return _described(status, endpoint) | ({"content": content} if content else {})


def _described(status: int, endpoint: Endpoint) -> Json:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in _names(status, endpoint)}
    return {"description": HTTPStatus(status).phrase, "headers": headers}


def _names(status: int, endpoint: Endpoint) -> Iterable[str]:
    """The headers of ours that such an answer may carry."""
    is_good = status < 400
    yield "X-Request-Id"
    if endpoint.demands != "nothing":
        yield from ("RateLimit-Policy", "RateLimit")
    if status in (409, 429, 503) or (is_good and endpoint.demands == "chat"):
        yield "Retry-After"
    if endpoint.takes_repeat_key and (is_good or status > 500):
        yield "Idempotent-Replayed"
    if endpoint.has_etag and is_good:
        yield "ETag"
    if status in (201, 202) or (endpoint.streams and status != 400):
        yield "Location"
    if is_good and endpoint.query is not None and "cursor" in endpoint.query.model_fields:
        yield "Link"
