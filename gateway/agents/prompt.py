"""The transcript as one agent's model is shown it: instructions, then the newest that fits.

Takes stored or foreign messages, gives plain JSON values in the Chat Completions form. Pure and
deterministic. Providers refuse a transcript in which a tool call has no result or a result no call,
and they cache equal beginnings, so:

- calls stand together with their results; an orphan result is dropped, a missing one says so;
- hand-offs are shown only in the turn they belong to;
- where several people write, each of their messages begins with its writer;
- internal text (drafts, what an internal agent reported in an earlier turn, the words of people
  who may not write) is left out;
- the instructions come first and change only with context and state; when the window is cut, its
  beginning moves in strides and not with every message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.agents.speakers import NOTE, speakers
from gateway.domain.bots import HANDOFF_PREFIX, Agent
from gateway.domain.conversation import (
    ContentPart,
    FilePart,
    ImagePart,
    Message,
    TextPart,
    ToolCall,
)

Prompt = list[dict[str, Any]]

CHARS_PER_TOKEN = 4
MESSAGE_TOKENS = 4
IMAGE_TOKENS = 800
STRIDE = 16
NO_RESULT = '{"error": "no result"}'

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def build_prompt(
    agent: Agent,
    transcript: Sequence[Message],
    *,
    window_tokens: int,
    context: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
) -> Prompt:
    """The messages of one model call, the agent's instructions first.

    `transcript` is oldest first. The current turn (from the person's last message on) is always
    kept whole; of what was before, the newest that fits `window_tokens`.
    """
    transcript = [m for m in transcript if m.role != "user" or m.visibility == "external"]
    labels = speakers(transcript)
    note = NOTE if labels else None
    system = _system_text(agent, transcript, note=note, context=context, state=state)
    window = _Window(window_tokens - len(system) // CHARS_PER_TOKEN, labels)
    for index in range(len(transcript) - 1, -1, -1):
        if not window.take(transcript[index]):
            break
    prompt = window.newest()
    prompt.append({"role": "system", "content": system})
    prompt.reverse()
    return prompt


def rewrite_prompt(agent: Agent, draft: str) -> Prompt:
    """The messages of a call that rewrites a draft: the instructions and the draft, no more."""
    return [
        {"role": "system", "content": agent.instructions},
        {"role": "user", "content": draft},
    ]


def is_handoff(name: str) -> bool:
    """Whether a tool of that name hands the talk to another agent."""
    return name.startswith(HANDOFF_PREFIX)


def _system_text(
    agent: Agent,
    transcript: Sequence[Message],
    *,
    note: str | None,
    context: Mapping[str, Any] | None,
    state: Mapping[str, Any] | None,
) -> str:
    notes = [] if note is None else [note]
    notes += [message.text for message in transcript if message.role == "system"]
    notes += [_json(value) for value in (context, state) if value]
    if not notes:
        return agent.instructions
    return "\n\n".join([agent.instructions, "# Context", *notes])


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


class _Start(NamedTuple):
    """A person's message at which the window could begin: its seq, its place, tokens from there."""

    seq: int
    place: int
    tokens: int


class _Window:
    """Collects messages newest first, as long as they fit."""

    def __init__(self, budget: int, labels: Mapping[str, str]) -> None:
        self._budget = budget
        self._labels = labels
        self._max_chars = max(budget, 1000) * CHARS_PER_TOKEN
        self._out: Prompt = []
        self._tokens = 0
        self._results: dict[str, str] = {}
        self._is_current = True
        self._is_cut = False
        self._starts: list[_Start] = []
        self._oldest_seq = 0
        self._calls: tuple[dict[str, Any], str | None] | None = None

    def take(self, message: Message) -> bool:
        """Take the next older message; False = the window is full."""
        role = message.role
        if role == "user":
            return self._take_user(message)
        if role == "tool":
            if message.tool_call_id:
                self._results[message.tool_call_id] = self._shortened(message.text)
            return True
        return role == "system" or self._take_assistant(message)

    def newest(self) -> Prompt:
        """What was taken, newest first, beginning at a good place if something was left out."""
        is_cut = self._is_cut or self._oldest_seq > 1
        starts = self._starts
        if not is_cut or not starts:
            return self._out
        stride_at = -(-self._oldest_seq // STRIDE) * STRIDE
        oldest = starts[-1]
        aligned = next((start for start in reversed(starts) if start.seq >= stride_at), oldest)
        if aligned.seq == 0 or aligned.tokens * 2 < self._tokens:
            aligned = oldest
        return self._out[: aligned.place]

    def _take_user(self, message: Message) -> bool:
        content = _content(message.content)
        label = self._labels.get(message.sender_id or "")
        if content is not None and label is not None:
            content = _said_by(label, content)
        if content is not None:
            tokens = _tokens(content)
            if not self._add({"role": "user", "content": content}, tokens, seq=message.seq):
                return False
            self._starts.append(_Start(message.seq, len(self._out), self._tokens))
        self._is_current = False
        return True

    def _take_assistant(self, message: Message) -> bool:
        if message.tool_calls:
            calls = self._shown_calls(message)
            if calls:
                return self._add_calls(message, calls)
        joined, self._calls = self._calls, None
        text = message.text
        if not text:
            return True
        if joined is not None and joined[1] == message.agent and not message.tool_calls:
            joined[0]["content"] = text
            self._tokens += len(text) // CHARS_PER_TOKEN
            return True
        if message.visibility == "internal":
            return True
        if message.role == "operator":
            text = f"(A person of the team wrote:) {text}"
        tokens = MESSAGE_TOKENS + len(text) // CHARS_PER_TOKEN
        return self._add({"role": "assistant", "content": text}, tokens, seq=message.seq)

    def _shown_calls(self, message: Message) -> list[ToolCall]:
        calls = {call.id: call for call in message.tool_calls}
        return [call for call in calls.values() if self._is_current or not is_handoff(call.name)]

    def _add_calls(self, message: Message, calls: list[ToolCall]) -> bool:
        results = [self._results.pop(call.id, NO_RESULT) for call in calls]
        text = message.text
        said = {
            "role": "assistant",
            "content": text or None,
            "tool_calls": [_call(call) for call in calls],
        }
        answers = [
            {"role": "tool", "tool_call_id": call.id, "content": result}
            for call, result in zip(calls, results, strict=True)
        ]
        chars = len(text) + sum(map(len, results)) + sum(len(call.arguments) for call in calls)
        tokens = MESSAGE_TOKENS * (1 + 2 * len(calls)) + chars // CHARS_PER_TOKEN
        is_added = self._add(said, tokens, seq=message.seq, answers=answers)
        self._calls = None if text else (said, message.agent)
        return is_added

    def _add(
        self, said: dict[str, Any], tokens: int, *, seq: int, answers: Prompt | None = None
    ) -> bool:
        if not self._is_current and self._tokens + tokens > self._budget:
            self._is_cut = True
            return False
        self._calls = None
        if answers:
            self._out.extend(reversed(answers))
        self._out.append(said)
        self._tokens += tokens
        self._oldest_seq = seq
        return True

    def _shortened(self, text: str) -> str:
        if len(text) <= self._max_chars:
            return text
        return f"{text[: self._max_chars]}\n[{len(text) - self._max_chars} more characters]"


def _call(call: ToolCall) -> dict[str, Any]:
    name = _NOT_IN_NAMES.sub("_", call.name)[:64] or "_"
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": name, "arguments": call.arguments or "{}"},
    }


def _content(parts: tuple[ContentPart, ...]) -> str | list[dict[str, Any]] | None:
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return parts[0].text
    if not parts:
        return None
    if any(isinstance(part, ImagePart) for part in parts):
        return [_part(part) for part in parts]
    return "\n".join(_part_text(part) for part in parts)


def _said_by(label: str, content: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """The same with its writer at the beginning."""
    if isinstance(content, str):
        return f"[{label}] {content}"
    return [{"type": "text", "text": f"[{label}]"}, *content]


def _part(part: ContentPart) -> dict[str, Any]:
    if isinstance(part, ImagePart):
        return {"type": "image_url", "image_url": {"url": part.url}}
    return {"type": "text", "text": _part_text(part)}


def _part_text(part: ContentPart) -> str:
    match part:
        case TextPart():
            return part.text
        case FilePart():
            return f"[file: {part.name or part.ref}]"
        case ImagePart():
            return "[picture]"


def _tokens(content: str | list[dict[str, Any]]) -> int:
    if isinstance(content, str):
        return MESSAGE_TOKENS + len(content) // CHARS_PER_TOKEN
    texts = [part["text"] for part in content if part["type"] == "text"]
    images = len(content) - len(texts)
    return MESSAGE_TOKENS + images * IMAGE_TOKENS + sum(map(len, texts)) // CHARS_PER_TOKEN
