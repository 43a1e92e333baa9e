"""Programs that keep talking over REST to a gateway that dies under them, and some that only read.

They behave as callers should: a request without an answer is repeated with its `Idempotency-Key`.
"""

from __future__ import annotations

import asyncio
import json
from time import monotonic
from typing import Final
from uuid import uuid4

import aiohttp

from gateway.testing.kills.history import Read
from gateway.testing.kills.notes import Mood, Notes
from gateway.testing.kills.settled import lines_of, read_transcript
from gateway.testing.kills.witness import Spoken, Violation
from gateway.testing.wire import JsonObject

MESSAGES_A_TALK: Final = (4, 24)
CALL_TIMEOUT_S: Final = 30.0
TRY_AGAIN_S: Final = (0.1, 0.3)
RETRY_STATUSES: Final = frozenset({409, 502, 503, 504})
READ_SHARE: Final = 0.2
"""How often a caller reads its own transcript after an answer."""
SESSIONS_LOOKED_AT: Final = 30
UNREACHABLE: Final = (aiohttp.ClientError, TimeoutError, ValueError)


class Looker:
    """Reads transcripts and notes what it saw; a gateway that is away is no news."""

    def __init__(self, client: aiohttp.ClientSession, url: str, notes: Notes) -> None:
        self._client = client
        self._url = url
        self._notes = notes

    async def look(self, session: str) -> None:
        """Read one session."""
        invoked = monotonic()
        try:
            transcript = await read_transcript(self._client, self._url, session)
        except UNREACHABLE:
            return
        read = Read(lines=lines_of(transcript), invoked=invoked, responded=monotonic())
        self._notes.reads.append((session, read))

    async def newest(self) -> list[str]:
        """Sessions that changed last."""
        address = f"{self._url}/v1/sessions?limit={SESSIONS_LOOKED_AT}"
        try:
            async with self._client.get(address) as answer:
                answer.raise_for_status()
                return [str(session["id"]) for session in (await answer.json())["data"]]
        except UNREACHABLE:
            return []


class Reader:
    """Somebody who only looks, now here, now there."""

    def __init__(self, looker: Looker, mood: Mood) -> None:
        self._looker = looker
        self._mood = mood

    async def talk(self) -> None:
        """Look until it is enough."""
        while not self._mood.enough.is_set():
            sessions = await self._looker.newest()
            for session in self._mood.dice.sample(sessions, min(3, len(sessions))):
                await self._looker.look(session)
            await self._mood.rest()


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
        self._looker = Looker(client, url, notes)

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
            self._note_answer(said, str(turn["output_text"]))
            if self._mood.dice.random() < READ_SHARE:
                await self._looker.look(session)
            await self._mood.rest()
            if self._mood.enough.is_set():
                return

    def _note_answer(self, said: Spoken, answer: str) -> None:
        self._notes.note_answered(said.text, monotonic(), answer=answer)
        if answer != said.answer:
            seen = f"the call was answered {answer!r}"
            self._notes.violations.append(Violation("the caller gets the answer", said.text, seen))

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
                status, document = await self._call(said, path, body, headers)
            except UNREACHABLE:
                status, document = 0, {}
            if status == 200:
                return document
            if status and status not in RETRY_STATUSES:
                self._note_refusal(said, status, document)
                return None
            self._notes.counts["repeated calls"] += 1
            await asyncio.sleep(self._mood.dice.uniform(*TRY_AGAIN_S))

    async def _call(
        self, said: Spoken, path: str, body: JsonObject, headers: dict[str, str]
    ) -> tuple[int, JsonObject]:
        async with self._client.post(self._url + path, json=body, headers=headers) as answer:
            if answer.content_type == "text/event-stream":
                return await _last_of(answer)
            document = await answer.json(content_type=None)
            place = answer.headers.get("Location", "")
            status = answer.status
        if status != 202:
            return status, document
        self._notes.note_acknowledged(said.text, monotonic())
        return await self._finished(place)

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
