"""Runs the tool calls of one turn, through its journal: what was done before is not done again.

Knows neither agents nor messages: a call in, a result for the model out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from gateway.agents.journal import Recalled, TurnJournal
from gateway.agents.tools.context import ToolContext, ToolResult
from gateway.agents.tools.table import ToolTable, no_such_tool, parse_arguments
from gateway.domain.conversation import ToolCall
from gateway.errors import ToolError

UNKNOWN_RESULT = (
    "This call was begun before and broke off; whether it had an effect is not known. "
    "It was not repeated."
)


class TurnCalls:
    """The tool calls of one run of a turn.

    Each call takes a step of the journal, from 0. A call that an earlier attempt made is found
    again by its name and arguments: its result is used. If it was begun and its end is not known,
    it is run again only where that does no harm.
    """

    def __init__(self, tools: ToolTable, journal: TurnJournal, *, context: ToolContext) -> None:
        self._tools = tools
        self._journal = journal
        self._context = context
        self._next_step = 0

    async def run(self, call: ToolCall, *, allowed: Collection[str]) -> ToolResult:
        """The result of one call; a tool that is not allowed does not exist."""
        problem = self._tools.problem(call) if call.name in allowed else no_such_tool(call)
        if problem is not None:
            return ToolResult(problem, is_ok=False)
        step, recalled = await self._find(call)
        if recalled is not None and recalled.result is not None:
            return ToolResult(recalled.result, is_ok=recalled.is_ok)
        key = await self._journal.begin(step, call)
        if recalled is not None and not self._may_repeat(call.name):
            result = ToolResult(UNKNOWN_RESULT, is_ok=False)
        else:
            context = replace(self._context, idempotency_key=key)
            result = await self._tools.run(call, context=context)
        await self._journal.end(step, result=result.text, is_ok=result.is_ok)
        return result

    async def _find(self, call: ToolCall) -> tuple[int, Recalled | None]:
        """The step of this call: where an earlier attempt made it, else the first unused one."""
        while True:
            step = self._next_step
            self._next_step += 1
            recalled = await self._journal.recall(step)
            if recalled is None or _is_same(recalled, call):
                return step, recalled

    def _may_repeat(self, name: str) -> bool:
        spec = self._tools.spec(name)
        return spec is not None and (spec.is_idempotent or spec.access == "read")


def _is_same(recalled: Recalled, call: ToolCall) -> bool:
    if recalled.name != call.name:
        return False
    if recalled.arguments == call.arguments:
        return True
    return _arguments(recalled.arguments) == _arguments(call.arguments)


def _arguments(text: str) -> Mapping[str, object] | None:
    try:
        return parse_arguments(text)
    except ToolError:
        return None
