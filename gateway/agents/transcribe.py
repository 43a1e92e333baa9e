"""Speech to text by an OpenAI-compatible endpoint, `POST /audio/transcriptions`.

One call is one try. The recording goes out piece by piece as it is read, in a form made here: the
package's own method wants it whole. Voice notes are rare, so each call has a connection of its own
and nothing is kept open. What the endpoint says about an error never leaves this file: it may quote
the key. Source: OpenAI API reference, "Create transcription", read 2026-11.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final
from uuid import uuid4

import httpx2
import structlog
from openai import AsyncOpenAI, DefaultAioHttpClient
from pydantic_core import from_json

from gateway.agents.transcriber import Recording
from gateway.domain.models import TranscriptionSpec
from gateway.domain.policy import ModelPolicy
from gateway.errors import GatewayError, ModelError

log = structlog.get_logger(__name__)

PATH: Final = "/audio/transcriptions"
WITHIN_S: Final = 60.0
"""For the whole call: writing the recording, listening, answering."""
MAX_ANSWER_BYTES: Final = 1_048_576
TRANSIENT: Final = frozenset({408, 409, 425, 429})
HEADERS: Final = ("Authorization", "Accept", "User-Agent")
NO_KEY: Final = "none"
"""The client insists on a key; endpoints without one ignore it."""
ENDINGS: Final = {
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/mp4": "m4a",
    "audio/flac": "flac",
    "audio/webm": "webm",
}
"""The endpoint goes by the ending of the file's name."""


class OpenAITranscriber:
    """Asks one endpoint."""

    def __init__(
        self, spec: TranscriptionSpec, policy: ModelPolicy, *, within_s: float = WITHIN_S
    ) -> None:
        self._spec = spec
        self._connect_s = policy.connect_s
        self._within_s = within_s
        self._url = httpx2.URL(spec.base_url.rstrip("/") + PATH)

    async def text(self, recording: Recording) -> str:
        """The words that were said; raises ModelError, and what reading the recording raises."""
        try:
            async with asyncio.timeout(self._within_s), aclosing(recording.data):
                return await self._ask(recording)
        except TimeoutError as error:
            raise ModelError("The transcription took too long.", transient=True) from error
        except GatewayError:
            raise
        except (httpx2.HTTPError, OSError) as error:
            sentence = "The connection to the transcription failed."
            raise ModelError(sentence, transient=True) from error

    async def _ask(self, recording: Recording) -> str:
        http = DefaultAioHttpClient(
            timeout=httpx2.Timeout(None, connect=self._connect_s), follow_redirects=False
        )
        key = self._spec.api_key.reveal() if self._spec.api_key else NO_KEY
        async with http, AsyncOpenAI(api_key=key, max_retries=0, http_client=http) as client:
            told = {**client.default_headers, **client.auth_headers}
            own = {name: value for name in HEADERS if isinstance(value := told.get(name), str)}
            form = _Form(self._spec.model, recording)
            request = httpx2.Request(
                "POST",
                self._url,
                headers={**own, **form.headers},
                content=form.body(),
                extensions={"timeout": http.timeout.as_dict()},
            )
            try:
                response = await http.send(request, stream=True)
            except (httpx2.HTTPError, OSError):
                if form.failure is not None:
                    raise form.failure from None
                raise
            try:
                return _text(await _answer(response))
            finally:
                await response.aclose()


class _Form:
    """The form that is sent (RFC 7578), without holding the recording."""

    def __init__(self, model: str, recording: Recording) -> None:
        boundary = uuid4().hex
        ending = ENDINGS.get(recording.mime, "bin")
        self.failure: GatewayError | None = None
        self._recording = recording
        self._before = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
            f"--{boundary}\r\n"
            'Content-Disposition: form-data; name="response_format"\r\n\r\njson\r\n'
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="voice.{ending}"\r\n'
            f"Content-Type: {recording.mime}\r\n\r\n"
        ).encode()
        self._after = f"\r\n--{boundary}--\r\n".encode()
        size_bytes = len(self._before) + recording.size_bytes + len(self._after)
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(size_bytes),
        }

    async def body(self) -> AsyncIterator[bytes]:
        """Its bytes; what keeps the recording from being read is kept in `failure` too."""
        yield self._before
        try:
            async for piece in self._recording.data:
                yield piece
        except GatewayError as error:
            self.failure = error
            raise
        yield self._after


async def _answer(response: httpx2.Response) -> bytes:
    status = response.status_code
    if not response.is_success:
        log.warning("transcription_refused", status=status)
        is_passing = status in TRANSIENT or status >= 500
        sentence = f"The transcription's endpoint answered with status {status}."
        raise ModelError(sentence, transient=is_passing, status=status)
    whole = bytearray()
    async for piece in response.aiter_bytes():
        whole += piece
        if len(whole) > MAX_ANSWER_BYTES:
            raise ModelError("The transcription's answer is too large.", transient=False)
    return bytes(whole)


def _text(answer: bytes) -> str:
    try:
        document = from_json(answer)
    except ValueError as error:
        sentence = "The transcription's answer cannot be read."
        raise ModelError(sentence, transient=True) from error
    text = document.get("text") if isinstance(document, dict) else None
    if not isinstance(text, str):
        raise ModelError("The transcription's answer has no text.", transient=True)
    return text.replace("\0", "").strip()
