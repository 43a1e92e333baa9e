"""Requests over every bound, as the bytes that go over the wire.

Bounds of the gateway: 1 MiB a body (4 KiB where the chat page asks for a session), 8 KiB for the
request line and for each header, 100 headers of 32 KiB together, 32 levels of JSON.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Final

MIB: Final = 1024 * 1024
PIECE: Final = 64 * 1024
MEMBERS: Final = 1_000_000
BOMB_BYTES: Final = 64 * MIB


@dataclass(frozen=True, slots=True)
class Door:
    """A way in: its path and what proves that one may come in; the largest body it takes."""

    name: str
    path: str
    credentials: str
    max_bytes: int = MIB
    speaks_problems: bool = True


@dataclass(frozen=True, slots=True)
class Oversized:
    """A request to a door; `pieces` makes its bytes, and may never end."""

    door: Door
    name: str
    statuses: frozenset[int]
    pieces: Callable[[], Iterable[bytes]]

    @property
    def place(self) -> str:
        """Its name, with that of its door."""
        return f"{self.door.name}: {self.name}"


def requests_to(door: Door) -> Iterator[Oversized]:
    """Everything that is too large for that door."""
    yield from _claims(door)
    yield from _endless(door)
    yield from _heads(door)
    yield from _documents(door)


def _claims(door: Door) -> Iterator[Oversized]:
    """Bodies that say how long they are: refused before a byte of them was sent."""
    for name, size in (
        ("one byte too long", door.max_bytes + 1),
        ("an upload of 50 MiB and one byte", 50 * MIB + 1),
        ("a length of 18 digits", 10**17),
    ):
        head = _head(door, f"Content-Length: {size}")
        yield Oversized(door, name, frozenset({413}), partial(_whole, head))
    body = _members(MEMBERS)
    head = _head(door, f"Content-Length: {len(body)}")
    yield Oversized(door, "a million members", frozenset({413}), lambda: [head, *_in_pieces(body)])


def _endless(door: Door) -> Iterator[Oversized]:
    """Bodies in chunks, which do not say how long they will be."""
    head, statuses = _head(door, "Transfer-Encoding: chunked"), frozenset({413})
    yield Oversized(door, "chunks without an end", statuses, lambda: _chunks_for_ever(head))
    giant = b"%x\r\n" % (4096 * MIB)
    yield Oversized(door, "one chunk of 4 GiB", statuses, lambda: _for_ever(head + giant))
    body = _members(MEMBERS)
    yield Oversized(
        door, "a million members in chunks", statuses, lambda: [head, *_as_chunks(body)]
    )


def _heads(door: Door) -> Iterator[Oversized]:
    """Request lines and headers; refused before anybody looks at the path."""
    too_large, too_many = frozenset({431}), frozenset({400, 431})
    for name, more, statuses in (
        ("one header of 64 KiB", "X-Large: " + "x" * 65536, too_large),
        ("64 headers of 1 KiB", "\r\n".join(f"X-{n}: " + "x" * 1024 for n in range(64)), too_large),
        ("1,000 headers", "\r\n".join(f"X-{n}: x" for n in range(1000)), too_many),
    ):
        head = _head(door, f"{more}\r\nContent-Length: 2") + b"{}"
        yield Oversized(door, name, statuses, partial(_whole, head))
    long_line = Door(door.name, door.path + "?q=" + "x" * 8192, door.credentials)
    head = _head(long_line, "Content-Length: 2") + b"{}"
    yield Oversized(door, "a request line of 8 KiB", too_large, lambda: [head])


def _documents(door: Door) -> Iterator[Oversized]:
    """Documents within the length that is allowed, and too much all the same."""
    depths = (33, 1000, (door.max_bytes - 100) // 2)
    for depth in depths:
        body = b'{"input": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
        yield _document(door, f"{depth:,} levels", body, refused=400)
    yield _document(door, "levels that never end", b"[" * (door.max_bytes - 100), refused=400)
    yield _document(door, "a gzip bomb", _bomb()[: door.max_bytes], refused=415, encoding="gzip")


def _document(
    door: Door, name: str, body: bytes, *, refused: int, encoding: str = "identity"
) -> Oversized:
    """The webhook keeps what it cannot read, and says yes: Telegram would repeat it for a day."""
    head = _head(door, f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}")
    status = refused if door.speaks_problems else 200
    return Oversized(door, name, frozenset({status}), lambda: [head, *_in_pieces(body)])


def _whole(request: bytes) -> list[bytes]:
    return [request]


def _head(door: Door, more: str) -> bytes:
    return (
        f"POST {door.path} HTTP/1.1\r\nHost: gateway\r\n{door.credentials}"
        f"Content-Type: application/json\r\n{more}\r\n\r\n"
    ).encode()


def _in_pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), PIECE):
        yield body[start : start + PIECE]


def _as_chunks(body: bytes) -> Iterator[bytes]:
    for piece in _in_pieces(body):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def _chunks_for_ever(head: bytes) -> Iterator[bytes]:
    yield head
    while True:
        yield b"%x\r\n%b\r\n" % (PIECE, b" " * PIECE)


def _for_ever(start: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield b" " * PIECE


@cache
def _members(count: int) -> bytes:
    return json.dumps({f"m{number}": 0 for number in range(count)}).encode()


@cache
def _bomb() -> bytes:
    return gzip.compress(b'{"input": "' + b" " * BOMB_BYTES + b'"}')
