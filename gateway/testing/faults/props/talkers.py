"""People who go on talking whatever happens: each repeats a message until it was taken.

A refusal is what the fault under test is about; any other answer breaks a promise. At the end
everything they said has to stand in history, once, in order and answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import aiohttp

from gateway.testing.kills.settled import read_transcripts
from gateway.testing.kills.witness import Evidence, Spoken, Violation, judge
from gateway.testing.scene import PATIENCE_S, Answered, Caller

PAUSE_S = 0.05
AGAIN_S = 0.1
TAKEN = (200, 202)
NOT_NOW = frozenset({409, 503})
"""Asked again: the first copy is at work, or the gateway cannot take anything."""
REFUSED = 503
APOLOGY = "Sorry, that did not work."


class Talkers:
    """Everybody who talks. `taken` and `refused` are the moments of either kind of answer."""

    def __init__(self, caller: Caller) -> None:
        self.taken: list[float] = []
        self.refused: list[float] = []
        self.violations: list[Violation] = []
        self._caller = caller
        self._spoken: list[Spoken] = []
        self._last: dict[str, str] = {}
        self._news = asyncio.Condition()
        self._enough = asyncio.Event()

    @property
    def said(self) -> int:
        """How many messages were taken."""
        return len(self.taken)

    async def wait_for_refusals(self, count: int, *, timeout_s: float) -> float | None:
        """Wait for so many more refusals; how long the first took, None = there were too few."""
        return await self._wait_for(self.refused, count, timeout_s)

    async def wait_for_answer(self, *, timeout_s: float) -> float | None:
        """Wait until one more message was taken; how long it took, None = none was."""
        return await self._wait_for(self.taken, 1, timeout_s)

    async def judge(self) -> Sequence[Violation]:
        """What history says to everything that was said."""
        caller = self._caller
        evidence = Evidence(
            spoken=self._spoken,
            transcripts=await read_transcripts(caller.client, caller.url),
            sent=(),
            kills=(),
            apology=APOLOGY,
        )
        return [*self.violations, *judge(evidence).violations]

    def join(self, other: Talkers) -> None:
        """Judge what others said together with this one's."""
        self._spoken += other._spoken
        self.taken += other.taken
        self.violations += other.violations

    async def talk(self, place: str, *, session: str) -> None:
        """One of them: message after message in a session, until there was enough."""
        number = 0
        while not self._enough.is_set():
            number += 1
            said = Spoken(place, number, monotonic())
            self._spoken.append(said)
            await self._say(said, f"/v1/sessions/{session}/messages")
            await asyncio.sleep(PAUSE_S)

    def end(self) -> None:
        """Nobody begins anything more; what was begun is brought to its end."""
        self._enough.set()

    def note_stuck(self, place: str) -> None:
        """Somebody's last message did not come to its end."""
        seen = f"for {PATIENCE_S:.0f} s, the last answer was {self._last.get(place)}"
        self.violations.append(Violation("every message is taken at last", place, seen))

    async def _say(self, said: Spoken, path: str) -> None:
        while True:
            answer = await self._try(said, path)
            self._last[said.place] = f"{answer.status}: {answer.text[:200]}" if answer else "none"
            if answer is not None and answer.status in TAKEN:
                await self._note(self.taken)
                return
            if answer is not None and answer.status == REFUSED:
                await self._note(self.refused)
            elif answer is not None and answer.status not in NOT_NOW:
                seen = f"{answer.status}: {answer.text[:200]}"
                self.violations.append(Violation("a refusal is 503", said.text, seen))
                return
            await asyncio.sleep(AGAIN_S)

    async def _try(self, said: Spoken, path: str) -> Answered | None:
        """The answer; None = nobody was there."""
        try:
            key = said.text.replace(" ", "-")
            return await self._caller.call("POST", path, {"input": said.text}, repeat_key=key)
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def _note(self, moments: list[float]) -> None:
        moments.append(monotonic())
        async with self._news:
            self._news.notify_all()

    async def _wait_for(
        self, moments: Sequence[float], count: int, timeout_s: float
    ) -> float | None:
        before, began = len(moments), monotonic()
        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(lambda: len(moments) >= before + count)
        except TimeoutError:
            return None
        return moments[before] - began


@asynccontextmanager
async def talking(caller: Caller, places: Sequence[str]) -> AsyncIterator[Talkers]:
    """People who talk while inside, and have ended their last messages when that is left."""
    people = Talkers(caller)
    talks: dict[asyncio.Task[None], str] = {}
    try:
        for place in places:
            made = (await caller.call("POST", "/v1/sessions", {})).expect(201).json
            talks[asyncio.create_task(people.talk(place, session=str(made["id"])))] = place
        yield people
        people.end()
        _, stuck = await asyncio.wait(talks, timeout=PATIENCE_S)
        for talk in stuck:
            people.note_stuck(talks[talk])
    finally:
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
