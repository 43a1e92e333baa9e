"""The journal of a turn over the store: its tool calls survive a crash of this process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from gateway.agents.journal import Recalled
from gateway.domain.conversation import ToolCall
from gateway.domain.turns import ClaimedTurn
from gateway.store.protocol import Store
from gateway.store.protocol.turns import StoredToolResult


class StoreJournal:
    """Remembers the tool calls of one claimed turn; reads those of earlier attempts once.

    A turn that waited for its caller goes on counting after the calls it had made before. The
    number of attempts does not tell whether there are any: one that was given back is not counted.
    """

    def __init__(self, store: Store, claimed: ClaimedTurn) -> None:
        self._store = store
        self._lease = claimed.lease
        self._turn = claimed.turn
        self._history = claimed.history
        self._earlier: Mapping[int, StoredToolResult] | None = None

    @cached_property
    def _first_step(self) -> int:
        return sum(
            message.role == "tool" and message.turn_id == self._turn.id for message in self._history
        )

    async def recall(self, step: int) -> Recalled | None:
        """The call an earlier attempt made at this step, or None."""
        if self._earlier is None:
            self._earlier = await self._store.tool_results(self._turn.project_id, self._turn.id)
        stored = self._earlier.get(self._first_step + step)
        if stored is None:
            return None
        return Recalled(stored.call.name, stored.call.arguments, stored.result, stored.is_ok)

    async def begin(self, step: int, call: ToolCall) -> str:
        """Write that a call is about to be made; returns its idempotency key."""
        number = self._first_step + step
        await self._store.begin_tool(self._lease, self._turn.id, step=number, call=call)
        return f"{self._turn.id}/{number}"

    async def end(self, step: int, *, result: str, is_ok: bool) -> None:
        """Write what came back."""
        await self._store.end_tool(
            self._lease, self._turn.id, step=self._first_step + step, result=result, is_ok=is_ok
        )
