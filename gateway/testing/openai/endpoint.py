"""A scriptable model endpoint that speaks the OpenAI chat completions API.

Takes a script: answers in a queue, a function of the call, or nothing (then it echoes). Gives an
address for `base_url`, a log of every call and what was wrong with it. It thinks nothing up and
keeps no state of a conversation; one server may serve many clients at once. Recordings that are to
be put into text are its `ear`'s.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from gateway.testing.loopback import Changes, Loopback
from gateway.testing.openai import encoding
from gateway.testing.openai.answers import AnswerWriter, ConstantAnswer, error_response
from gateway.testing.openai.encoding import Stamp
from gateway.testing.openai.replies import Answer, HttpError, Reply, wrong_key
from gateway.testing.openai.rules import request_problems
from gateway.testing.openai.transcriptions import TRANSCRIPTIONS_PATH, Ear
from gateway.testing.wire import JsonObject, JsonValue

CHAT_PATH: Final = "/v1/chat/completions"
MODELS_PATH: Final = "/v1/models"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One call of the chat endpoint, as it arrived.

    `at` is on the monotonic clock, header names are lower case. `problems` are broken rules of the
    API, empty for a good call.
    """

    number: int
    body: JsonObject
    headers: Mapping[str, str]
    at: float
    problems: tuple[str, ...] = ()

    @property
    def messages(self) -> list[JsonObject]:
        """The messages of the request, oldest first."""
        messages = self.body.get("messages")
        return messages if isinstance(messages, list) else []

    @property
    def last_text(self) -> str:
        """Text of the newest message of the user, "" when there is none."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return _text_of(message.get("content"))
        return ""

    @property
    def tool_names(self) -> tuple[str, ...]:
        """Names of the tools that were offered."""
        return tuple(tool["function"]["name"] for tool in self.body.get("tools") or ())

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.body.get("model", ""))

    @property
    def streams(self) -> bool:
        """The caller wants a stream."""
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        """The caller wants the usage chunk at the end of the stream."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and bool(options.get("include_usage"))


Script = Callable[[ModelCall], Answer | None]
"""Chooses an answer for a call; None leaves the call to the echo."""


