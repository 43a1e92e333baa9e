"""A turn at work in this process: how it is stopped, and what stopping leaves of it.

Thinking is a task of its own, so that it can be stopped while the worker goes on to commit what is
left. Only thinking is stopped: a turn that has its result is finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from gateway.agents.journal import TurnLost
from gateway.domain.turns import ClaimedTurn, TurnOutcome
from gateway.flow.attempt import Attempt
from gateway.store.protocol.turns import LeaseNews

Reason = Literal["cancelled", "lost", "given_back"]


@dataclass(slots=True, eq=False)
class Running:
    """A turn at work. `reason` says why it must stop; the first reason stands.

    `renewed_at` is when its lease was last asked for, at first by the claim, on the clock of the
    event loop.
    """

    claimed: ClaimedTurn
    renewed_at: float
    reason: Reason | None = None
    has_result: bool = False
    task: asyncio.Task[None] = field(init=False)
    _thinking: asyncio.Task[TurnOutcome] | None = None

    def stop(self, reason: Reason) -> None:
        """Stop thinking, or not begin it; too late once there is a result."""
        if self.reason is not None or self.has_result:
            return
        if self._thinking is None or self._thinking.cancel():
            self.reason = reason

    async def think(self, attempt: Attempt) -> TurnOutcome | None:
        """The outcome of the attempt; None when it was stopped, or lost, before it had one."""
        thinking = self._thinking = asyncio.create_task(attempt.run())
        try:
            await asyncio.wait((thinking,))
        finally:
            thinking.cancel()
        if not thinking.cancelled() and isinstance(thinking.exception(), TurnLost):
            self.reason = self.reason or "lost"
            return None
        return None if thinking.cancelled() else thinking.result()

    def is_ours(self, *, lease_s: float) -> bool:
        """Whether nobody else can have the session, as far as this process's own clock tells."""
        age_s = asyncio.get_running_loop().time() - self.renewed_at
        return self.reason != "lost" and age_s < lease_s

    def given_back(self) -> TurnOutcome:
        """The turn as it was. Where its events were kept it counts: their numbers must rise."""
        is_told = self._thinking is not None and self.claimed.turn.options.is_resumable
        return TurnOutcome(state="queued", counts_attempt=is_told)


def heed(news: LeaseNews, renewed: Iterable[Running], *, asked_at: float) -> None:
    """Stop turns whose lease is lost, and those somebody wants stopped; only what was renewed.

    A session may have been given back and claimed again meanwhile: that lease is another one.
    """
    for running in renewed:
        if running.claimed.session.id in news.lost:
            running.stop("lost")
            continue
        running.renewed_at = asked_at
        if running.claimed.turn.id in news.cancel_requested:
            running.stop("cancelled")
