"""Reads Web API requests: method, token, and arguments in each of the ways clients send them.

Slack takes query, URL-encoded form, multipart and, for methods that write, JSON; in a form, arrays
and objects are JSON in a string. The token stands in the Authorization header or in the form, never
in the query. Nothing is judged here but what cannot be read at all.
"""

import contextlib
import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from gateway.testing.slack.faults import refused
from gateway.testing.wire import JsonObject, JsonValue

STRUCTURED: Final = frozenset(
    {"attachments", "blocks", "chunks", "files", "loading_messages", "metadata", "prompts", "view"}
)
"""Arguments that are arrays or objects: JSON in a string is read too."""

FLAGS: Final = frozenset(
    {
        *("include_all_metadata", "inclusive", "return_im", "include_locale", "mrkdwn"),
        *("include_num_members", "reply_broadcast", "unfurl_links", "unfurl_media", "link_names"),
        *("as_user", "prevent_creation"),
    }
)


FORM_ONLY: Final = frozenset(
    {
        *("conversations.history", "conversations.replies", "conversations.info", "users.info"),
        *("files.getUploadURLExternal", "oauth.v2.access"),
    }
)
"""Methods that only read take no JSON body: its arguments are ignored."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a call carries, and what was odd about how it carries it."""

    params: JsonObject
    token: str
    body: bytes
    problems: tuple[str, ...] = ()


async def read_arguments(request: web.BaseRequest, method: str) -> Arguments:
    """The arguments and the token of a call; refused when the body cannot be read."""
    is_multipart = request.content_type == "multipart/form-data"
    body = b"" if is_multipart else await request.read()
    params: JsonObject = dict(request.query)
    problems = []
    if params.pop("token", None) is not None:
        problems.append("the token stands in the address, where it is not read")
    if method in FORM_ONLY and request.content_type == "application/json":
        problems.append("JSON, where only a form is read")
    elif is_multipart:
        params |= await _multipart(request)
    else:
        params |= _body_of(request.content_type, body)
    form_token = str(params.pop("token", ""))
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    token = bearer.strip() if scheme.lower() == "bearer" else form_token
    values = {name: _value(name, value) for name, value in params.items()}
    return Arguments(values, token, body, tuple(problems))


def _body_of(content_type: str, body: bytes) -> JsonObject:
    if not body:
        return {}
    if content_type == "application/json":
        return _json_object(body)
    if content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    raise refused("invalid_post_type")


async def _multipart(request: web.BaseRequest) -> JsonObject:
    try:
        posted = await request.post()
    except ValueError:
        raise refused("invalid_form_data") from None
    return {name: value for name, value in posted.items() if isinstance(value, str)}


def _json_object(body: bytes) -> JsonObject:
    try:
        found = json.loads(body)
    except ValueError:
        raise refused("invalid_json") from None
    if not isinstance(found, dict):
        raise refused("json_not_object")
    return found


def _value(name: str, value: JsonValue) -> JsonValue:
    if isinstance(value, str) and name in STRUCTURED:
        with contextlib.suppress(ValueError):
            return json.loads(value)
    if isinstance(value, str) and name in FLAGS:
        return value.lower() in {"1", "true"}
    return value