class OpenAIServer:
    """The endpoint; an async context manager.

    `script` answers when the queue is empty. `api_key`: other keys get 401. `strict`: a call that
    breaks a rule of the API gets 400 as from the real one, else it is only recorded. `constant`:
    always this reply, from bytes made in advance, with nothing checked, scripted or logged but
    `count` - for benchmarks.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        port: int = 0,
        api_key: str | None = None,
        models: tuple[str, ...] = ("fake-model",),
        strict: bool = True,
        constant: Reply | None = None,
    ) -> None:
        self.script = script
        self.calls: list[ModelCall] = []
        self.count = 0
        self.active = 0
        self.peak_active = 0
        self.abandoned = 0
        self.ear = Ear()
        self._queue: deque[Answer] = deque()
        self._api_key = api_key
        self._models = models
        self._strict = strict
        self._started = int(time.time())
        self._constant = None
        if constant is not None:
            self._constant = ConstantAnswer(constant, stamp=self._stamp(0, models[0]))
        self._changes = Changes()
        self._door = Loopback(self._answer, port=port)

    @property
    def url(self) -> str:
        """Address of the server, without a path."""
        return self._door.url

    @property
    def base_url(self) -> str:
        """What a client takes as `base_url`: the address with `/v1`."""
        return f"{self._door.url}/v1"

    @property
    def problems(self) -> list[str]:
        """Every broken rule of every call so far; a test may demand that it is empty."""
        return [problem for call in self.calls for problem in call.problems]

    @property
    def unused(self) -> int:
        """How many queued answers nobody has asked for yet."""
        return len(self._queue)

    def enqueue(self, *answers: Answer | str) -> None:
        """Answer the next calls with these, in order; a string is a reply of that text."""
        self._queue.extend(Reply(a) if isinstance(a, str) else a for a in answers)
        self._changes.tell()

    async def wait_for_calls(self, count: int, *, timeout_s: float = 5.0) -> list[ModelCall]:
        """Wait until so many calls have arrived, answered or not, and give them."""
        await self._changes.until(
            lambda: len(self.calls) >= count,
            timeout_s=timeout_s,
            otherwise=lambda: f"{len(self.calls)} of {count} model calls arrived",
        )
        return self.calls

    async def wait_for_abandoned(self, count: int = 1, *, timeout_s: float = 5.0) -> None:
        """Wait until so many callers have hung up before their answer was complete."""
        await self._changes.until(
            lambda: self.abandoned >= count,
            timeout_s=timeout_s,
            otherwise=lambda: f"{self.abandoned} of {count} model calls were abandoned",
        )

    async def wait_until_idle(self, *, timeout_s: float = 5.0) -> None:
        """Wait until no call is being answered."""
        await self._changes.until(
            lambda: self.active == 0,
            timeout_s=timeout_s,
            otherwise=lambda: f"{self.active} model calls are still being answered",
        )

    async def __aenter__(self) -> Self:
        await self._door.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._door.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == TRANSCRIPTIONS_PATH and self._is_authorized(request):
            return await self._answer_recording(request)
        if request.path != CHAT_PATH:
            return self._other_path(request)
        if request.method != "POST":
            return error_response(HttpError(405, f"Not allowed to {request.method} on {CHAT_PATH}"))
        self.count += 1
        if self._constant is not None:
            return await self._constant.write(request)
        if not self._is_authorized(request):
            return error_response(wrong_key())
        self.active += 1
        self.peak_active = max(self.peak_active, self.active)
        try:
            return await self._answer_chat(request)
        except BaseException:
            self.abandoned += 1
            raise
        finally:
            self.active -= 1
            self._changes.tell()

    async def _answer_recording(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST":
            return error_response(HttpError(405, f"Not allowed to {request.method} here"))
        try:
            return await self.ear.answer(request)
        finally:
            self._changes.tell()

    async def _answer_chat(self, request: web.BaseRequest) -> web.StreamResponse:
        call = self._log(await request.read(), request)
        if call.problems and self._strict:
            return error_response(HttpError(400, call.problems[0]))
        writer = AnswerWriter(
            request,
            stamp=self._stamp(call.number, call.model),
            streams=call.streams,
            with_usage=call.wants_usage,
        )
        return await writer.write(self._choose(call))

    def _log(self, raw: bytes, request: web.BaseRequest) -> ModelCall:
        try:
            body: JsonValue = json.loads(raw)
        except ValueError:
            body = None
        call = ModelCall(
            number=len(self.calls) + 1,
            body=body if isinstance(body, dict) else {},
            headers={name.lower(): value for name, value in request.headers.items()},
            at=time.monotonic(),
            problems=request_problems(body),
        )
        self.calls.append(call)
        self._changes.tell()
        return call

    def _choose(self, call: ModelCall) -> Answer:
        if self._queue:
            return self._queue.popleft()
        scripted = self.script(call) if self.script is not None else None
        return scripted if scripted is not None else echo(call)

    def _other_path(self, request: web.BaseRequest) -> web.Response:
        if not self._is_authorized(request):
            return error_response(wrong_key())
        if request.method == "GET" and request.path == MODELS_PATH:
            body = encoding.model_list(self._models, created=self._started)
            return web.Response(body=body, content_type="application/json")
        return error_response(
            HttpError(404, f"Invalid URL ({request.method} {request.path})", code="unknown_url")
        )

    def _is_authorized(self, request: web.BaseRequest) -> bool:
        expected = f"Bearer {self._api_key}"
        return self._api_key is None or request.headers.get("Authorization") == expected

    def _stamp(self, number: int, model: str) -> Stamp:
        return Stamp(number=number, model=model or self._models[0], created=self._started)


def echo(call: ModelCall) -> Reply:
    """The answer of an endpoint without a script: what the user said last."""
    return Reply(f"echo: {call.last_text}")


def _text_of(content: JsonValue) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
