"""Calls of Slack's Web API, over one pool of connections for all workspaces.

Takes method, arguments and the token of whoever calls; gives the answer's document. A call is one
try: it raises `SlackRefused` when Slack answered no, or `SlackSilence` when nobody knows. Neither
ever holds a token or a text. What a refusal means is in `failures.py`; why it is not the library's
own client, in `docs/decisions/0010-slack-calls.md`.
"""

import json
import re
from collections.abc import AsyncIterable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode
from urllib.request import getproxies

import aiohttp

from gateway.contract import Json
from gateway.contract.silence import may_be_taken

CONNECT_S: Final = 5.0
READ_S: Final = 20.0
"""A slow chat.postMessage may still have been taken: giving up early only makes doubts."""

UPLOAD_S: Final = 120.0
"""Between two steps of an upload: Slack answers when it has stored the file."""

_KEEP_ALIVE_S: Final = 30.0
_CONNECTIONS: Final = 100

_TAKE_JSON: Final = ("chat.", "assistant.", "views.", "reactions.", "files.complete")
"""Methods that write take a JSON body, those that read only a form.

docs.slack.dev, "Using the Slack Web API", POST bodies; read November 2026.
"""

_WORD: Final = re.compile(r"[\w.:,*-]{1,200}", re.ASCII)
_encode_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class SlackError(Exception):
    """A call did not do what it should."""


class SlackRefused(SlackError):
    """Slack answered, and the answer is no.

    `error` is Slack's word for it (`http_502` where there is none), `needed` the scope that a
    `missing_scope` asks for.
    """

    def __init__(
        self,
        error: str,
        *,
        status: int = 200,
        retry_after_s: float | None = None,
        needed: str | None = None,
    ) -> None:
        super().__init__(f"{error}, needs {needed}" if needed else error)
        self.error = error
        self.status = status
        self.retry_after_s = retry_after_s
        self.needed = needed


class SlackSilence(SlackError):
    """No answer that can be read; `was_written` False = Slack certainly never saw the call."""

    def __init__(self, message: str, *, was_written: bool) -> None:
        super().__init__(message)
        self.was_written = was_written


class SlackApi:
    """One pool of connections to Slack; a context manager."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url.rstrip("/") + "/"
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Looking for a proxy costs several times as much as a call: only where there is one.
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=bool(getproxies()),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    @property
    def http(self) -> aiohttp.ClientSession:
        """The connections themselves, for sockets and downloads; SlackSilence when closed."""
        if self._http is None:
            raise SlackSilence("not connected to Slack", was_written=False)
        return self._http

    async def call(self, method: str, params: Json | None = None, *, token: str | None) -> Json:
        """One call, once; arguments that are None are left out. Without a token none is sent."""
        body, content_type = _body(method, params or {})
        headers = {"Content-Type": content_type}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        status, retry_after, answer = await self._post(
            self._api_url + method, body, headers=headers, read_s=READ_S
        )
        return _document(answer, status=status, retry_after=retry_after)

    async def upload(self, url: str, content: AsyncIterable[bytes], *, size_bytes: int) -> None:
        """Bring the bytes of a file to the address that files.getUploadURLExternal gave."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size_bytes),
        }
        status, retry_after, _ = await self._post(url, content, headers=headers, read_s=UPLOAD_S)
        if not 200 <= status <= 299:
            raise _refusal({}, status=status, retry_after=retry_after)

    async def _post(
        self,
        url: str,
        body: bytes | AsyncIterable[bytes],
        *,
        headers: Mapping[str, str],
        read_s: float,
    ) -> tuple[int, str | None, bytes]:
        """Status, Retry-After and body of the answer to one POST."""
        try:
            async with self.http.post(
                url,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(connect=CONNECT_S, sock_read=read_s),
                allow_redirects=False,
            ) as response:
                return response.status, response.headers.get("Retry-After"), await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SlackSilence(
                f"no answer from Slack ({type(error).__name__})",
                was_written=may_be_taken(error),
            ) from None


def _body(method: str, params: Json) -> tuple[bytes, str]:
    given = {name: value for name, value in params.items() if value is not None}
    if method.startswith(_TAKE_JSON):
        return _encode_json(given).encode(errors="replace"), "application/json; charset=utf-8"
    form = {name: _form_value(value) for name, value in given.items()}
    return urlencode(form, errors="replace").encode(), "application/x-www-form-urlencoded"


def _form_value(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case _:
            return _encode_json(value)


def _document(answer: bytes, *, status: int, retry_after: str | None) -> Json:
    """The document of an answer that says yes; raises for every other."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        document = None
    known = document if isinstance(document, dict) else {}
    if not 200 <= status <= 299 or known.get("ok") is False:
        raise _refusal(known, status=status, retry_after=retry_after)
    if known.get("ok") is not True:
        raise SlackSilence("an answer that is not Slack's", was_written=True)
    return known


def _refusal(document: Json, *, status: int, retry_after: str | None) -> SlackRefused:
    """The refusal in an answer; only words of Slack's own kind are passed on."""
    return SlackRefused(
        _word(document.get("error")) or f"http_{status}",
        status=status,
        retry_after_s=float(retry_after) if retry_after and retry_after.isdecimal() else None,
        needed=_word(document.get("needed")),
    )


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None
