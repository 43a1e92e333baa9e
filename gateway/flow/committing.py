"""T3 from the worker's side: committed patiently while the store is away.

A result that cannot be stored as it is becomes a failed turn, of which the person is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter

import structlog

from gateway.domain.turns import ClaimedTurn, TurnError, TurnOutcome
from gateway.errors import RequestError, StoreError
from gateway.flow.crash_points import crash_point
from gateway.store.protocol import Store
from gateway.store.protocol.turns import Committed

log = structlog.get_logger(__name__)

NOT_STORABLE = TurnError("internal", "The answer could not be stored.")
LONGEST_PAUSE_S = 5.0


async def commit_patiently(
    store: Store,
    claimed: ClaimedTurn,
    outcome: TurnOutcome,
    *,
    patience_s: float,
    pause_s: float,
    sorry: Callable[[TurnOutcome], Awaitable[TurnOutcome]],
) -> Committed | None:
    """Commit what a turn leaves; None when the store stayed away for `patience_s`.

    `sorry` adds the apology to a turn that failed only here.
    """
    deadline = perf_counter() + patience_s
    while True:
        try:
            crash_point("before_t3")
            committed = await store.commit_turn(claimed.lease, claimed.turn.id, outcome)
            crash_point("after_t3")
            return committed
        except RequestError as error:
            log.exception("turn_not_storable", turn_id=claimed.turn.id, code=error.code)
            if outcome.error is NOT_STORABLE:
                raise
            outcome = await sorry(TurnOutcome(state="failed", error=NOT_STORABLE))
        except StoreError as error:
            log.warning("commit_failed", turn_id=claimed.turn.id, code=error.code)
            if perf_counter() + pause_s > deadline:
                return None
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
