"""Everybody who talks to the gateway of a kill run, as tasks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from gateway.testing.kills.callers import Caller, Looker, Reader
from gateway.testing.kills.notes import Mood, Notes
from gateway.testing.kills.people import Person, Platform
from gateway.testing.kills.witness import Violation

SETTLE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """How many of whom: programs over REST, people on each platform, and who only reads.

    Each rests up to `pause_s` between messages.
    """

    callers: int
    people: int
    readers: int = 2
    pause_s: float = 0.6


class Load:
    """The crowd at work; begins when it is made."""

    def __init__(
        self,
        crowd: Crowd,
        platforms: Sequence[Platform],
        *,
        client: aiohttp.ClientSession,
        url: str,
        seed: int,
    ) -> None:
        self.notes = Notes()
        self._platforms = platforms
        self._mood = Mood(
            dice=random.Random(seed + 1), pause_s=crowd.pause_s, enough=asyncio.Event()
        )
        looker = Looker(client, url, self.notes)
        talkers: list[Caller | Person | Reader] = [
            Caller(number, client=client, url=url, notes=self.notes, mood=self._mood)
            for number in range(1, crowd.callers + 1)
        ]
        talkers += [
            Person(number, platform=platform, notes=self.notes, mood=self._mood)
            for platform in platforms
            for number in range(1, crowd.people + 1)
        ]
        talkers += [Reader(looker, self._mood) for _ in range(crowd.readers)]
        self._talks = [asyncio.create_task(talker.talk()) for talker in talkers]

    async def end(self) -> list[Violation]:
        """Nobody begins anything more; what is under way comes to its end."""
        self._mood.enough.set()
        _, stuck = await asyncio.wait(self._talks, timeout=SETTLE_S)
        for talk in stuck:
            talk.cancel()
        found = [Violation("every call comes to its end", "load", f"{len(stuck)} did not")]
        found = found[: len(stuck)]
        for platform in self._platforms:
            try:
                await platform.wait_until_taken(timeout_s=SETTLE_S)
            except TimeoutError as error:
                found.append(Violation("every event is taken", platform.name, str(error)))
        for talk in self._talks:
            if not talk.cancelled():
                talk.result()
        return found

    def cancel(self) -> None:
        """Everybody stops at once, because the run broke off."""
        for talk in self._talks:
            talk.cancel()
