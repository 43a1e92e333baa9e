"""A model behind an OpenAI-compatible endpoint, asked through the `openai` package.

The only file that imports `openai`. One call is one try: retries, fallbacks and the deadline are
`failover`'s. Takes the package's HTTP client with its aiohttp transport, its headers and its errors
and sends bytes made here: its typed calls walk every message and build an object for each piece
of text, and even its generic one costs as much again as the call itself (docs/decisions/0003).
What the endpoint says about an error never leaves this file: it may quote the key or the prompt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx2
import structlog
from openai import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    DefaultAioHttpClient,
    OpenAIError,
)
from pydantic_core import PydanticSerializationError, from_json, to_json

from gateway.agents.completions import (
    END_MARK,
    MAX_EVENT_BYTES,
    AnswerReader,
    EventLines,
    too_large,
)
from gateway.agents.model import ModelEvent, ModelRequest, ModelText
from gateway.domain.models import ModelSpec
from gateway.domain.policy import ModelPolicy
from gateway.errors import ModelError

log = structlog.get_logger(__name__)

DEFAULT_URL: Final = "https://api.openai.com/v1"
CHAT_PATH: Final = "/chat/completions"
MAX_CONNECTIONS: Final = 1000
KEEP_ALIVE_S: Final = 60
AFTER_END_S: Final = 0.05
TRANSIENT: Final = frozenset({408, 409, 425, 429})
REFUSED: Final = frozenset({400, 413, 422})
HEADERS: Final = ("Authorization", "Content-Type", "Accept", "User-Agent")
MAX_REFUSAL_BYTES: Final = 65_536
NO_KEY: Final = "none"
"""The client insists on a key; endpoints without one ignore it."""


class OpenAIModel:
    """Answers through one endpoint. Build it inside the running loop; `aclose` it."""

    def __init__(self, spec: ModelSpec, policy: ModelPolicy) -> None:
        self._spec = spec
        self._policy = policy
        base_url = spec.base_url or DEFAULT_URL
        self._url = httpx2.URL(base_url.rstrip("/") + CHAT_PATH)
        self._tells_usage = True
        self._limit_name = "max_tokens"
        self._must_stream = False
        limits = httpx2.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_S,
        )
        self._http = DefaultAioHttpClient(
            timeout=httpx2.Timeout(None, connect=policy.connect_s),
            limits=limits,
            follow_redirects=False,
        )
        self._client = AsyncOpenAI(
            base_url=base_url,
            api_key=spec.api_key.reveal() if spec.api_key else NO_KEY,
            max_retries=0,
            http_client=self._http,
        )
        told = {**self._client.default_headers, **self._client.auth_headers}
        own = {name: value for name in HEADERS if isinstance(value := told.get(name), str)}
        self._headers = httpx2.Headers({**own, "Host": self._url.netloc.decode("ascii")})
        self._timeouts = {"timeout": self._http.timeout.as_dict()}

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Answer as events; raises ModelError."""
        streams = request.wants_stream or self._must_stream
        body = self._body(request, streams=streams)
        async with self._asked(request, body, streams=streams) as (response, sent_bytes):
            reader = AnswerReader()
            if "json" in response.headers.get("content-type", ""):
                if text := reader.document(await self._whole(response, streams=streams)):
                    yield ModelText(text)
            else:
                async with aclosing(self._pieces(response, reader)) as pieces:
                    async for text in pieces:
                        yield ModelText(text)
            done = reader.done(model=self._spec.name, prompt_bytes=sent_bytes)
        yield done

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.close()

    # ------------------------------------------------------------ asking

    def _body(self, request: ModelRequest, *, streams: bool) -> dict[str, Any]:
        messages = request.messages
        if not self._spec.images:
            messages = [_without_images(message) for message in messages]
        body: dict[str, Any] = {
            **request.parameters,
            "model": self._spec.model,
            "messages": messages,
        }
        if request.tools:
            body["tools"] = request.tools
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.max_tokens is not None:
            body[self._limit_name] = request.max_tokens
        if streams:
            body["stream"] = True
            if self._tells_usage:
                body["stream_options"] = {"include_usage": True}
        return body

    @asynccontextmanager
    async def _asked(
        self, request: ModelRequest, body: dict[str, Any], *, streams: bool
    ) -> AsyncIterator[tuple[httpx2.Response, int]]:
        """The response, once its head is there; closed at the end."""
        try:
            sent = _json(body)
            try:
                response = await self._post(sent, request.request_id, streams=streams)
            except APIStatusError as error:
                if not self._has_adapted(error, body):
                    raise
                sent = _json(body)
                response = await self._post(sent, request.request_id, streams=streams)
            try:
                yield response, len(sent)
            finally:
                await response.aclose()
        except TimeoutError as error:
            raise ModelError("The model did not answer in time.", transient=True) from error
        except (OpenAIError, httpx2.HTTPError, OSError) as error:
            raise self._translated(error) from error

    async def _post(self, body: bytes, request_id: str | None, *, streams: bool) -> httpx2.Response:
        policy = self._policy
        limit_s = policy.first_byte_s + (0 if streams else policy.idle_s)
        headers = self._headers.copy()
        if request_id is not None:
            headers["X-Client-Request-Id"] = request_id
        try:
            async with asyncio.timeout(limit_s):
                # Not by `build_request`: merging addresses, headers and cookies costs a twentieth
                # of a turn, and there is nothing to merge.
                asked = httpx2.Request(
                    "POST", self._url, headers=headers, content=body, extensions=self._timeouts
                )
                response = await self._http.send(asked, stream=True)
                if not response.is_success:
                    raise await _refusal(response)
        except TimeoutError:
            # Perhaps it only takes long to write it all: the next try shows whether it writes.
            self._must_stream = self._must_stream or not streams
            raise
        return response

    def _has_adapted(self, error: APIStatusError, body: dict[str, Any]) -> bool:
        """Whether the endpoint refused a parameter that we can do without or name otherwise."""
        if error.status_code not in REFUSED:
            return False
        told = f"{error.message} {error.param}"
        if "stream_options" in body and "stream_options" in told:
            self._tells_usage = False
            del body["stream_options"]
            return True
        if "max_tokens" in body and "max_completion_tokens" in told:
            self._limit_name = "max_completion_tokens"
            body["max_completion_tokens"] = body.pop("max_tokens")
            return True
        return False

    # ------------------------------------------------------------ reading

    async def _pieces(
        self, response: httpx2.Response, reader: AnswerReader
    ) -> AsyncGenerator[str, None]:
        lines = EventLines()
        received = response.aiter_bytes()
        has_ended = False
        while not has_ended:
            piece = await self._next(received, reader)
            has_ended = not piece
            text: list[str] = []
            for data in lines.feed(piece) if piece else lines.close():
                if data == END_MARK:
                    has_ended = True
                    break
                text.append(reader.chunk(data))
            if joined := "".join(text):
                yield joined
        if not reader.is_finished:
            raise ModelError("The model's answer broke off.", transient=True)
        await _drained(received)

    async def _next(self, received: AsyncIterator[bytes], reader: AnswerReader) -> bytes:
        """More bytes; b"" at the end, also when only the usage is still missing."""
        try:
            async with asyncio.timeout(self._policy.idle_s):
                return await anext(received, b"")
        except (TimeoutError, httpx2.HTTPError, OSError):
            if reader.is_finished:
                return b""
            raise

    async def _whole(self, response: httpx2.Response, *, streams: bool) -> bytes:
        policy = self._policy
        whole = bytearray()
        async with asyncio.timeout(policy.first_byte_s + (0 if streams else policy.idle_s)):
            async for piece in response.aiter_bytes():
                whole += piece
                if len(whole) > MAX_EVENT_BYTES:
                    raise too_large()
        return bytes(whole)

    # ------------------------------------------------------------ errors

    def _translated(self, error: Exception) -> ModelError:
        match error:
            case APITimeoutError() | httpx2.TimeoutException():
                return ModelError("The model did not answer in time.", transient=True)
            case APIStatusError():
                return self._status_error(error)
            case APIConnectionError() | httpx2.HTTPError() | OSError():
                return ModelError("The connection to the model failed.", transient=True)
            case _:
                return ModelError("The model cannot be asked.", transient=False)

    def _status_error(self, error: APIStatusError) -> ModelError:
        status = error.status_code
        log.warning(
            "model_refused",
            model=self._spec.name,
            status=status,
            code=(error.code or "")[:64] or None,
            param=(error.param or "")[:64] or None,
        )
        is_out_of_quota = error.code == "insufficient_quota"
        return ModelError(
            f"The model's endpoint answered with status {status}.",
            transient=(status in TRANSIENT or status >= 500) and not is_out_of_quota,
            code="model_refused_request" if status in REFUSED else None,
            retry_after_s=_retry_after_s(error.response.headers),
            status=status,
        )


