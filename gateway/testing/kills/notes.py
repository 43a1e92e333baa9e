"""What the people of a run said, what they were told and when, and how they write.

Everybody who talks writes into the same `Notes`; the witness and the history check read them.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

from gateway.testing.kills.history import Read
from gateway.testing.kills.witness import Spoken, Violation


@dataclass(slots=True)
class Notes:
    """What was said, and what struck people. `counts` are of messages and of repeats.

    `acknowledged` and `answered` say when a text was, on the monotonic clock, as far as it was
    seen; `answered` with the answer. `events` are the texts of a platform's events, by platform
    and the event's id. `reads` are transcripts that somebody read meanwhile, by session.
    """

    spoken: list[Spoken] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, float] = field(default_factory=dict)
    answered: dict[str, tuple[float, str]] = field(default_factory=dict)
    events: dict[tuple[str, str], str] = field(default_factory=dict)
    reads: list[tuple[str, Read]] = field(default_factory=list)

    def say(self, place: str, number: int) -> Spoken:
        """Something that is about to be said."""
        said = Spoken(place, number, monotonic())
        self.spoken.append(said)
        return said

    def note_acknowledged(self, text: str, at: float) -> None:
        """Somebody was told that it was taken."""
        self.acknowledged[text] = min(at, self.acknowledged.get(text, at))

    def note_answered(self, text: str, at: float, *, answer: str) -> None:
        """Somebody saw the answer."""
        if text not in self.answered or at < self.answered[text][0]:
            self.answered[text] = (at, answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """How people write: pauses between messages, and when they have had enough."""

    dice: random.Random
    pause_s: float
    enough: asyncio.Event

    async def rest(self) -> None:
        """A pause, cut short when it is enough."""
        try:
            async with asyncio.timeout(self.dice.uniform(0, self.pause_s)):
                await self.enough.wait()
        except TimeoutError:
            return
