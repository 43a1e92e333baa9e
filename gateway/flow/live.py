"""Who waits for a turn hears of it here: in-process publish and subscribe.

A shortcut only: what a turn left stands in the store, and whoever hears nothing here reads it
there. A `Broadcast` lives until its turn has ended in this process; nothing is kept afterwards.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from gateway.domain.ids import TurnId
from gateway.domain.turns import EVENTS_PER_ATTEMPT, TextDelta, Turn, TurnEvent

MAX_BUFFERED_EVENTS = 10_000
"""Events kept of a running turn; beyond it, text is held back and comes as one piece."""


@dataclass(frozen=True, slots=True)
class TurnBegan:
    """An attempt at the turn began; what an earlier attempt showed and did not complete is void."""

    attempt: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is committed, terminal or waiting; last event of a stream."""

    turn: Turn


LiveEvent = TurnEvent | TurnBegan | TurnEnded


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event and its number, rising within the turn and over its attempts."""

    number: int
    event: LiveEvent


class Broadcast:
    """The events of one turn, for any number of listeners, from the first one on."""

    __slots__ = (
        "__weakref__",
        "_ended",
        "_events",
        "_held",
        "_news",
        "_number",
        "turn_id",
        "wants_stream",
    )

    def __init__(self, turn_id: TurnId) -> None:
        self.turn_id = turn_id
        self.wants_stream = False
        self._events: list[NumberedEvent] = []
        self._held: list[TextDelta] = []
        self._number = 0
        self._news: list[asyncio.Future[bool]] = []
        self._ended: asyncio.Future[Turn | None] = asyncio.get_running_loop().create_future()

    @property
    def events(self) -> Sequence[NumberedEvent]:
        """What was published so far."""
        return self._events

    @property
    def is_over(self) -> bool:
        """Whether nothing more is heard here."""
        return self._ended.done()

    def begin(self, attempt: int) -> None:
        """Start numbering an attempt."""
        self._number = (attempt - 1) * EVENTS_PER_ATTEMPT
        self.publish(TurnBegan(attempt))

    def publish(self, event: LiveEvent) -> None:
        """Number an event and wake every listener."""
        if isinstance(event, TextDelta) and len(self._events) >= MAX_BUFFERED_EVENTS:
            self._held.append(event)
            return
        if self._held:
            text = "".join(held.text for held in self._held)
            self._append(TextDelta(self._held[0].message_id, text))
            self._held.clear()
        self._append(event)
        self._wake()

    def end(self, turn: Turn | None) -> None:
        """Tell everybody that it is over; None = read the store, this process does not know."""
        if self._ended.done():
            return
        if turn is not None:
            self.publish(TurnEnded(turn))
        self._ended.set_result(turn)
        self._wake()

    async def ended(self, *, timeout_s: float) -> Turn | None:
        """The turn as committed, or None when the time is over or it ended elsewhere."""
        if not self._ended.done():
            await asyncio.wait((self._ended,), timeout=timeout_s)
        return self._ended.result() if self._ended.done() else None

    async def stream(
        self, *, after: int, quiet_s: float | None = None
    ) -> AsyncGenerator[NumberedEvent, None]:
        """Events with a number above `after`: those so far, then as they come, until the end.

        With `quiet_s` it also stops when nothing came for so long; `is_over` tells which it was.
        """
        position = bisect_right(self._events, after, key=lambda numbered: numbered.number)
        while True:
            while position < len(self._events):
                yield self._events[position]
                position += 1
            if self._ended.done() or not await self._hears_more(quiet_s):
                return

    async def _hears_more(self, quiet_s: float | None) -> bool:
        """Wait for something new; False when it was quiet for too long."""
        loop = asyncio.get_running_loop()
        news: asyncio.Future[bool] = loop.create_future()
        self._news.append(news)
        timer = loop.call_later(quiet_s, _tell, news, False) if quiet_s is not None else None
        try:
            return await news
        finally:
            if timer is not None:
                timer.cancel()

    def _append(self, event: LiveEvent) -> None:
        self._number += 1
        self._events.append(NumberedEvent(self._number, event))

    def _wake(self) -> None:
        waiting, self._news = self._news, []
        for news in waiting:
            _tell(news, True)


def _tell(news: asyncio.Future[bool], is_news: bool) -> None:
    if not news.done():
        news.set_result(is_news)


class Live:
    """The broadcasts of the turns that run, or are about to run, in this process.

    Each lives as long as somebody holds it: whoever listens, and the attempt that publishes. A
    queued turn that nobody waits for, or that is removed, leaves nothing here.
    """

    def __init__(self) -> None:
        self._broadcasts: WeakValueDictionary[TurnId, Broadcast] = WeakValueDictionary()

    @property
    def waiting(self) -> int:
        """Of how many turns something may still be heard here."""
        return len(self._broadcasts)

    def open(self, turn_id: TurnId) -> Broadcast:
        """The broadcast of a turn, made if there is none; `end` belongs to it."""
        broadcast = self._broadcasts.get(turn_id)
        if broadcast is None:
            broadcast = self._broadcasts[turn_id] = Broadcast(turn_id)
        return broadcast

    def find(self, turn_id: TurnId) -> Broadcast | None:
        """The broadcast of a turn, if it is known here."""
        return self._broadcasts.get(turn_id)

    def end(self, turn_id: TurnId, turn: Turn | None) -> None:
        """Tell the listeners of a turn that it is over, and forget it."""
        broadcast = self._broadcasts.pop(turn_id, None)
        if broadcast is not None:
            broadcast.end(turn)

    def end_all(self, *, but: Callable[[TurnId], bool]) -> None:
        """Send listeners to the store: this process stops, `but` these turns are finished here."""
        for turn_id in list(self._broadcasts):
            if not but(turn_id):
                self.end(turn_id, None)
