"""Files of ours that Twilio fetches: given to whoever holds an address that we just signed.

Twilio takes no uploads; a message carries addresses (MediaUrl), and Twilio gets the bytes there. An
address works for an hour and only while the channel is connected; nothing can be listed.
"""

import re
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from channels.twilio.links import FileLinks, LinkedFile
from channels.twilio.webhook import later
from gateway.contract import ChannelHost
from gateway.errors import GatewayError, NotFound

_MIME: Final = re.compile(r"[a-z0-9][\w.+-]*/[\w.+-]+")
_UNKNOWN: Final = "application/octet-stream"


class FileDoor:
    """Answers GET for such an address; `host()` is None while the channel is not connected."""

    def __init__(self, links: FileLinks, *, host: Callable[[], ChannelHost | None]) -> None:
        self._links = links
        self._host = host

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file, 404 for any address that is not ours or too old."""
        file = self._links.read(request.match_info["token"], now=datetime.now(UTC))
        if file is None:
            return web.Response(status=404)
        host = self._host()
        if host is None:
            return later()
        async with aclosing(host.open_file(file.ref)) as pieces:
            try:
                first = await anext(pieces, b"")
            except NotFound:
                return web.Response(status=404)
            except GatewayError as error:
                return later(error)
            if request.method == "HEAD":
                return web.Response(headers=_headers(file))
            response = web.StreamResponse(headers=_headers(file))
            await response.prepare(request)
            await response.write(first)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
            return response


def _headers(file: LinkedFile) -> dict[str, str]:
    is_usable = file.mime is not None and _MIME.fullmatch(file.mime) is not None
    return {
        "Content-Type": file.mime if file.mime and is_usable else _UNKNOWN,
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
