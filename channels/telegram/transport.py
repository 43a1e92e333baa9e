"""How calls of the Bot API travel: the Telegram library's HTTP interface, over aiohttp.

Fulfils `telegram.request.BaseRequest`, which the library offers for exactly this. Its own client
costs ten times as much a call and drops what we must know: the HTTP status of a refusal, and
whether a request that failed was ever written. What is sent often goes by `call` of plain values,
and files go piece by piece. Every call raises `Refused` when Telegram answered no, or `NoAnswer`
when nobody knows; neither ever holds the token, which is in every address.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus
from typing import Final
from urllib.request import getproxies

import aiohttp
from telegram.error import TelegramError
from telegram.request import BaseRequest, RequestData

from channels.telegram.uploads import Upload, form_of
from gateway.contract.silence import may_be_taken

CONNECT_S: Final = 5.0
READ_S: Final = 20.0
"""A slow sendMessage may still have been taken: giving up early only makes doubtful deliveries."""

UPLOAD_S: Final = 45.0
"""How long a file may travel; a file that was not sent whole was certainly not taken."""

_KEEP_ALIVE_S: Final = 30.0

_MAX_REFUSAL_BYTES: Final = 10_000
"""How much of an answer is read that should have been a file."""


class Refused(TelegramError):
    """Telegram answered, and the answer is no."""

    def __init__(
        self,
        status: int,
        description: str,
        *,
        retry_after_s: float | None = None,
        migrated_to: int | None = None,
    ) -> None:
        super().__init__(f"{status} {description}")
        self.status = status
        self.description = description
        self.retry_after_s = retry_after_s
        self.migrated_to = migrated_to

    def says(self, *words: str) -> bool:
        """Whether the description holds one of these lower-case words."""
        return any(word in self.description.lower() for word in words)


class NoAnswer(TelegramError):
    """No answer that can be read; `was_written` False = Telegram certainly never saw the call.

    `timed_out`: the call was written and its time limit for the answer passed.
    """

    def __init__(self, message: str, *, was_written: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.was_written = was_written
        self.timed_out = timed_out


class AiohttpRequest(BaseRequest):
    """One pool of connections to one Bot API server; `secret` is blotted out of every answer."""

    def __init__(self, *, connections: int, secret: str) -> None:
        self._connections = connections
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        """Seconds an answer may take unless a call says otherwise."""
        return READ_S

    async def initialize(self) -> None:
        """Be ready for calls; may be called twice."""
        if self._session is None:
            # Looking for a proxy costs several times as much as a call: only where there is one.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections, keepalive_timeout=_KEEP_ALIVE_S
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=bool(getproxies()),
            )

    async def shutdown(self) -> None:
        """Close every connection; may be called twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def do_request(  # noqa: PLR0917 - the library's interface
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = None,
        write_timeout: object = None,
        connect_timeout: object = None,
        pool_timeout: object = None,
    ) -> tuple[int, bytes]:
        """One call; returns the status, always of success, and the body."""
        read_s = float(read_timeout) if isinstance(read_timeout, int | float) else None
        body = json.dumps(request_data.parameters).encode() if request_data else None
        return await self._exchange(method, url, body=body, read_s=read_s)

    async def call(
        self, url: str, parameters: Mapping[str, object], *, upload: Upload | None = None
    ) -> object:
        """The result of one call with plain JSON values and at most one file."""
        if upload is None:
            body: bytes | aiohttp.MultipartWriter = json.dumps(parameters).encode()
        else:
            body = form_of(parameters, upload)
        _, answer = await self._exchange("POST", url, body=body, upload=upload)
        return self.parse_json_payload(answer)["result"]

    async def _exchange(
        self,
        method: str,
        url: str,
        *,
        body: bytes | aiohttp.MultipartWriter | None,
        read_s: float | None = None,
        upload: Upload | None = None,
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise NoAnswer("not connected to Telegram", was_written=False)
        # One turn of the loop: a kept connection that Telegram has closed is noticed before it is
        # used, when nothing of the call is lost yet.
        await asyncio.sleep(0)
        total_s = UPLOAD_S if upload is not None else None
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                headers={"Content-Type": "application/json"} if isinstance(body, bytes) else None,
                timeout=aiohttp.ClientTimeout(
                    total_s, connect=CONNECT_S, sock_read=read_s or READ_S
                ),
                allow_redirects=False,
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            is_partial = upload is not None and not upload.is_whole
            silence = _silence(error)
            silence.was_written = silence.was_written and not is_partial
            raise silence from None
        if not 200 <= response.status <= 299:
            text = answer.decode("utf-8", "replace").replace(self._secret, "[token]")
            raise _refusal(response, text)
        return response.status, answer

    async def pieces(self, url: str, *, within_s: float) -> AsyncGenerator[bytes, None]:
        """The body of a GET as it comes in; the whole of it may take `within_s`."""
        if self._session is None:
            raise NoAnswer("not connected to Telegram", was_written=False)
        limits = aiohttp.ClientTimeout(total=within_s, connect=CONNECT_S, sock_read=READ_S)
        try:
            async with self._session.get(url, timeout=limits, allow_redirects=False) as response:
                if response.status != HTTPStatus.OK:
                    answer = await response.content.read(_MAX_REFUSAL_BYTES)
                    raise _refusal(response, self._blotted(answer))
                async for piece in response.content.iter_any():
                    yield piece
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _silence(error) from None

    def _blotted(self, answer: bytes) -> str:
        return answer.decode("utf-8", "replace").replace(self._secret, "[token]")

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, object]:
        """The answer's document; the library would log a broken one, with all that is in it."""
        try:
            document = json.loads(payload)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict) or "result" not in document:
            raise NoAnswer("an answer that is not the Bot API's", was_written=True)
        return document


def _silence(error: Exception) -> NoAnswer:
    return NoAnswer(
        f"no answer from Telegram ({type(error).__name__})",
        was_written=may_be_taken(error),
        timed_out=isinstance(error, aiohttp.SocketTimeoutError),
    )


def _refusal(response: aiohttp.ClientResponse, body: str) -> Refused:
    """Read an error answer; a proxy's HTML page counts as one without a description."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    answer = document if isinstance(document, dict) else {}
    parameters = answer.get("parameters")
    details: Mapping[str, object] = parameters if isinstance(parameters, dict) else {}
    migrated_to = details.get("migrate_to_chat_id")
    return Refused(
        response.status,
        str(answer.get("description") or response.reason or "without a reason"),
        retry_after_s=_seconds(details.get("retry_after"), response.headers.get("Retry-After")),
        migrated_to=migrated_to if isinstance(migrated_to, int) else None,
    )


def _seconds(*values: object) -> float | None:
    """The first value that is a number of seconds."""
    for value in values:
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, str) and value.strip().isdecimal():
            return float(value)
    return None
