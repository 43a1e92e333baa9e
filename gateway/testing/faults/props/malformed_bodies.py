"""Requests that mean nothing, or not the same to everybody: bodies, media types, addresses.

Each with the one status that is the right answer of a JSON API. What JSON forbids: RFC 8259,
sections 2 to 9; what it leaves to the reader (names that come twice, large numbers, half
characters), and is better refused: RFC 7493 (I-JSON).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Final

JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Malformed:
    """A request body that must not be taken: its name, its bytes, its headers, the right status."""

    name: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    status: int = 400


def _text(inner: bytes) -> bytes:
    return b'{"input": "' + inner + b'"}'


def _value(inner: bytes) -> bytes:
    return b'{"input": "Hi", "value": ' + inner + b"}"


GOOD: Final = b'{"input": "Hi", "context": {"places": [1, 2.5, "three"], "is": null}}'

NOT_JSON: Final = (
    Malformed("empty", b""),
    Malformed("cut short", b'{"input": "Hi"'),
    Malformed("two documents", b'{"input": "Hi"} {}'),
    Malformed("a comment", b'{"input": "Hi" /* there */}'),
    Malformed("a trailing comma", b'{"input": "Hi",}'),
    Malformed("single quotes", b"{'input': 'Hi'}"),
    Malformed("words", b"input=Hi"),
    Malformed("bytes that are no UTF-8", _text(b"\xff\xfe")),
    Malformed("an overlong letter", _text(b"\xc0\xaf")),
    Malformed("a surrogate as UTF-8", _text(b"\xed\xa0\x80")),
    Malformed("UTF-16", '{"input": "Hi"}'.encode("utf-16")),
    Malformed("a byte order mark", b"\xef\xbb\xbf" + _text(b"Hi")),
    Malformed("a raw NUL", _text(b"a\x00b")),
    Malformed("a raw control character", _text(b"a\x01b")),
    Malformed("NaN", _value(b"NaN")),
    Malformed("Infinity", _value(b"Infinity")),
    Malformed("-Infinity", _value(b"-Infinity")),
)
"""What no reader of JSON may take."""

DOUBTFUL: Final = (
    Malformed("an array", b'["input", "Hi"]'),
    Malformed("a string", b'"Hi"'),
    Malformed("a number", b"7"),
    Malformed("null", b"null"),
    Malformed("a lone surrogate", _text(rb"\ud800")),
    Malformed("a lone surrogate as a name", rb'{"\udfff": 1, "input": "Hi"}'),
    Malformed("surrogates the wrong way round", _text(rb"\udc00\ud800")),
    Malformed("an escaped NUL", _text(rb"a\u0000b")),
    Malformed("an escaped NUL in a name", rb'{"a\u0000": 1, "input": "Hi"}'),
    Malformed("a name twice", b'{"input": "Hi", "input": "Ho"}'),
    Malformed("a name twice inside", _value(b'{"a": 1, "a": 2}')),
    Malformed("2 to the 63rd", _value(b"9223372036854775808")),
    Malformed("10,000 digits", _value(b"9" * 10_000)),
    Malformed("a number beyond all", _value(b"1e999")),
    Malformed("33 deep", _value(b"[" * 32 + b"]" * 32)),
    Malformed("1,000 deep", _value(b"[" * 1000 + b"]" * 1000)),
    Malformed("100,000 deep, never closed", _value(b'{"a":' * 100_000)),
)
"""What two readers could understand differently, or not store."""

MISTYPED: Final = tuple(
    Malformed(f"as {name}", GOOD, headers, status=415)
    for name, headers in (
        ("text", {"Content-Type": "text/plain"}),
        ("a form", {"Content-Type": "application/x-www-form-urlencoded"}),
        ("a multipart form", {"Content-Type": "multipart/form-data; boundary=x"}),
        ("nothing", {"Content-Type": ""}),
        ("Latin 1", {"Content-Type": "application/json; charset=latin-1"}),
        ("gzip", {**JSON, "Content-Encoding": "gzip"}),
    )
)
"""A good document under a wrong name."""

TARGETS: Final = {
    "/v1/sessions/%00": 404,
    "/v1/sessions/%ff%fe": 404,
    "/v1/sessions/..%2f..%2fetc": 404,
    "/v1/sessions?limit=%00": 400,
    "/v1/sessions?limit=NaN": 422,
    "/v1/sessions?limit=99999999999999999999": 422,
    "/v1/sessions?limit=1&limit=2": 400,
    "/v1/sessions?cursor=%ff": 400,
    "/v1/sessions?cursor=e30": 400,
    "/v1/sessions?%00=1": 400,
    "/v1/agents?bot=%ed%a0%80": 404,
    "/v1/turns/turn_%F0%9F%98%80/events": 404,
    "/v1/participants/%20": 404,
    "/v1/nothing": 404,
}
"""Addresses of nothing, and parameters that mean nothing, with the right status."""

_ODD: Final = {
    "half a character": rb'"a\ud800b"',
    "a NUL": rb'"a\u0000b"',
    "2 to the 63rd": b"9223372036854775808",
    "400 digits": b"9" * 400,
    "beyond all numbers": b"1e999",
    "NaN": b"NaN",
    "true": b"true",
    "null": b"null",
    "a list": b"[]",
    "a document": b"{}",
    "an empty text": b'""',
}
FIRST_ODD: Final = 9000
_PLACES: Final = (b"$update", b"$message", b"$sender", b"$chat", b"$date", b"$name", b"$text")
_UPDATE: Final = (
    b'{"update_id": $update, "message": {"message_id": $message, "date": $date, '
    b'"from": {"id": $sender, "is_bot": false, "first_name": $name}, '
    b'"chat": {"id": $chat, "type": "private"}, "text": $text}}'
)


def odd_updates() -> Iterator[tuple[str, bytes]]:
    """Updates of Telegram's with one odd value each, every one from a chat of its own."""
    for number, ((what, odd), place) in enumerate(product(_ODD.items(), _PLACES), start=1):
        own = b"%d" % number
        good = {
            b"$update": b"%d" % (FIRST_ODD + number),
            b"$message": own,
            b"$sender": own,
            b"$chat": own,
            b"$date": b"1790000000",
            b"$name": b'"Ada"',
            b"$text": b'"Hello"',
        }
        body = _UPDATE
        for name, value in {**good, place: odd}.items():
            body = body.replace(name, value)
        yield f"{place[1:].decode()} is {what}", body