async def _refusal(response: httpx2.Response) -> APIStatusError:
    """The package's error for an answer that is none; the response is closed."""
    told = bytearray()
    try:
        async for piece in response.aiter_bytes():
            told += piece
            if len(told) > MAX_REFUSAL_BYTES:
                break
    finally:
        await response.aclose()
    try:
        document = from_json(bytes(told))
    except ValueError:
        document = None
    error = document.get("error", document) if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return APIStatusError(str(message), response=response, body=error)


async def _drained(received: AsyncIterator[bytes]) -> None:
    """Read the end of the body, so that the connection can be used again; at most a moment."""
    try:
        async with asyncio.timeout(AFTER_END_S):
            async for _ in received:
                pass
    except (TimeoutError, httpx2.HTTPError, OSError):
        return


def _json(body: Mapping[str, Any]) -> bytes:
    try:
        return to_json(body, fallback=dict)
    except PydanticSerializationError:
        # Half of a surrogate pair somewhere, which is no text.
        return to_json(_sound(body), fallback=dict)


def _sound(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {key: _sound(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sound(item) for item in value]
    return value


def _without_images(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    texts = [part["text"] if part["type"] == "text" else "[picture]" for part in content]
    return {**message, "content": "\n".join(texts)}


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds or a date (RFC 9110, 10.2.3); None for nonsense."""
    told = headers.get("retry-after")
    if told is None:
        return None
    if told.strip().isdigit():
        return float(told)
    try:
        return max(0.0, (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
