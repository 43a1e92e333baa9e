"""Files that people sent: fetched from Twilio when they are wanted, and removed there afterwards.

Twilio asks for the account's credentials and then points to its storage, on another host, which
must not see them. That host is outside: it may be no machine of our own network, unless the API's
own address is configured to be one. A file is removed at Twilio some time after it was read, never
at once: until then whoever reads it may not have it on disk.
"""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final
from urllib.request import getproxies

import aiohttp
import structlog
from yarl import URL

from channels.twilio.api import API_VERSION, TwilioApi
from channels.twilio.settings import TwilioSettings
from channels.twilio.transport import CONNECT_S, READ_S, NoAnswer, Refused
from gateway.contract import Attachment, ChannelHost
from gateway.errors import DeliveryLater, DeliveryRefused, GatewayError

MAX_BYTES: Final = 64 * 1_048_576
"""Far over what Twilio takes (16 MB on WhatsApp): something else would be at work."""

DELETE_AFTER: Final = timedelta(minutes=10)

_PIECE_BYTES: Final = 65_536
_MAX_HOPS: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_GONE: Final = frozenset({401, 403, 404, 410})
_REF: Final = re.compile(r"([A-Z]{2}[0-9a-f]{32})/(ME[0-9a-f]{32})")
_NOTE: Final = "media_to_delete"

_log: Final = structlog.get_logger(__name__)


class FileFetcher:
    """Fetches the files of one account; built inside the running loop, closed once."""

    def __init__(self, settings: TwilioSettings) -> None:
        self._settings = settings
        self._is_own_network = settings.base_url.startswith("http://")
        self._inside = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), trust_env=bool(getproxies())
        )
        self._outside = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=None if self._is_own_network else _public_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._inside.close()
        await self._outside.close()

    async def fetch(self, attachment: Attachment) -> AsyncGenerator[bytes, None]:
        """The bytes of a file; raises DeliveryLater or DeliveryRefused."""
        url = self._url(attachment.ref)
        token = self._settings.auth_token.get_secret_value()
        secret = aiohttp.encode_basic_auth(self._settings.account_sid, token)
        headers = {"Authorization": secret}
        session = self._inside
        try:
            for _ in range(_MAX_HOPS):
                async with session.get(
                    url,
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_S, sock_read=READ_S),
                ) as answer:
                    if answer.status not in _REDIRECTS:
                        async with aclosing(_pieces(answer)) as pieces:
                            async for piece in pieces:
                                yield piece
                        return
                    url = self._target(url, answer.headers.get("Location", ""))
                    headers, session = {}, self._outside
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise DeliveryLater(f"the file did not arrive ({type(error).__name__})") from None
        raise DeliveryRefused("the file is behind too many redirects")

    def _url(self, ref: str) -> URL:
        found = _REF.fullmatch(ref)
        if found is None:
            raise DeliveryRefused("this is no file of a message at Twilio")
        account = f"/{API_VERSION}/Accounts/{self._settings.account_sid}"
        return URL(f"{self._settings.base_url}{account}/Messages/{found[1]}/Media/{found[2]}")

    def _target(self, url: URL, location: str) -> URL:
        try:
            target = url.join(URL(location, encoded=True))
        except ValueError:
            raise DeliveryRefused("the file is at no address") from None
        if target.scheme != "https" and not (self._is_own_network and target.scheme == "http"):
            raise DeliveryRefused("the file is not offered over HTTPS")
        return target


async def _pieces(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    if answer.status in _GONE:
        raise DeliveryRefused(f"Twilio does not give the file ({answer.status})")
    if answer.status != 200:
        raise DeliveryLater(f"Twilio does not give the file now ({answer.status})")
    size_bytes = 0
    async for piece in answer.content.iter_chunked(_PIECE_BYTES):
        size_bytes += len(piece)
        if size_bytes > MAX_BYTES:
            raise DeliveryRefused(f"the file is larger than {MAX_BYTES} bytes")
        yield piece


def _public_socket(info: tuple[int, int, int, str, tuple[Any, ...]]) -> socket.socket:
    """A socket to an address of the public Internet, and to no other."""
    family, kind, protocol, _, address = info
    if not ip_address(str(address[0]).partition("%")[0]).is_global:
        raise OSError("address not allowed")
    return socket.socket(family, kind, protocol)


class Leftovers:
    """Files that are to be removed at Twilio; kept durably, so that a stop forgets none."""

    def __init__(self, host: ChannelHost) -> None:
        self._host = host
        self._turn = asyncio.Lock()

    async def add(self, ref: str) -> None:
        """A file was read to its end; best effort."""
        with suppress(GatewayError):
            async with self._turn:
                waiting = dict(await self._host.note(_NOTE) or {})
                waiting[ref] = datetime.now(UTC).isoformat()
                await self._host.keep_note(_NOTE, waiting)

    async def remove(self, api: TwilioApi, *, now: datetime) -> None:
        """Remove at Twilio what was read long enough ago; raises NoAnswer, GatewayError."""
        async with self._turn:
            waiting = dict(await self._host.note(_NOTE) or {})
            due = [
                ref
                for ref, read_at in waiting.items()
                if now - datetime.fromisoformat(str(read_at)) >= DELETE_AFTER
            ]
            for ref in due:
                message_sid, _, sid = ref.partition("/")
                try:
                    await api.delete_medium(message_sid, sid)
                except Refused as refusal:
                    if refusal.status in (401, 429) or refusal.status >= 500:
                        raise NoAnswer(str(refusal), was_written=True) from None
                    _log.warning("file_not_removed", status=refusal.status, code=refusal.code)
                del waiting[ref]
                await self._host.keep_note(_NOTE, waiting or None)
