"""People who keep talking to a gateway that dies under them: over REST, and over a fake Telegram.

They behave as callers and platforms should: a request without an answer is repeated with its
`Idempotency-Key`, an update without a 200 is posted again. Some do more than they have to: updates
come several times, also at once. What was said is kept for the witness.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic
from typing import Final
from uuid import uuid4

import aiohttp

from gateway.testing.kills.witness import Spoken, Violation
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.wire import JsonObject

MESSAGES_A_TALK: Final = (4, 24)
REDELIVERED_SHARE: Final = 0.3
LATE_SHARE: Final = 0.3
LATE_COPIES: Final = 3
"""Of an update whose reply is there already, all at once."""
REPLY_WITHIN_S: Final = 10.0
"""How long a person on Telegram waits before writing on; a reply may be held for an operator."""
CALL_TIMEOUT_S: Final = 30.0
TRY_AGAIN_S: Final = (0.1, 0.3)
RETRY_STATUSES: Final = frozenset({409, 502, 503, 504})


@dataclass(slots=True)
class Notes:
    """What the people said, and what struck them. `counts` are of messages and of repeats."""

    spoken: list[Spoken] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def say(self, place: str, number: int) -> Spoken:
        """Something that is about to be said."""
        said = Spoken(place, number, monotonic())
        self.spoken.append(said)
        return said


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


class Caller:
    """A program that talks over REST, one talk after the other.

    Each message is sent until it is answered, plain, as a stream or in the background.
    """

    def __init__(
        self, number: int, *, client: aiohttp.ClientSession, url: str, notes: Notes, mood: Mood
    ) -> None:
        self._number = number
        self._client = client
        self._url = url
        self._notes = notes
        self._mood = mood

    async def talk(self) -> None:
        """Talk until it is enough."""
        talk = 0
        while not self._mood.enough.is_set():
            talk += 1
            await self._have_talk(f"caller {self._number} talk {talk}")

    async def _have_talk(self, place: str) -> None:
        session: str | None = None
        for number in range(1, self._mood.dice.randint(*MESSAGES_A_TALK)):
            said = self._notes.say(place, number)
            turn = await self._answered(said, session)
            if turn is None:
                return
            session = str(turn["session_id"])
            if turn["output_text"] != said.answer:
                seen = f"the call was answered {turn['output_text']!r}"
                self._notes.violations.append(
                    Violation("the caller gets the answer", said.text, seen)
                )
            await self._mood.rest()
            if self._mood.enough.is_set():
                return

    async def _answered(self, said: Spoken, session: str | None) -> JsonObject | None:
        """The turn, once it is over; None when it failed."""
        way = self._mood.dice.choice(("plain", "plain", "stream", "background"))
        body: JsonObject = {"input": said.text, way: True} if way != "plain" else {}
        body = {"input": said.text, **body}
        if session is None:
            body["participant"] = {"external_id": said.place}
        path = f"/v1/sessions/{session}/messages" if session else "/v1/chat"
        headers = {"Idempotency-Key": str(uuid4())}
        self._notes.counts["calls"] += 1
        while True:
            try:
                status, document = await self._call(path, body, headers)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                status, document = 0, {}
            if status == 200:
                return document
            if status and status not in RETRY_STATUSES:
                self._note_refusal(said, status, document)
                return None
            self._notes.counts["repeated calls"] += 1
            await asyncio.sleep(self._mood.dice.uniform(*TRY_AGAIN_S))

    async def _call(
        self, path: str, body: JsonObject, headers: dict[str, str]
    ) -> tuple[int, JsonObject]:
        async with self._client.post(self._url + path, json=body, headers=headers) as answer:
            if answer.content_type == "text/event-stream":
                return await _last_of(answer)
            document = await answer.json(content_type=None)
            place = answer.headers.get("Location", "")
            status = answer.status
        return await self._finished(place) if status == 202 else (status, document)

    async def _finished(self, place: str) -> tuple[int, JsonObject]:
        """The turn at that place when it is over; 503 as long as it is not."""
        async with self._client.get(f"{self._url}{place}?wait=10") as answer:
            turn = await answer.json()
            if answer.status != 200:
                return answer.status, turn
        if turn["status"] == "completed":
            return 200, turn
        return (503 if turn["status"] in ("queued", "in_progress") else 500), turn

    def _note_refusal(self, said: Spoken, status: int, document: JsonObject) -> None:
        """A turn that failed is judged in history; any other refusal breaks a promise."""
        if status == 500 and ("failed" in json.dumps(document)):
            self._notes.counts["failed turns"] += 1
            return
        seen = f"{status} {json.dumps(document)[:200]}"
        self._notes.violations.append(Violation("no call is refused", said.text, seen))


class Person:
    """Somebody on Telegram, who writes one to three messages and waits for the last reply.

    Moves to a fresh chat now and then, so that talks stay short.
    """

    def __init__(self, number: int, *, telegram: TelegramServer, notes: Notes, mood: Mood) -> None:
        self._number = number
        self._telegram = telegram
        self._notes = notes
        self._mood = mood

    async def talk(self) -> None:
        """Talk until it is enough."""
        visit = 0
        while not self._mood.enough.is_set():
            visit += 1
            await self._have_talk(self._number * 1_000_000 + visit)

    async def _have_talk(self, chat: int) -> None:
        number, last = 0, self._mood.dice.randint(*MESSAGES_A_TALK)
        while number < last and not self._mood.enough.is_set():
            for _ in range(self._mood.dice.randint(1, 3)):
                number += 1
                update = self._write(chat, number)
            is_answered = await self._is_answered(chat, f"chat {chat} says {number}")
            if is_answered and self._mood.dice.random() < LATE_SHARE:
                self._notes.counts["repeated updates"] += LATE_COPIES
                await self._telegram.post_to_webhook(update, LATE_COPIES)
            await self._mood.rest()

    def _write(self, chat: int, number: int) -> JsonObject:
        said = self._notes.say(f"chat {chat}", number)
        update = self._telegram.post_text(chat, chat, said.text)
        self._notes.counts["updates"] += 1
        if self._mood.dice.random() < REDELIVERED_SHARE:
            times = self._mood.dice.randint(1, 3)
            self._notes.counts["repeated updates"] += times
            self._telegram.redeliver(update, times)
        return update

    async def _is_answered(self, chat: int, text: str) -> bool:
        """Wait for the reply, patiently; False when it did not come."""

        def is_there() -> bool:
            return any(sent.text.endswith(text) for sent in self._telegram.sent(chat))

        try:
            await self._telegram.wait_until(is_there, timeout_s=REPLY_WITHIN_S)
        except TimeoutError:
            return False
        return True


async def _last_of(answer: aiohttp.ClientResponse) -> tuple[int, JsonObject]:
    """The turn that a stream ends with; raises ValueError when it breaks off."""
    async for line in answer.content:
        if not line.startswith(b"data: "):
            continue
        event = json.loads(line[6:])
        match event.get("type"):
            case "turn.completed":
                return 200, event["turn"]
            case "turn.failed" | "turn.cancelled" | "turn.incomplete":
                return 500, event
    raise ValueError("the stream broke off")
