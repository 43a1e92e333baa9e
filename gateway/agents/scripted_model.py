"""A model without a model: plays `ScriptedRule`s, offline and always the same way.

For the demo, for tests and for fixed flows. What a rule means stands in `domain/scripted.py`.
Beyond that: a rule whose hand-off or tool is not on offer to the asking agent does not hold, nor
one that hands off to an agent who was handed the talk before in this turn; so rules cannot run in
circles.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.agents.model import ModelDone, ModelEvent, ModelRequest, ModelText
from gateway.domain.bots import HANDOFF_PREFIX, handoff_tool_name
from gateway.domain.conversation import ToolCall, Usage
from gateway.domain.scripted import ScriptedRule
from gateway.errors import ModelError

DEFAULT_REPLY = "I am a scripted model, and none of my rules fits that."
CHARS_PER_TOKEN = 4

_BREATH = 100
"""After so many words everybody else gets a turn on the event loop."""

_PLACEHOLDER = re.compile(r"\{(text|\d+|tool(?:\.[\w-]+)+)\}")
_WORD = re.compile(r"\s*\S+\s*")


class ScriptedModel:
    """Answers by the first rule that holds, word by word."""

    def __init__(self, rules: Sequence[ScriptedRule], *, name: str = "scripted") -> None:
        self._name = name
        self._rules = [
            (rule, re.compile(rule.text, re.IGNORECASE) if rule.text is not None else None)
            for rule in rules
        ]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Answer as events; raises ModelError where the rule says so."""
        asked = _read(request)
        rule, match = self._first(asked)
        if rule.delay_s:
            await asyncio.sleep(rule.delay_s)
        _fail_at_once(rule)
        words = _Words(asked, match, result=asked.results.get(rule.tool or "", asked.latest))
        reply = words.fill(rule.reply or "")
        for number, text in enumerate(_pieces(reply, wants_stream=request.wants_stream)):
            if number and (rule.chunk_delay_s or number % _BREATH == 0):
                await asyncio.sleep(rule.chunk_delay_s)
            yield ModelText(text)
        if rule.fail == "cut":
            raise ModelError("The scripted stream broke off.", transient=True)
        calls = _calls(rule, words)
        yield ModelDone(calls, _usage(request, reply), self._name)

    async def aclose(self) -> None:
        """Nothing to free."""

    def _first(self, asked: _Asked) -> tuple[ScriptedRule, re.Match[str] | None]:
        for rule, expression in self._rules:
            if not _holds(rule, asked):
                continue
            match = expression.search(asked.text) if expression is not None else None
            if expression is None or match is not None:
                return rule, match
        return ScriptedRule(reply=DEFAULT_REPLY), None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What rules look at.

    `fresh` are the tools whose results came last, `results` the last result of each tool of the
    turn, `latest` the newest of all. `targets` are the hand-offs already made in this turn.
    """

    agent: str
    text: str
    offered: frozenset[str]
    fresh: frozenset[str]
    results: Mapping[str, str]
    latest: str
    targets: frozenset[str]


def _read(request: ModelRequest) -> _Asked:
    messages = request.messages
    turn_at = next((i for i in reversed(range(len(messages))) if messages[i]["role"] == "user"), -1)
    names: dict[str, str] = {}
    results: dict[str, str] = {}
    fresh: set[str] = set()
    latest = ""
    for message in messages[turn_at + 1 :]:
        if message["role"] != "tool":
            calls = message.get("tool_calls") or ()
            names.update({call["id"]: call["function"]["name"] for call in calls})
            fresh.clear()
            continue
        name = names.get(message["tool_call_id"], "")
        if not name.startswith(HANDOFF_PREFIX):
            latest = results[name] = message["content"]
            fresh.add(name)
    return _Asked(
        agent=request.agent,
        text=_text(messages[turn_at]["content"]) if turn_at >= 0 else "",
        offered=frozenset(tool["function"]["name"] for tool in request.tools),
        fresh=frozenset(fresh),
        results=results,
        latest=latest,
        targets=frozenset(name for name in names.values() if name.startswith(HANDOFF_PREFIX)),
    )


def _holds(rule: ScriptedRule, asked: _Asked) -> bool:
    """Whether all conditions but the text hold."""
    if rule.agent is not None and rule.agent != asked.agent:
        return False
    if (rule.tool in asked.fresh) if rule.tool is not None else not asked.fresh:
        return _is_possible(rule, asked)
    return False


def _is_possible(rule: ScriptedRule, asked: _Asked) -> bool:
    if rule.call is not None:
        return rule.call in asked.offered
    if rule.handoff is None:
        return True
    tool = handoff_tool_name(rule.handoff)
    return tool in asked.offered and tool not in asked.targets


def _fail_at_once(rule: ScriptedRule) -> None:
    if rule.fail == "transient":
        raise ModelError("The scripted model is out of order for a moment.", transient=True)
    if rule.fail == "permanent":
        raise ModelError(
            "The scripted model refused the request.",
            transient=False,
            code="model_refused_request",
        )


def _pieces(reply: str, *, wants_stream: bool) -> list[str]:
    if wants_stream:
        return _WORD.findall(reply)
    return [reply] if reply else []


def _calls(rule: ScriptedRule, words: _Words) -> tuple[ToolCall, ...]:
    call_id = f"call_{os.urandom(9).hex()}"
    if rule.call is not None:
        arguments = json.dumps(words.fill_all(rule.arguments), ensure_ascii=False)
        return (ToolCall(call_id, rule.call, arguments),)
    if rule.handoff is not None:
        return (ToolCall(call_id, handoff_tool_name(rule.handoff), "{}"),)
    return ()


class _Words:
    """Fills placeholders; one that names nothing stays as it is."""

    def __init__(self, asked: _Asked, match: re.Match[str] | None, *, result: str) -> None:
        self._asked = asked
        self._match = match
        self._result = _json(result)

    def fill(self, template: str) -> str:
        return _PLACEHOLDER.sub(self._value, template)

    def fill_all(self, value: Any) -> Any:  # noqa: ANN401 - a JSON value of the configuration
        if isinstance(value, str):
            return self.fill(value)
        if isinstance(value, Mapping):
            return {key: self.fill_all(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill_all(item) for item in value]
        return value

    def _value(self, place: re.Match[str]) -> str:
        name = place[1]
        if name == "text":
            return self._asked.text
        if name.isdigit():
            return self._group(int(name), place[0])
        value = self._result
        for key in name.split(".")[1:]:
            if not isinstance(value, Mapping) or key not in value:
                return place[0]
            value = value[key]
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def _group(self, number: int, unknown: str) -> str:
        if self._match is None or number > (self._match.re.groups):
            return unknown
        return self._match[number] or ""


def _json(text: str) -> object:
    try:
        value: object = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
    return value


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(part.get("text", "") for part in content if part.get("type") == "text")


def _usage(request: ModelRequest, reply: str) -> Usage:
    chars = sum(len(_text(message.get("content"))) for message in request.messages)
    return Usage(chars // CHARS_PER_TOKEN, len(reply) // CHARS_PER_TOKEN)
