"""DeadLetterService: what was given up on its way, in or out, and what an operator decides of it.

A dead letter is a part of a reply that was not sent (`held`, `dead`, `expired`), or an event of a
platform that could not be read (`unreadable`). Over all projects; prints nothing.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from gateway.contract import Address
from gateway.errors import Conflict, NotFound
from gateway.store.protocol import Store
from gateway.store.protocol.dead_letters import (
    DeadDelivery,
    DeadLetterFilter,
    Decision,
    GivenUp,
    UnreadableEvent,
)

__all__ = [
    "DeadDelivery",
    "DeadLetter",
    "DeadLetterService",
    "Decided",
    "Decision",
    "Detail",
    "LetterState",
    "UnreadableEvent",
    "Which",
]

Item = TypeVar("Item")
LetterState = Literal["held", "dead", "expired", "unreadable"]
EVENT_PREFIX = "evt_"
AT_ONCE = 200
"""Decisions that go to the store together, so that they share a commit."""
EVERYTHING = 1_000_000

WHY_HELD = "the person may have it already and would get it twice"
WHY_UNREADABLE = (
    "no channel of this version can read it; the platform will not send it again, so only its"
    " sender can"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which dead letters are meant; no state = all, no channel = any."""

    state: LetterState | None = None
    channel: str | None = None

    @property
    def has_events(self) -> bool:
        """Whether unreadable events are meant; they have an account and no channel."""
        return self.state in (None, "unreadable") and self.channel is None

    def deliveries(self, *, limit: int, oldest_first: bool = False) -> DeadLetterFilter | None:
        """The filter of parts; None = no parts are meant."""
        states: frozenset[GivenUp]
        match self.state:
            case "unreadable":
                return None
            case None:
                states = frozenset()
            case state:
                states = frozenset({state})
        return DeadLetterFilter(
            states=states, channel=self.channel, limit=limit, oldest_first=oldest_first
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A dead letter in a list: `place` is the chat, or the account and its event."""

    id: str
    kind: Literal["delivery", "event"]
    state: str
    channel: str
    place: str
    since: datetime
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """Everything about one dead letter; exactly one of `delivery` and `event` is set.

    `takes_along` are the later parts that go with it. `replay` says what sending it again would do.
    """

    letter: DeadLetter
    replay: str
    delivery: DeadDelivery | None = None
    event: UnreadableEvent | None = None
    takes_along: Sequence[str] = ()
    decisions: Sequence[Decision] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of one dead letter: `is_done` False = nothing was changed, `note` says why."""

    id: str
    is_done: bool
    outcome: Literal["replayed", "went along", "dropped", "left as it was"]
    note: str | None = None


class DeadLetterService:
    """An operator's decisions. `channels` are those of the configuration."""

    def __init__(self, store: Store, *, channels: Set[str]) -> None:
        self._store = store
        self._channels = channels

    async def letters(self, which: Which, *, limit: int) -> list[DeadLetter]:
        """Dead letters, the newest first."""
        deliveries = await self._deliveries(which.deliveries(limit=limit))
        events = await self._store.unreadable_events(limit=limit) if which.has_events else []
        both = ([_of_delivery(dead) for dead in deliveries], [_of_event(event) for event in events])
        newest_first = heapq.merge(*both, key=lambda letter: letter.since, reverse=True)
        return list(newest_first)[:limit]

    async def detail(self, identifier: str) -> Detail:
        """Everything about one; raises NotFound. A part may be in any state."""
        decisions = await self._store.decisions([identifier])
        if identifier.startswith(EVENT_PREFIX):
            event = await self._event(identifier)
            replay = f"not possible: {WHY_UNREADABLE}"
            return Detail(letter=_of_event(event), replay=replay, event=event, decisions=decisions)
        dead = await self._delivery(identifier)
        takes_along = await self._store.cut_off(identifier)
        return Detail(
            letter=_of_delivery(dead),
            replay=self._prospect(dead, len(takes_along)),
            delivery=dead,
            takes_along=takes_along,
            decisions=decisions,
        )

    async def replay(self, identifiers: Sequence[str]) -> list[Decided]:
        """Send these again, each at the end of its lane; NotFound before it does anything."""
        return await self._replay_in_order(await self._named(identifiers))

    async def replay_all(self, which: Which) -> list[Decided]:
        """Send all of these again, in the order in which they were made."""
        wanted = which.deliveries(limit=EVERYTHING, oldest_first=True)
        decided = await self._replay_in_order(await self._deliveries(wanted))
        if which.has_events:
            events = await self._store.unreadable_events(limit=EVERYTHING)
            decided += await self._replay_in_order(events)
        return decided

    async def drop(self, identifiers: Sequence[str]) -> list[Decided]:
        """Give these up for good; they stay in history. Raises NotFound before anything is done."""
        return await self._drop(await self._named(identifiers))

    async def drop_all(self, which: Which) -> list[Decided]:
        """Give all of these up for good."""
        wanted = which.deliveries(limit=EVERYTHING, oldest_first=True)
        letters: list[DeadDelivery | UnreadableEvent] = [*await self._deliveries(wanted)]
        if which.has_events:
            letters += await self._store.unreadable_events(limit=EVERYTHING)
        return await self._drop(letters)

    async def count(self, which: Which) -> int:
        """How many there are of these."""
        deliveries = await self._deliveries(which.deliveries(limit=EVERYTHING))
        events = await self._store.unreadable_events(limit=EVERYTHING) if which.has_events else []
        return len(deliveries) + len(events)

    async def count_named(self, identifiers: Sequence[str]) -> int:
        """How many are named, each counted once; raises NotFound and Conflict as `drop` does."""
        return len(await self._named(identifiers))

    async def _named(self, identifiers: Sequence[str]) -> list[DeadDelivery | UnreadableEvent]:
        return [await self._known(identifier) for identifier in dict.fromkeys(identifiers)]

    async def _replay_in_order(
        self, letters: Sequence[DeadDelivery | UnreadableEvent]
    ) -> list[Decided]:
        """Replay those of a chat one after the other, and many chats together."""
        lanes: defaultdict[Address | None, list[DeadDelivery | UnreadableEvent]] = defaultdict(list)
        for letter in letters:
            lane = None if isinstance(letter, UnreadableEvent) else letter.delivery.address
            lanes[lane].append(letter)
        decided: list[Decided] = []
        for together in batched(list(lanes.values()), AT_ONCE):
            for done in await asyncio.gather(*(self._replay_lane(lane) for lane in together)):
                decided += done
        return decided

    async def _replay_lane(
        self, letters: Sequence[DeadDelivery | UnreadableEvent]
    ) -> list[Decided]:
        """Replay one after the other: a part may take along others that follow in the list."""
        decided: list[Decided] = []
        went_along: set[str] = set()
        for letter in letters:
            if isinstance(letter, UnreadableEvent):
                decided.append(_left(letter.id, WHY_UNREADABLE))
            elif letter.delivery.id not in went_along:
                along = await self._store.cut_off(letter.delivery.id)
                went_along.update(along)
                decided += await self._replay(letter, along)
        return decided

    async def _replay(self, dead: DeadDelivery, along: Sequence[str]) -> list[Decided]:
        delivery = dead.delivery
        moved = await self._store.replay(delivery.project_id, delivery.id, to="pending")
        if moved is None:
            return [_left(delivery.id, _is_no_dead_letter(delivery.state))]
        note = self._warning(dead)
        done = Decided(id=delivery.id, is_done=True, outcome="replayed", note=note)
        with_it = f"with {delivery.id}"
        others = [
            Decided(id=each, is_done=True, outcome="went along", note=with_it) for each in along
        ]
        return [done, *others]

    async def _drop(self, letters: Sequence[DeadDelivery | UnreadableEvent]) -> list[Decided]:
        decided: list[Decided] = []
        for together in batched(letters, AT_ONCE):
            decided += await asyncio.gather(*(self._drop_one(letter) for letter in together))
        return decided

    async def _drop_one(self, letter: DeadDelivery | UnreadableEvent) -> Decided:
        if isinstance(letter, UnreadableEvent):
            identifier, state = letter.id, "dropped"
            is_done = await self._store.drop_event(identifier)
        else:
            delivery = letter.delivery
            identifier, state = delivery.id, delivery.state
            dropped = await self._store.replay(delivery.project_id, delivery.id, to="cancelled")
            is_done = dropped is not None
        if not is_done:
            return _left(identifier, _is_no_dead_letter(state))
        return Decided(id=identifier, is_done=True, outcome="dropped")

    async def _known(self, identifier: str) -> DeadDelivery | UnreadableEvent:
        """One that can be decided about; raises NotFound, and Conflict when it is none any more."""
        if identifier.startswith(EVENT_PREFIX):
            event = await self._event(identifier)
            if event.is_dropped:
                raise Conflict(f"{identifier} was dropped before.", code="no_dead_letter")
            return event
        dead = await self._delivery(identifier)
        if dead.delivery.state not in ("held", "dead", "expired"):
            note = _is_no_dead_letter(dead.delivery.state)
            raise Conflict(f"{identifier}: {note}.", code="no_dead_letter")
        return dead

    async def _deliveries(self, which: DeadLetterFilter | None) -> list[DeadDelivery]:
        return [] if which is None else await self._store.dead_deliveries(which)

    async def _delivery(self, identifier: str) -> DeadDelivery:
        dead = await self._store.dead_delivery(identifier)
        if dead is None:
            raise NotFound(f"There is no dead letter {identifier}.")
        return dead

    async def _event(self, identifier: str) -> UnreadableEvent:
        event = await self._store.unreadable_event(identifier)
        if event is None:
            raise NotFound(f"There is no dead letter {identifier}.")
        return event

    def _prospect(self, dead: DeadDelivery, others: int) -> str:
        """What a replay would do, in a sentence."""
        delivery = dead.delivery
        if delivery.state not in ("held", "dead", "expired"):
            return f"not possible: {_is_no_dead_letter(delivery.state)}"
        along = f" with {others} later part{'s' if others > 1 else ''} of its reply" * bool(others)
        begin = f"put it{along} at the end of what waits for {delivery.address.chat}"
        warning = self._warning(dead)
        return f"{begin}; {warning}" if warning else begin

    def _warning(self, dead: DeadDelivery) -> str | None:
        """What an operator should know before it goes out again."""
        delivery = dead.delivery
        if delivery.address.channel not in self._channels:
            return f"it waits until the configuration has a channel {delivery.address.channel}"
        if delivery.state == "held":
            return WHY_HELD
        if delivery.error == "earlier_part":
            return "an earlier part of this reply was not sent either"
        return None


def batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """The items in pieces of that size, the last one smaller.

    >>> list(batched([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    for begin in range(0, len(items), size):
        yield items[begin : begin + size]


def _of_delivery(dead: DeadDelivery) -> DeadLetter:
    delivery = dead.delivery
    address = delivery.address
    return DeadLetter(
        id=delivery.id,
        kind="delivery",
        state=delivery.state,
        channel=address.channel,
        place=f"{address.chat}, thread {address.thread}" if address.thread else address.chat,
        since=dead.since,
        reason=delivery.error,
    )


def _of_event(event: UnreadableEvent) -> DeadLetter:
    return DeadLetter(
        id=event.id,
        kind="event",
        state="dropped" if event.is_dropped else "unreadable",
        channel=event.account,
        place=event.event_id,
        since=event.received_at,
        reason=event.reason,
    )


def _left(identifier: str, note: str) -> Decided:
    return Decided(id=identifier, is_done=False, outcome="left as it was", note=note)


def _is_no_dead_letter(state: str) -> str:
    return f"it is {state}, there is nothing to decide"
