"""Deliveries on their way: send-begin (T4), send-end (T5), doubtful ones.

A lane is an address; within it parts go out strictly by `out_no`, one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.delivery import Delivery, DeliveryState
from gateway.domain.ids import DeliveryId, ProjectId
from gateway.errors import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """How one try ended.

    `state`: sent, pending (again in `again_in_s`), ambiguous, held, dead or expired. `blocked_s`
    keeps everything of `scope` (address or account) waiting. Both count from the moment this is
    written, on the store's clock: a time worked out before a jump of it would be wrong by the jump.
    `counts` False takes the attempt back (throttled). A `dead` with scope `address` marks the
    address unreachable and ends its other pending deliveries; with `opts_out` the person behind it
    has opted out. Any end other than sent ends later parts of the same turn as `earlier_part`.
    """

    delivery_id: DeliveryId
    state: DeliveryState
    provider_id: str | None = None
    error: str | None = None
    again_in_s: float = 0.0
    blocked_s: float = 0.0
    scope: Scope = "part"
    counts: bool = True
    opts_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries to list."""

    project_id: ProjectId | None = None
    session_id: str | None = None
    turn_id: str | None = None
    states: frozenset[DeliveryState] = frozenset()
    limit: int = 100


class OutboxStore(Protocol):
    """The outbox."""

    async def begin_sends(
        self, *, owner: str, limit: int, channels: Sequence[str]
    ) -> list[Delivery]:
        """Move due deliveries of these channels to `sending`, the first of each free lane (T4).

        A lane is free when nothing unsettled with a smaller `out_no` stands in it (answers to
        commands excepted) and neither its address nor its account is blocked.
        """
        ...

    async def end_sends(self, results: Sequence[SendResult], *, owner: str) -> list[Delivery]:
        """Write how tries ended (T5); returns the next due part of each lane, already `sending`.

        So that a reply of several parts does not wait for a poll.
        """
        ...

    async def doubt_abandoned(self, *, living: Sequence[str]) -> int:
        """Move `sending` rows whose owner no longer lives to `ambiguous`; returns how many."""
        ...

    async def ambiguous(self, *, limit: int, channels: Set[str] | None = None) -> list[Delivery]:
        """Doubtful deliveries due for reconciliation, oldest first; `channels` None = of all."""
        ...

    async def expire_stranded(self, *, connected: Set[str], after_s: float) -> int:
        """Give up what is that old and belongs to a channel that is not connected; how many.

        What waits expires, what is doubtful is held: nobody would ever look at it. A bounded number
        a call.
        """
        ...

    async def deliveries(self, which: DeliveryFilter) -> list[Delivery]:
        """Deliveries for people to look at, oldest first."""
        ...
