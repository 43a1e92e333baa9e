"""Turns at work: claim (T2), open (T2b), heartbeat, finish (T3), cancel, tool calls, events.

Every write of a worker names its lease; a lease that no longer holds changes nothing (fencing).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.domain.conversation import ToolCall
from gateway.domain.delivery import Delivery
from gateway.domain.ids import DeliveryId, ProjectId, TurnId
from gateway.domain.turns import ClaimedTurn, Lease, Turn, TurnOutcome
from gateway.store.protocol.inbox import ClaimTerms


@dataclass(frozen=True, slots=True)
class Committed:
    """Whether the outcome was written (False = fenced), and the turn as it now stands.

    `turn.messages` are the turn's messages, the user's first, with their `seq`.
    `has_deliveries`: wake the outbox. `has_more`: the session has further queued turns.
    """

    is_committed: bool
    turn: Turn | None
    has_deliveries: bool = False
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class LeaseNews:
    """What a heartbeat learned: leases that no longer hold, turns somebody wants cancelled."""

    lost: frozenset[str]
    cancel_requested: frozenset[TurnId]


@dataclass(frozen=True, slots=True)
class StoredToolResult:
    """A tool call of an earlier attempt: `result` None = it was begun and never ended."""

    call: ToolCall
    result: str | None
    is_ok: bool


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One numbered event of a turn, as the JSON object its listeners get."""

    number: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OpenPart:
    """The place of a message that is shown while its turn runs.

    `is_new` False = an earlier attempt took it. `delivery.open_ref` None = nobody has stored where
    the platform shows it, if it does.
    """

    delivery: Delivery
    is_new: bool


class TurnStore(Protocol):
    """Turns, their tool calls and their events."""

    async def claim(self, terms: ClaimTerms) -> list[ClaimedTurn]:
        """Take sessions with queued turns, longest ready first, and the lowest turn of each (T2).

        Also takes over sessions whose lease expired. `attempts` and `crash_count` of a claimed
        turn rise in the same commit.
        """
        ...

    async def heartbeat(self, leases: Sequence[Lease], *, lease_s: float) -> LeaseNews:
        """Prolong leases."""
        ...

    async def release_abandoned(self, *, living: Sequence[str]) -> int:
        """Make sessions whose lease owner no longer lives ready at once; returns how many.

        So that a start after a crash does not wait for leases to expire. Crash counts stay.
        """
        ...

    async def commit_turn(self, lease: Lease, turn_id: TurnId, outcome: TurnOutcome) -> Committed:
        """Write what a turn leaves and give the session back to the tail (T3).

        Messages, turn state, usage, session changes and deliveries are one commit. An outcome
        of state `queued` keeps the turn for a later attempt and resets its crash count; its open
        part stays. Any other fills the open part with the first delivery, or without one with an
        empty part, which takes back what is shown, or may be; an open part of which it is certain
        that it was not opened ends as cancelled, without a delivery.
        """
        ...

    async def open_part(
        self, lease: Lease, turn_id: TurnId, *, delivery_id: DeliveryId
    ) -> OpenPart | None:
        """Take the place of a running turn's next part, before anything of it is shown (T2b).

        An open part that an earlier attempt left is given back as it is. None = show nothing: the
        lease does not hold, the address cannot be reached or is throttled, or something unsettled
        stands before it in its lane.
        """
        ...

    async def keep_open_ref(
        self, lease: Lease, delivery_id: DeliveryId, *, open_ref: str | None
    ) -> bool:
        """Store the platform's reference of an opened message; False = not ours any more.

        None = for certain nothing was opened. Until one of both is stored it is possible that the
        message stands on the platform.
        """
        ...

    async def begin_tool(self, lease: Lease, turn_id: TurnId, *, step: int, call: ToolCall) -> bool:
        """Write that a call is about to be made; (turn, step) is its idempotency key.

        False = nothing was written, as the lease does not hold: the call must not be made.
        """
        ...

    async def end_tool(
        self, lease: Lease, turn_id: TurnId, *, step: int, result: str, is_ok: bool
    ) -> None:
        """Write what came back."""
        ...

    async def tool_results(
        self, project_id: ProjectId, turn_id: TurnId
    ) -> Mapping[int, StoredToolResult]:
        """Tool calls of earlier attempts by step."""
        ...

    async def request_cancel(self, project_id: ProjectId, turn_id: TurnId) -> Turn | None:
        """Cancel a queued or waiting turn at once, ask a running one to stop; None = unknown."""
        ...

    async def resume_turn(
        self, project_id: ProjectId, turn_id: TurnId, *, results: Mapping[str, str]
    ) -> Turn | None:
        """Queue a waiting turn again with the caller's tool results; None = unknown.

        Raises Conflict (`already_completed`) when the turn is not waiting, Unprocessable when a
        call has no result.
        """
        ...

    async def expire_waiting(self, *, after_s: float) -> int:
        """Queue turns that have waited for so long; their calls have no result: declined."""
        ...

    async def turn(
        self, project_id: ProjectId, turn_id: TurnId, *, with_messages: bool = False
    ) -> Turn | None:
        """One turn, or None."""
        ...

    async def add_events(
        self, project_id: ProjectId, turn_id: TurnId, events: Sequence[StoredEvent]
    ) -> None:
        """Keep events of a running turn for readers elsewhere or later."""
        ...

    async def events(
        self, project_id: ProjectId, turn_id: TurnId, *, after: int
    ) -> list[StoredEvent]:
        """Kept events with a number above `after`, in order."""
        ...
