"""The bytes of files that arrived.

The workspace's token is sent to Slack's own hosts and to the configured one, and to nobody they
redirect to. Nothing is kept in memory but the piece that is being handed on.
"""

from collections.abc import AsyncGenerator
from typing import Final

import aiohttp
from yarl import URL

from channels.slack.api import SlackApi, SlackSilence
from channels.slack.attachments import file_of
from channels.slack.installations import Installations
from gateway.contract import Attachment
from gateway.errors import DeliveryLater, DeliveryRefused

MAX_FILE_BYTES: Final = 1 << 30
"""Slack takes files up to 1 GB. Slack's help centre, "Add files to Slack"; read November 2026."""

_HOSTS: Final = ("slack.com", "slack-edge.com", "slack-files.com")
_REDIRECTS: Final = 5
_PIECE_BYTES: Final = 65_536
_TIMES: Final = aiohttp.ClientTimeout(connect=5.0, sock_read=20.0)


class Downloads:
    """Gives the bytes of files that arrived."""

    def __init__(self, api: SlackApi, installations: Installations, *, api_url: str) -> None:
        self._api = api
        self._installations = installations
        self._own = URL(api_url)

    async def pieces(self, attachment: Attachment) -> AsyncGenerator[bytes, None]:
        """The file's bytes; raises DeliveryLater and DeliveryRefused."""
        team, url = file_of(attachment.ref)
        token = await self._installations.token(team)
        try:
            async for piece in self._read(url, token, expects_html=attachment.mime == "text/html"):
                yield piece
        except (aiohttp.ClientError, OSError, TimeoutError, SlackSilence) as error:
            raise DeliveryLater(f"the file did not come ({type(error).__name__})") from None

    async def _read(
        self, url: URL, token: str, *, expects_html: bool
    ) -> AsyncGenerator[bytes, None]:
        for _ in range(_REDIRECTS + 1):
            self._check(url)
            headers = {"Authorization": f"Bearer {token}"}
            async with self._api.http.get(
                url, headers=headers, allow_redirects=False, timeout=_TIMES
            ) as answer:
                if answer.status in (301, 302, 303, 307, 308):
                    url = url.join(URL(answer.headers.get("Location", "")))
                    continue
                _check_answer(answer, expects_html=expects_html)
                taken = 0
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    taken += len(piece)
                    if taken > MAX_FILE_BYTES:
                        raise DeliveryRefused("the file is larger than Slack's files are")
                    yield piece
                return
        raise DeliveryRefused("the file's address leads from one place to the next")

    def _check(self, url: URL) -> None:
        """The token goes to Slack alone; raises DeliveryRefused for any other host."""
        is_configured = (url.scheme, url.host, url.port) == (
            self._own.scheme,
            self._own.host,
            self._own.port,
        )
        host = url.host or ""
        is_slack = any(host == name or host.endswith(f".{name}") for name in _HOSTS)
        if not is_configured and not (is_slack and url.scheme == "https"):
            raise DeliveryRefused("the file's address leads away from Slack")


def _check_answer(answer: aiohttp.ClientResponse, *, expects_html: bool) -> None:
    if answer.status == 429 or answer.status >= 500:
        after = answer.headers.get("Retry-After", "")
        raise DeliveryLater(
            f"Slack does not give the file now ({answer.status})",
            retry_after_s=float(after) if after.isdecimal() else None,
        )
    if answer.status != 200:
        raise DeliveryRefused(f"Slack does not give the file ({answer.status})")
    if answer.content_type == "text/html" and not expects_html:
        raise DeliveryRefused("Slack asks to sign in for the file: the scope files:read is missing")
