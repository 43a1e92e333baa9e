"""The journal of a turn over the store: its tool calls survive a crash of this process.

A store that is away is waited for: a call that was made must not be made again because nobody
could write down that it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property, partial
from typing import TypeVar

import structlog

from gateway.agents.journal import Recalled, TurnLost
from gateway.domain.conversation import ToolCall
from gateway.domain.policy import POLL_S
from gateway.domain.turns import ClaimedTurn
from gateway.errors import StoreError
from gateway.store.protocol import Store
from gateway.store.protocol.turns import StoredToolResult

log = structlog.get_logger(__name__)

STORE_PATIENCE_S = 60.0
LONGEST_PAUSE_S = 5.0

Result = TypeVar("Result")


class StoreJournal:
    """Remembers the tool calls of one claimed turn; reads those of earlier attempts once.

    A turn that waited for its caller goes on counting after the calls it had made before. The
    number of attempts does not tell whether there are any: one that was given back is not counted.
    """

    def __init__(
        self, store: Store, claimed: ClaimedTurn, *, patience_s: float = STORE_PATIENCE_S
    ) -> None:
        self._store = store
        self._lease = claimed.lease
        self._turn = claimed.turn
        self._history = claimed.history
        self._patience_s = patience_s
        self._earlier: Mapping[int, StoredToolResult] | None = None

    @cached_property
    def _first_step(self) -> int:
        return sum(
            message.role == "tool" and message.turn_id == self._turn.id for message in self._history
        )

    async def recall(self, step: int) -> Recalled | None:
        """The call an earlier attempt made at this step, or None."""
        if self._earlier is None:
            key = (self._turn.project_id, self._turn.id)
            self._earlier = await self._patiently(partial(self._store.tool_results, *key))
        stored = self._earlier.get(self._first_step + step)
        if stored is None:
            return None
        return Recalled(stored.call.name, stored.call.arguments, stored.result, stored.is_ok)

    async def begin(self, step: int, call: ToolCall) -> str:
        """Write that a call is about to be made; its idempotency key. Raises TurnLost."""
        number = self._first_step + step
        begin = partial(self._store.begin_tool, self._lease, self._turn.id, step=number, call=call)
        if not await self._patiently(begin):
            raise TurnLost
        return f"{self._turn.id}/{number}"

    async def end(self, step: int, *, result: str, is_ok: bool) -> None:
        """Write what came back."""
        number = self._first_step + step
        end = partial(self._store.end_tool, self._lease, self._turn.id, step=number)
        await self._patiently(partial(end, result=result, is_ok=is_ok))

    async def _patiently(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """What the store says, as soon as it says something; raises StoreError if it stays away."""
        loop = asyncio.get_running_loop()
        deadline, pause_s = loop.time() + self._patience_s, POLL_S
        while True:
            try:
                return await work()
            except StoreError as error:
                log.warning("journal_failed", turn_id=self._turn.id, code=error.code)
                if loop.time() + pause_s > deadline:
                    raise
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
