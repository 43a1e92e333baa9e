"""Dead letters: parts that were given up, events that nobody could read, and what operators decide.

Every decision is kept as an audit record of what it was about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from gateway.domain.delivery import Delivery
from gateway.domain.ids import DeliveryId, ProjectId

GivenUp = Literal["held", "dead", "expired"]
"""States of a delivery that only an operator ends."""


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """A part that was given up, since when, and the message it is of."""

    delivery: Delivery
    since: datetime
    message_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableEvent:
    """An event that could not be read, as the platform sent it.

    `account` is the platform's own; `event_id` is the platform's id. A dropped one is kept until
    retention removes it.
    """

    id: str
    project_id: ProjectId
    account: str
    event_id: str
    reason: str
    raw: bytes
    received_at: datetime
    is_dropped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What an operator once decided about something: an audit record."""

    action: str
    target: str
    detail: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """Which ones to list; no states = all of them, no channel = any.

    Oldest first is the order in which they are to be sent again.
    """

    states: frozenset[GivenUp] = frozenset()
    channel: str | None = None
    limit: int = 100
    oldest_first: bool = False


class DeadLetterStore(Protocol):
    """Dead letters, over all projects: for operators only."""

    async def dead_deliveries(self, which: DeadLetterFilter) -> list[DeadDelivery]:
        """Parts that were given up, the last one given up first unless asked otherwise."""
        ...

    async def unreadable_events(self, *, limit: int) -> list[UnreadableEvent]:
        """Events that could not be read and were not dropped, newest first."""
        ...

    async def dead_delivery(self, delivery_id: str) -> DeadDelivery | None:
        """A part in whatever state it is; None = unknown. `since` is when it was settled."""
        ...

    async def unreadable_event(self, event_id: str) -> UnreadableEvent | None:
        """An event by our id, also a dropped one; None = unknown."""
        ...

    async def cut_off(self, delivery_id: str) -> list[DeliveryId]:
        """The parts that ended only because this one did, and go with it when it is replayed."""
        ...

    async def replay(
        self, project_id: ProjectId, delivery_id: DeliveryId, *, to: Literal["pending", "cancelled"]
    ) -> Delivery | None:
        """Decide about a given-up part, as it stands now; None = no such row in such a state.

        A replayed part (`pending`) goes to the end of its lane, and the parts it had cut off go
        with it.
        """
        ...

    async def drop_event(self, event_id: str) -> bool:
        """Put an unreadable event aside; False = there is none, or it was dropped before."""
        ...

    async def decisions(self, targets: Sequence[str]) -> list[Decision]:
        """What was decided about these deliveries and events, oldest first."""
        ...
