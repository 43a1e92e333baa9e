"""Request bodies: bytes off the wire, to a JSON object that means the same to everybody.

Sizes are refused by the declared length first, and while reading where none is declared. JSON that
two readers could understand differently is refused: duplicate names, NaN, numbers beyond 64 bits,
lone surrogates, NUL, nesting deeper than 32.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.api.http.errors import WrongMedia
from gateway.errors import BadRequest, FieldError, TooLarge, Unprocessable

MAX_DEPTH = 32
BODY_TIMEOUT_S = 25.0
MAX_FIELD_ERRORS = 20

_MAX_INTEGER_LETTERS = 20
_TOKENS = re.compile(r'"(?:[^"\\]+|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
"""Strings and brackets; possessive, and fine without an end, so that no letter is read twice."""
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

Model = TypeVar("Model", bound=BaseModel)
Document = Mapping[str, object]


async def read_body(
    request: web.Request, *, max_bytes: int, timeout_s: float = BODY_TIMEOUT_S
) -> bytes:
    """The whole body; raises TooLarge, and BadRequest when it comes too slowly or breaks off."""
    declared = request.content_length
    if declared is not None and declared > max_bytes:
        raise TooLarge(f"The body is over {max_bytes} bytes.")
    content = request.content
    if content.is_eof() and declared is not None:
        return content.read_nowait()
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for piece in content.iter_any():
                size += len(piece)
                if size > max_bytes:
                    raise TooLarge(f"The body is over {max_bytes} bytes.")
                pieces.append(piece)
    except TimeoutError as error:
        raise BadRequest("The body came too slowly.", code="body_too_slow") from error
    except web.RequestPayloadError as error:
        raise BadRequest("The body broke off.", code="invalid_body") from error
    return b"".join(pieces)


def check_json_type(request: web.Request) -> None:
    """Raise WrongMedia unless the body says that it is JSON in UTF-8, uncompressed."""
    if request.headers.get("Content-Type") == "application/json" and _is_plain(request):
        return
    declared = request.content_type
    is_json = declared == "application/json" or declared.endswith("+json")
    if not is_json or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise WrongMedia("The body must be application/json in UTF-8.")
    if not _is_plain(request):
        raise WrongMedia("Compressed bodies are not read.")


def _is_plain(request: web.Request) -> bool:
    return request.headers.get("Content-Encoding", "identity").lower() == "identity"


def parse_object(raw: bytes) -> Document:
    """The JSON object in a body; raises BadRequest (`invalid_json`).

    >>> parse_object(b'{"input": "Hello"}')
    {'input': 'Hello'}
    """
    try:
        text = raw.decode()
        if text.count("[") + text.count("{") > MAX_DEPTH:
            _check_depth(text)
        document = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise _unreadable("The body is not UTF-8.") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise _unreadable("The body is not valid JSON.") from error
    if not isinstance(document, dict):
        raise _unreadable("The body must be a JSON object.")
    if "\\u" in text:
        _check_escapes(text, document)
    return document


def validate(model: type[Model], document: Document) -> Model:
    """The document as a model; raises Unprocessable naming each wrong place by JSON pointer."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        fields = field_errors(error, document)
        raise Unprocessable("The request is not valid.", fields=fields) from None


def field_errors(
    found: ValidationError, document: Document, *, prefix: str = "/"
) -> list[FieldError]:
    """The first findings of a validation, one a place, without the values they were found in."""
    fields: dict[str, FieldError] = {}
    details = found.errors(include_url=False, include_input=False, include_context=False)
    for detail in details:
        is_missing = detail["type"] == "missing"
        place = _place(detail["loc"], document, is_missing=is_missing)
        pointer = prefix + "/".join(place) if place else ""
        code = "required" if is_missing else detail["type"]
        sentence = detail["msg"].removeprefix("Value error, ")
        fields.setdefault(pointer, FieldError(pointer, code, sentence))
    return list(fields.values())[:MAX_FIELD_ERRORS]


def _place(location: Sequence[int | str], document: object, *, is_missing: bool) -> list[str]:
    """The parts of a JSON pointer (RFC 6901) to what a finding is about.

    A location also names branches of a union, which no document holds: they are left out.
    """
    place = []
    for number, part in enumerate(location, start=1):
        if isinstance(document, Mapping) and part in document:
            document = document[part]
        elif isinstance(document, list) and part in range(len(document)):
            document = document[int(part)]
        elif not (is_missing and number == len(location)):
            continue
        place.append(str(part).replace("~", "~0").replace("/", "~1"))
    return place


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _unreadable("The body names a member twice.")
    return members


def _integer(digits: str) -> int:
    if len(digits) > _MAX_INTEGER_LETTERS or not -(1 << 63) <= (number := int(digits)) < 1 << 63:
        raise _unreadable("The body holds an integer beyond 64 bits.")
    return number


def _decimal(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _unreadable("The body holds a number that is too large.")
    return number


def _no_number(name: str) -> NoReturn:
    raise _unreadable(f"The body holds {name}, which is not JSON.")


def _check_depth(text: str) -> None:
    depth = 0
    for token in _TOKENS.finditer(text):
        letter = token.group()[0]
        if letter in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _unreadable(f"The body is nested deeper than {MAX_DEPTH}.")
        elif letter in "]}":
            depth -= 1


def _check_escapes(text: str, document: object) -> None:
    if _NUL.search(text):
        raise _unreadable("The body holds a NUL character.")
    if _SURROGATE.search(text):
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise _unreadable("The body holds half a character.") from error


def _unreadable(sentence: str) -> BadRequest:
    return BadRequest(sentence, code="invalid_json")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members,
    parse_int=_integer,
    parse_float=_decimal,
    parse_constant=_no_number,
)
