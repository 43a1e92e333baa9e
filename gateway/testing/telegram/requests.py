"""Reads Bot API requests: address, and parameters in each of the ways clients send them.

Gives method name and parameters as JSON values, files apart. The real server takes GET and POST,
query, URL-encoded form, JSON and multipart, in any mixture (Bot API, "Making requests"). Nothing is
judged here but what cannot be read at all.
"""

import contextlib
import json
from dataclasses import dataclass, field
from typing import Final

from aiohttp import BodyPartReader, web

from gateway.testing.telegram.faults import ApiError, Refused, bad_request
from gateway.testing.telegram.spec import Spec, Upload
from gateway.testing.wire import JsonObject, JsonValue

TEXT_FIELDS: Final = frozenset(
    {
        *("text", "caption", "parse_mode", "url", "secret_token", "callback_query_id", "action"),
        *("file_id", "ip_address", "emoji", "language_code", "inline_message_id", "title"),
        *("description", "name", "media", "photo", "document", "voice", "audio", "video"),
    }
)
"""Without a specification, form values of these names stay text."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a call carries."""

    values: JsonObject
    uploads: dict[str, Upload] = field(default_factory=dict)


def read_path(path: str, token: str) -> tuple[str, str]:
    """("bot", method) or ("file", file path); Refused for other paths and other tokens."""
    for kind, prefix in (("bot", "/bot"), ("file", "/file/bot")):
        given, slash, rest = path.removeprefix(prefix).partition("/")
        if not path.startswith(prefix) or not slash:
            continue
        if ":" not in given:
            raise Refused(ApiError(404, "Not Found"))
        if given != token:
            raise Refused(ApiError(401, "Unauthorized"))
        return kind, rest
    raise Refused(ApiError(404, "Not Found"))


async def read_parameters(
    request: web.BaseRequest, method: str, *, spec: Spec | None
) -> Parameters:
    """The parameters of a call to that method; Refused when the body cannot be read."""
    texts: dict[str, JsonValue] = dict(request.query)
    typed: JsonObject = {}
    uploads: dict[str, Upload] = {}
    if request.content_type == "application/json":
        typed = await _json_body(request)
    elif request.content_type == "multipart/form-data":
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.filename is not None:
                uploads[part.name or ""] = Upload(part.filename, bytes(await part.read()))
            elif isinstance(part, BodyPartReader):
                texts[part.name or ""] = await part.text()
    elif request.method == "POST":
        texts |= {name: str(value) for name, value in (await request.post()).items()}
    texts = spec.typed(method, texts) if spec is not None else _guessed(texts)
    return Parameters({**texts, **_unpacked(typed), **_fields_of(uploads)}, uploads)


async def _json_body(request: web.BaseRequest) -> JsonObject:
    raw = await request.read()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad_request("can't parse request JSON object")
    return body


def _unpacked(body: JsonObject) -> JsonObject:
    """JSON-serialized objects and lists inside a JSON body are read too, as the server does."""
    return {
        name: _parsed(value) if isinstance(value, str) and name not in TEXT_FIELDS else value
        for name, value in body.items()
    }


def _parsed(value: str) -> JsonValue:
    with contextlib.suppress(ValueError):
        found = json.loads(value)
        if isinstance(found, dict | list):
            return found
    return value


def _guessed(texts: dict[str, JsonValue]) -> JsonObject:
    guessed: JsonObject = {}
    for name, value in texts.items():
        guessed[name] = value
        if name not in TEXT_FIELDS:
            with contextlib.suppress(ValueError):
                guessed[name] = json.loads(value)
    return guessed


def _fields_of(uploads: dict[str, Upload]) -> JsonObject:
    """A file given under a field's own name is that field's value."""
    return {name: upload for name, upload in uploads.items() if not name.startswith("attached")}
