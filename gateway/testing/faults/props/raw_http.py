"""One HTTP request byte by byte over a plain socket, and its answer with the time it took.

For requests that no HTTP library would send. The answer may come before the request has ended:
then sending stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer: header names in small letters, seconds since the connection stood."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


async def send_raw(port: int, pieces: Iterable[bytes]) -> Heard:
    """Send the pieces to a port of this machine until the answer is there.

    Raises IncompleteReadError or ConnectionError when there is none.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = perf_counter()
    sending = asyncio.create_task(_send(writer, pieces))
    try:
        status, headers = _head(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Heard(status, headers, body, perf_counter() - began)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _send(writer: asyncio.StreamWriter, pieces: Iterable[bytes]) -> None:
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # an endless sender has to hear its answer


def _head(raw: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = raw.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in fields}
