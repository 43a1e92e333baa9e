"""Chat Completions answers, read no further than needed: event streams and whole documents.

Bytes in, text and tool calls out. Pure; knows no client and no connection. Providers differ, so
whatever has another shape than expected is an unreadable answer (ModelError), never an exception of
another kind. Source: OpenAI API reference, "Chat" and "Streaming events", read 2026-11; event
streams: WHATWG HTML, 9.2.6.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json

from gateway.agents.model import ModelDone
from gateway.domain.conversation import ToolCall, Usage
from gateway.errors import ModelError

END_MARK: Final = b"[DONE]"
CUT_REASONS: Final = frozenset({"length", "content_filter"})
REFUSED_TYPES: Final = frozenset({"invalid_request_error", "invalid_prompt", "content_filter"})
CHARS_PER_TOKEN: Final = 4

MAX_TEXT_CHARS: Final = 4_194_304
MAX_EVENT_BYTES: Final = 8_388_608
MAX_ANSWER_BYTES: Final = 67_108_864
"""A stream spends some 200 bytes on each piece of text, so it may be far larger than its text."""


class EventLines:
    """Cuts an event stream into the data of its events; other fields and comments are dropped.

    An event of several data lines is given line by line, which JSON bears.
    """

    def __init__(self) -> None:
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._all_bytes = 0

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The data lines that are complete with these bytes.

        Raises ModelError when a line or the whole is too large.
        """
        *lines, rest = received.split(b"\n")
        self._all_bytes += len(received)
        if lines:
            lines[0] = b"".join([*self._open, lines[0]])
            self._open.clear()
            self._open_bytes = 0
        self._open.append(rest)
        self._open_bytes += len(rest)
        if self._open_bytes > MAX_EVENT_BYTES or self._all_bytes > MAX_ANSWER_BYTES:
            raise too_large()
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()

    def close(self) -> Iterator[bytes]:
        """The last line, if the stream ended without a line end."""
        return self.feed(b"\n")


@dataclass(slots=True)
class _Call:
    """A tool call as it comes in pieces."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class AnswerReader:
    """Collects one answer from its chunks, or from its one document."""

    def __init__(self) -> None:
        self.is_finished = False
        self._reason: str | None = None
        self._calls: dict[object, _Call] = {}
        self._last_key: object = None
        self._last_index: object = None
        self._usage: Usage | None = None
        self._chars = 0

    def chunk(self, data: bytes) -> str:
        """Take one chunk of a stream; returns its text.

        Raises ModelError when it cannot be read or is an error.
        """
        return self._take(data, part="delta")

    def document(self, data: bytes) -> str:
        """Take a whole answer; returns its text."""
        text = self._take(data, part="message")
        if not self.is_finished:
            raise unreadable()
        return text

    def done(self, *, model: str, prompt_bytes: int) -> ModelDone:
        """The end of the answer. Usage a provider does not tell is estimated."""
        calls = tuple(_finished(call) for call in self._calls.values() if call.name)
        if self._reason == "content_filter" and not self._chars and not calls:
            raise ModelError(
                "The model's provider refused to answer.",
                transient=False,
                code="model_refused_request",
            )
        usage = self._usage or Usage(
            prompt_bytes // CHARS_PER_TOKEN, self._chars // CHARS_PER_TOKEN
        )
        return ModelDone(calls, usage, model, was_cut=self._reason in CUT_REASONS)

    def _take(self, data: bytes, *, part: str) -> str:
        try:
            return self._read(from_json(data), part)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise unreadable() from error

    def _read(self, document: Any, part: str) -> str:  # noqa: ANN401 - a provider's JSON
        if error := document.get("error"):
            raise told_error(error)
        if usage := document.get("usage"):
            self._usage = Usage(
                int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
            )
        choices = document.get("choices")
        if not choices:
            return ""
        choice = choices[0]
        said = choice.get(part) or {}
        for piece in said.get("tool_calls") or ():
            self._add_call(piece)
        if reason := choice.get("finish_reason"):
            self._reason = reason
            self.is_finished = True
        text = _without_nul(_text(said.get("content") or said.get("refusal") or ""))
        self._count(len(text))
        return text

    def _count(self, chars: int) -> None:
        self._chars += chars
        if self._chars > MAX_TEXT_CHARS:
            raise too_large()

    def _add_call(self, piece: Any) -> None:  # noqa: ANN401 - a provider's JSON
        """Join by index; where that does not tell calls apart, a new id begins one."""
        index = piece.get("index")
        is_next = index is None or index == self._last_index
        key = self._last_key if is_next else index
        known = self._calls.get(key)
        call_id = piece.get("id") or ""
        if known is None or (call_id and known.id and call_id != known.id):
            key = index if index is not None and index not in self._calls else len(self._calls)
            key = (key, "again") if key in self._calls else key
            known = self._calls[key] = _Call()
        self._last_key, self._last_index = key, index
        function = piece.get("function") or {}
        known.id = known.id or _without_nul(str(call_id))
        known.name = known.name or _without_nul(str(function.get("name") or ""))
        arguments = function.get("arguments") or ""
        if not isinstance(arguments, str):
            arguments = json.dumps(dict(arguments))
        known.arguments.append(_without_nul(arguments))
        self._count(len(arguments))


def unreadable() -> ModelError:
    """The answer is no Chat Completions answer."""
    return ModelError("The model's answer cannot be read.", transient=True)


def too_large() -> ModelError:
    """The answer is larger than any that makes sense."""
    return ModelError("The model's answer is too large.", transient=False)


def told_error(error: Any) -> ModelError:  # noqa: ANN401 - a provider's JSON
    """An error document amid an answer, without its text: that may quote the request."""
    kind = error.get("type") if isinstance(error, dict) else None
    if kind in REFUSED_TYPES:
        return ModelError(
            "The model's provider refused the request.",
            transient=False,
            code="model_refused_request",
        )
    return ModelError("The model's provider reported an error.", transient=True)


def _text(content: Any) -> str:  # noqa: ANN401 - a provider's JSON
    """The text of a content, which some providers give in parts."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type") == "text")


def _without_nul(text: str) -> str:
    """A text that every store takes."""
    return text.replace("\0", "\ufffd")


def _finished(call: _Call) -> ToolCall:
    return ToolCall(call.id or f"call_{os.urandom(9).hex()}", call.name, "".join(call.arguments))
