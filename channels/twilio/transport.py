"""How calls of Twilio's API travel: the library's own asynchronous client, with what it lacks.

A subclass at the library's extension point. It adds a time limit that holds (the library takes one
and does not pass it on), tells a call that was never written from one without an answer, keeps a
refusal's code together with `Retry-After`, and logs nothing (the library logs every address with
the account in it). It never retries: a retried POST is a second SMS.
"""

import json
import logging
from collections.abc import Mapping
from typing import Final
from urllib.request import getproxies

import aiohttp
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response

from gateway.contract.silence import may_be_taken

CONNECT_S: Final = 5.0
READ_S: Final = 30.0
"""A slow answer to a create may still mean a message: giving up early only makes doubt."""

_CONNECTIONS: Final = 100
_KEEP_ALIVE_S: Final = 30.0

logging.getLogger("twilio").setLevel(logging.WARNING)


class Refused(Exception):
    """Twilio answered, and the answer is no; `code` is of its error dictionary, or the status."""

    def __init__(
        self, status: int, code: int, message: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{code} {message}")
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class NoAnswer(Exception):
    """No answer that can be read; `was_written` False = Twilio certainly never saw the call."""

    def __init__(self, message: str, *, was_written: bool) -> None:
        super().__init__(message)
        self.was_written = was_written


class Transport(AsyncTwilioHttpClient):  # type: ignore[misc]  # the library ships no types
    """One pool of connections; built inside the running loop. `secrets` never stand in an error."""

    def __init__(self, *, secrets: Mapping[str, str]) -> None:
        super().__init__(pool_connections=False)
        self._secrets = secrets
        # Looking for a proxy costs several times as much as a call: only where there is one.
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=bool(getproxies()),
        )

    async def request(  # noqa: PLR0917 - the library's interface
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        """One call; returns answers of success only, raises Refused or NoAnswer."""
        sent = dict(headers or {})
        if auth is not None:
            sent["Authorization"] = aiohttp.encode_basic_auth(*auth)
        try:
            async with self.session.request(
                method,
                url,
                params=params,
                data=data,
                headers=sent,
                timeout=aiohttp.ClientTimeout(
                    sock_connect=CONNECT_S, connect=CONNECT_S, sock_read=timeout or READ_S
                ),
                allow_redirects=False,
            ) as response:
                text = await response.text(errors="replace")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NoAnswer(
                f"no answer from Twilio ({type(error).__name__})",
                was_written=may_be_taken(error),
            ) from None
        if not 200 <= response.status <= 299:
            raise self._refusal(response, text)
        return Response(response.status, text, response.headers)

    def _refusal(self, response: aiohttp.ClientResponse, text: str) -> Refused:
        """Read an error answer; a proxy's HTML page counts as one without a code."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        answer = document if isinstance(document, dict) else {}
        code = answer.get("code")
        message = str(answer.get("message") or response.reason or "without a reason")
        for secret, shown in self._secrets.items():
            message = message.replace(secret, shown)
        return Refused(
            response.status,
            code if isinstance(code, int) else response.status,
            message[:300],
            retry_after_s=_seconds(response.headers.get("Retry-After")),
        )


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.strip().isdecimal() else None
