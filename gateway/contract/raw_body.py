"""The raw bytes of a platform's webhook call, bounded: for every channel with routes.

Signatures are made over these bytes, so they are read before anything is parsed.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

MAX_BODY_BYTES: Final = 1_048_576


class UnusableBody(Exception):
    """A body that cannot be taken; `status` is what to answer: 413 too large, 400 broken off."""

    def __init__(self, status: int) -> None:
        super().__init__(f"a body that is answered {status}")
        self.status = status


async def raw_body(request: web.Request, *, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The whole body; raises UnusableBody before more than `max_bytes` of it are kept."""
    if (request.content_length or 0) > max_bytes:
        raise UnusableBody(413)
    body = bytearray()
    try:
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > max_bytes:
                raise UnusableBody(413)
    except web.RequestPayloadError as error:
        raise UnusableBody(400) from error
    return bytes(body)
