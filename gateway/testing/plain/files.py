"""Files on the plain platform: what people send, what they are sent, and how a download goes wrong.

Faults of the network and refusals are those of every call; the two here need a body that was begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

from gateway.testing.loopback import hang_up, pause
from gateway.testing.wire import JsonObject

Kind = Literal["image", "audio", "video", "document"]

CHUNK_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class CutOff:
    """The connection is lost after so many bytes of the file, which was announced whole."""

    after_bytes: int


@dataclass(frozen=True, slots=True)
class Trickle:
    """So many bytes of the file come at a time, with a pause before each."""

    bytes_at_once: int = 1
    pause_s: float = 1.0


@dataclass(frozen=True, slots=True)
class PlainFile:
    """A file; `told_bytes` is the size that the platform claims."""

    id: str
    kind: Kind
    data: bytes
    name: str | None = None
    mime: str | None = None
    told_bytes: int | None = None

    @property
    def described(self) -> JsonObject:
        """The file as an event tells of it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "mime": self.mime,
            "size": self.told_bytes,
        }


async def give(
    request: web.BaseRequest, file: PlainFile, fault: CutOff | Trickle | None = None
) -> web.StreamResponse:
    """Give the bytes of a file."""
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = len(file.data)
    await response.prepare(request)
    step, pause_s, end = CHUNK_BYTES, 0.0, len(file.data)
    if isinstance(fault, Trickle):
        step, pause_s = fault.bytes_at_once, fault.pause_s
    if isinstance(fault, CutOff):
        end = min(fault.after_bytes, end)
    for at in range(0, end, step):
        await pause(pause_s)
        await response.write(file.data[at : min(at + step, end)])
    if end < len(file.data):
        return hang_up(request)
    await response.write_eof()
    return response
