"""What `run_turn` must have remembered: tool calls, so that a repeated turn does not repeat them.

Fulfilled by `flow.journal` over the store, and by `MemoryJournal` for calls whose caller owns
the history and for tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.domain.conversation import ToolCall


@dataclass(frozen=True, slots=True)
class Recalled:
    """A call of an earlier attempt; `result` None = it was begun, and nobody knows how it ended."""

    name: str
    arguments: str
    result: str | None
    is_ok: bool


class TurnLost(Exception):
    """The turn is not ours any more: whoever has it now makes its calls."""


class TurnJournal(Protocol):
    """The memory of one turn over its attempts. Steps count tool calls from 0."""

    async def recall(self, step: int) -> Recalled | None:
        """The call an earlier attempt made at this step, or None."""
        ...

    async def begin(self, step: int, call: ToolCall) -> str:
        """Remember that a call is about to be made; returns its idempotency key.

        May be called again for a step whose call was begun and never ended, with the same call.
        Raises TurnLost before anything with an effect is done for a turn that somebody else has.
        """
        ...

    async def end(self, step: int, *, result: str, is_ok: bool) -> None:
        """Remember what came back."""
        ...


class MemoryJournal:
    """A journal that forgets with its object."""

    def __init__(self, turn_id: str) -> None:
        self._turn_id = turn_id
        self._calls: dict[int, Recalled] = {}

    async def recall(self, step: int) -> Recalled | None:
        """The call at this step, or None."""
        return self._calls.get(step)

    async def begin(self, step: int, call: ToolCall) -> str:
        """Remember that a call is about to be made."""
        self._calls[step] = Recalled(call.name, call.arguments, None, False)
        return f"{self._turn_id}/{step}"

    async def end(self, step: int, *, result: str, is_ok: bool) -> None:
        """Remember what came back."""
        begun = self._calls[step]
        self._calls[step] = Recalled(begun.name, begun.arguments, result, is_ok)
