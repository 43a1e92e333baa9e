"""Files of ours that Twilio fetches: given to whoever holds an address that we just signed.

Twilio takes no uploads; a message carries addresses (MediaUrl), and Twilio gets the bytes there. An
address holds what file it is and until when it works, signed with the auth token: nobody else can
make one, and there is nothing to look up or to list. It works while the channel is connected.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from channels.twilio.webhook import later
from gateway.contract import ChannelHost
from gateway.errors import GatewayError, NotFound

VALID_S: Final = 3600

_PURPOSE: Final = b"bot-gateway media link\0"
_MIME: Final = re.compile(r"[a-z0-9][\w.+-]*/[\w.+-]+")
_UNKNOWN: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """The file an address stands for."""

    ref: str
    mime: str | None


class FileLinks:
    """Makes and reads the last step of such addresses."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(_PURPOSE + secret.encode()).digest()

    def token(self, file: LinkedFile, *, now: datetime) -> str:
        """What stands at the end of the address."""
        expires_at = int(now.timestamp()) + VALID_S
        payload = json.dumps([file.ref, file.mime, expires_at]).encode()
        return f"{_text(payload)}.{_text(self._mac(payload))}"

    def read(self, token: str, *, now: datetime) -> LinkedFile | None:
        """The file, None for an address that we did not make or that is too old."""
        head, _, tail = token.partition(".")
        try:
            payload, given = _bytes(head), _bytes(tail)
        except (binascii.Error, ValueError):
            return None
        if not hmac.compare_digest(self._mac(payload), given):
            return None
        ref, mime, expires_at = json.loads(payload)
        return LinkedFile(ref, mime) if now.timestamp() < expires_at else None

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, hashlib.sha256).digest()


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


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
