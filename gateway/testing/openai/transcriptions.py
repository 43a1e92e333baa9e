"""The fake endpoint's ear: `POST /v1/audio/transcriptions`, strict about its form as the real one.

Answers are queued like those of the chat: a text, or a fault. Without one it repeats the bytes as
text. Source: OpenAI API reference, "Create transcription", and the error answers of the real
endpoint.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, assert_never

from aiohttp import web

from gateway.testing.loopback import hang_up, pause, stall
from gateway.testing.openai.answers import error_response
from gateway.testing.openai.replies import Garbage, HangUp, HttpError, Silence

TRANSCRIPTIONS_PATH: Final = "/v1/audio/transcriptions"
MAX_BYTES: Final = 25 * 1024 * 1024
ENDINGS: Final = ("flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm")
FIELDS: Final = frozenset(
    {"file", "model", "language", "prompt", "response_format", "temperature", "stream"}
)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A good answer; `delay_s` passes before it."""

    text: str
    delay_s: float = 0.0


Hearing: TypeAlias = Transcript | HttpError | Garbage | Silence | HangUp
"""Everything the endpoint can be told to do with one recording."""


@dataclass(frozen=True, slots=True)
class HeardCall:
    """One recording, as it arrived; `problems` are broken rules of the API."""

    model: str
    name: str
    mime: str
    data: bytes
    headers: Mapping[str, str]
    at: float
    problems: tuple[str, ...] = ()


class Ear:
    """Listens to recordings."""

    def __init__(self) -> None:
        self.calls: list[HeardCall] = []
        self._queue: deque[Hearing] = deque()

    def enqueue(self, *answers: Hearing | str) -> None:
        """Answer the next recordings with these, in order; a string is a transcript."""
        self._queue.extend(Transcript(a) if isinstance(a, str) else a for a in answers)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        call = await _heard(request)
        self.calls.append(call)
        if call.problems:
            return error_response(HttpError(400, call.problems[0]))
        hearing = (
            self._queue.popleft()
            if self._queue
            else Transcript(call.data.decode("utf-8", "replace"))
        )
        match hearing:
            case Transcript():
                await pause(hearing.delay_s)
                return web.json_response({"text": hearing.text})
            case HttpError():
                await pause(hearing.delay_s)
                return error_response(hearing)
            case Garbage():
                return web.Response(text=hearing.body, content_type="application/json")
            case Silence():
                await stall()
            case HangUp():
                return hang_up(request)
        assert_never(hearing)


async def _heard(request: web.BaseRequest) -> HeardCall:
    form = await request.post() if request.content_type == "multipart/form-data" else {}
    file, data, name, mime = form.get("file"), b"", "", ""
    if isinstance(file, web.FileField):
        name, mime = file.filename, file.content_type
        with file.file:
            data = file.file.read()
    return HeardCall(
        model=str(form.get("model", "")),
        name=name,
        mime=mime,
        data=data,
        headers={key.lower(): value for key, value in request.headers.items()},
        at=time.monotonic(),
        problems=tuple(_problems(set(form), name=name, model=form.get("model"), data=data)),
    )


def _problems(fields: set[str], *, name: str, model: object, data: bytes) -> Iterator[str]:
    for field in sorted(fields - FIELDS):
        yield f"Unrecognized request argument supplied: {field}"
    if not name:
        yield "file: a file is required"
    elif name.rpartition(".")[2] not in ENDINGS:
        yield f"Invalid file format. Supported formats: {list(ENDINGS)}"
    if not model:
        yield "model: you must provide a model parameter"
    if not data:
        yield "Audio file is too short. Minimum audio length is 0.1 seconds."
    if len(data) > MAX_BYTES:
        yield f"Maximum content size limit ({MAX_BYTES}) exceeded ({len(data)} bytes read)"
