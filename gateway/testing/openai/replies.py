"""What the fake model endpoint can be told to answer: a reply, or a fault.

Plain values, written down by a test before or while the code under test runs. How they look on the
wire is in `encoding.py`, how a fault is carried out in `answers.py`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call the model asks for.

    `arguments` is the JSON text as the model writes it (it may be broken on purpose) or a mapping.
    An empty `id` is replaced by one that is unique in the server.
    """

    name: str
    arguments: str | Mapping[str, object] = "{}"
    id: str = ""

    @property
    def arguments_json(self) -> str:
        """The arguments as they stand on the wire: always text."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer."""

    prompt_tokens: int = 10
    completion_tokens: int = 5


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer.

    `pieces` are the exact text deltas of a stream; without them the text is cut after each word.
    `delay_s` passes before the status line, `first_chunk_delay_s` between the headers and the first
    chunk, `between_s` before each further chunk; the last two matter to streams only.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    pieces: tuple[str, ...] = ()
    finish_reason: str = ""
    usage: Usage | None = field(default_factory=Usage)
    delay_s: float = 0.0
    first_chunk_delay_s: float = 0.0
    between_s: float = 0.0

    @property
    def whole_text(self) -> str:
        """The text, however it was given."""
        return self.text or "".join(self.pieces)

    @property
    def deltas(self) -> tuple[str, ...]:
        """The text in the pieces a stream shows; together they are the whole text.

        >>> Reply("It is  noon.").deltas
        ('It ', 'is  ', 'noon.')
        """
        return self.pieces or tuple(re.findall(r"\s*\S+\s*|\s+", self.text))

    @property
    def finish(self) -> str:
        """The finish reason on the wire."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")


@dataclass(frozen=True, slots=True)
class HttpError:
    """An error answer in the shape of the OpenAI API.

    `retry_after` goes out as it is given, so it may be seconds, a date or nonsense. A `body`
    replaces the JSON document (a proxy's HTML page).
    """

    status: int
    message: str = "The fake endpoint was told to fail."
    code: str | None = None
    retry_after: str | None = None
    body: str | None = None
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Garbage:
    """Status 200 and a body (or a stream's event) that is not JSON."""

    body: str = '{"choices": [{"message": <html>502'


@dataclass(frozen=True, slots=True)
class EmptyChoices:
    """A well-formed answer or stream whose `choices` are empty."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """A reply that breaks off after `after` chunks (half of the document when it is no stream).

    `how` = "cut": the connection is lost. "end": the answer ends in an orderly way, but a stream
    without finish_reason and `[DONE]`, a document in the middle.
    """

    reply: Reply
    after: int = 2
    how: Literal["cut", "end"] = "cut"


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """An error document in the middle of a stream, after `after` chunks of the reply.

    Without streaming: status 200 with an error document, as some proxies answer.
    """

    reply: Reply = field(default_factory=lambda: Reply("This is going well so far."))
    after: int = 2
    message: str = "The server had an error while processing your request."
    code: str | None = "server_error"


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing comes any more, and the connection stays open until the caller gives up.

    `after` = None: not even a status line. A number: the stream stops after so many chunks of the
    reply (0: headers only).
    """

    reply: Reply = field(default_factory=lambda: Reply("This is going well so far."))
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Drip:
    """The good answer, one byte at a time."""

    reply: Reply
    interval_s: float = 1.0


@dataclass(frozen=True, slots=True)
class HangUp:
    """The connection is closed without a byte of an answer."""


Answer: TypeAlias = (
    Reply | HttpError | Garbage | EmptyChoices | Truncated | ErrorEvent | Silence | Drip | HangUp
)
"""Everything the endpoint can be told to do with one call."""


def huge_reply(size_bytes: int = 10_000_000, *, piece_bytes: int = 65_536) -> Reply:
    """A reply whose text has that many bytes, streamed in pieces of `piece_bytes`."""
    whole, rest = divmod(size_bytes, piece_bytes)
    tail = ("x" * rest,) if rest else ()
    return Reply(pieces=("x" * piece_bytes,) * whole + tail)


def too_many_requests(retry_after_s: float | None = 1) -> HttpError:
    """429 as the OpenAI API gives it, with a Retry-After header unless it is None."""
    header = None if retry_after_s is None else f"{retry_after_s:g}"
    return HttpError(429, "Rate limit reached", code="rate_limit_exceeded", retry_after=header)


def wrong_key() -> HttpError:
    """401 as the OpenAI API gives it."""
    return HttpError(401, "Incorrect API key provided.", code="invalid_api_key")


def unknown_model(model: str = "nothing") -> HttpError:
    """404 as the OpenAI API gives it for a model it does not have."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return HttpError(404, message, code="model_not_found")
