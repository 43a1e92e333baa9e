"""The tools that can be run here: checks the arguments, keeps the limits, never raises.

Whatever goes wrong with a call becomes a sentence for the model, which may try otherwise. Knows
neither turns nor the journal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog

from gateway.agents.tools.context import ToolContext, ToolResult, ToolRunner
from gateway.domain.bots import ToolSpec
from gateway.domain.conversation import ToolCall
from gateway.errors import ToolError

log = structlog.get_logger(__name__)

ANY_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}
MAX_ARGUMENT_CHARS = 262_144

Check = Callable[[Mapping[str, Any]], None]
"""Checks the arguments of a call; raises ToolError."""


class ToolTable:
    """Tools by name, each with what runs it; a tool without a runner is run by the caller.

    Raises ConfigError when the parameters of a tool are no JSON Schema.
    """

    def __init__(self, tools: Iterable[tuple[ToolSpec, ToolRunner | None]] = ()) -> None:
        self._entries = {spec.name: _entry(spec, runner) for spec, runner in tools}

    def spec(self, name: str) -> ToolSpec | None:
        """The tool of that name, or None."""
        entry = self._entries.get(name)
        return entry.spec if entry else None

    def definition(self, name: str) -> Mapping[str, Any] | None:
        """The tool as a model is offered it, or None; the same object each time."""
        entry = self._entries.get(name)
        return entry.definition if entry else None

    def problem(self, call: ToolCall) -> str | None:
        """What is wrong with a call, as a sentence for the model; None = it may be run."""
        entry = self._entries.get(call.name)
        if entry is None or entry.runner is None:
            return no_such_tool(call)
        try:
            _check(call.arguments, entry.check)
        except ToolError as error:
            return error.message
        return None

    async def run(self, call: ToolCall, *, context: ToolContext) -> ToolResult:
        """Run a call within the limits of its tool."""
        entry = self._entries.get(call.name)
        if entry is None or entry.runner is None:
            return ToolResult(no_such_tool(call), is_ok=False)
        spec = entry.spec
        try:
            arguments = _check(call.arguments, entry.check)
            async with asyncio.timeout(spec.timeout_s):
                text = await entry.runner(arguments, context)
            return ToolResult(_bounded(text, spec.max_bytes))
        except TimeoutError:
            log.warning("tool_timed_out", tool=spec.name, timeout_s=spec.timeout_s)
            return ToolResult(f"The tool did not answer within {spec.timeout_s:g} s.", is_ok=False)
        except ToolError as error:
            log.warning("tool_failed", tool=spec.name, code=error.code)
            return ToolResult(error.message, is_ok=False)


def no_such_tool(call: ToolCall) -> str:
    """What a model is told that calls a tool it was not offered."""
    return f"There is no tool named {call.name[:64]}."


def tool_definition(spec: ToolSpec) -> dict[str, Any]:
    """A tool in the form of the Chat Completions API."""
    return {
        "type": "function",
        "function": {
            "name": spec.name,
            "description": spec.description,
            "parameters": dict(spec.parameters) or dict(ANY_ARGUMENTS),
        },
    }


@dataclass(frozen=True, slots=True)
class _Entry:
    spec: ToolSpec
    runner: ToolRunner | None
    definition: Mapping[str, Any]
    check: Check


def _entry(spec: ToolSpec, runner: ToolRunner | None) -> _Entry:
    # Here and not above: a configuration without tools does not pay for the library.
    from gateway.agents.tools.schema import ArgumentSchema  # noqa: PLC0415

    schema = ArgumentSchema(spec.name, dict(spec.parameters) or dict(ANY_ARGUMENTS))
    return _Entry(spec, runner, tool_definition(spec), schema.check)


def _check(text: str, check: Check) -> Mapping[str, Any]:
    """The arguments as the model wrote them, checked; raises ToolError."""
    arguments = parse_arguments(text)
    check(arguments)
    return arguments


def parse_arguments(text: str) -> Mapping[str, Any]:
    """A model's arguments as an object; no text at all stands for no arguments.

    Raises ToolError when it is not a JSON object.
    """
    if len(text) > MAX_ARGUMENT_CHARS:
        raise ToolError("The arguments are too long.", code="bad_arguments")
    try:
        arguments = json.loads(text, parse_constant=_refuse) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ToolError("The arguments are not valid JSON.", code="bad_arguments") from error
    if not isinstance(arguments, dict):
        raise ToolError("The arguments are not a JSON object.", code="bad_arguments")
    return arguments


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _bounded(text: str, max_bytes: int) -> str:
    """A result that can be stored and shown: no NUL, no half of a surrogate pair, not too large."""
    text = text.replace("\0", "\ufffd")
    if len(raw := text.encode("utf-8", "replace")) > max_bytes:
        raise ToolError(f"The result is larger than {max_bytes} bytes.", code="result_too_large")
    return raw.decode()
