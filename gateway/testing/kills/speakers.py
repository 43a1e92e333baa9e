"""One who says one thing to a gateway that dies of it, and insists: on a platform or over REST.

What is insisted on is the way's own: a platform delivers again what was not acknowledged, and now
also what was; a caller repeats the call with its `Idempotency-Key` until there is an answer, and
then once more.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol
from uuid import uuid4

import aiohttp

from gateway.testing.kills.people import Platform
from gateway.testing.kills.witness import Sent, Spoken
from gateway.testing.scene import Caller
from gateway.testing.wire import JsonObject

PATIENCE_S: Final = 60.0
AGAIN_S: Final = 0.1
COPIES: Final = 2
RETRY_STATUSES: Final = frozenset({202, 409, 502, 503, 504})


class Speaker(Protocol):
    """One way to talk to a gateway; a `place` is a chat or a session, by number."""

    name: str

    def place(self, number: int) -> str:
        """What that place is called in what is said there."""
        ...

    async def say(self, number: int, said: Spoken) -> None:
        """Say it once; the gateway may die of it."""
        ...

    async def insist(self, number: int, said: Spoken) -> None:
        """Say it again as this way does; return when it is answered. Raises TimeoutError."""
        ...

    def sent(self) -> list[Sent]:
        """Everything that was seen of the gateway, in order."""
        ...

    def left_open(self) -> list[Sent]:
        """Messages that still grow."""
        ...

    def problems(self) -> list[str]:
        """What broke the rules."""
        ...


class OnPlatform:
    """A person on a platform."""

    def __init__(self, platform: Platform) -> None:
        self.name = platform.name
        self._platform = platform
        self._events: dict[str, JsonObject] = {}

    def place(self, number: int) -> str:
        """The platform's word."""
        return self._platform.place(number)

    async def say(self, number: int, said: Spoken) -> None:
        """An event; it comes again until it is acknowledged."""
        _, self._events[said.text] = self._platform.write(number, said.text)

    async def insist(self, number: int, said: Spoken) -> None:
        """The event comes twice more, and is answered."""
        self._platform.redeliver(self._events[said.text], COPIES)
        await self._platform.wait_for(number, said.answer, timeout_s=PATIENCE_S)
        await self._platform.wait_until_taken(timeout_s=PATIENCE_S)

    def sent(self) -> list[Sent]:
        """Everything that people see."""
        return self._platform.sent()

    def left_open(self) -> list[Sent]:
        """On the platform."""
        return self._platform.left_open()

    def problems(self) -> list[str]:
        """Of the platform."""
        return self._platform.problems()


class OverRest:
    """A caller with a key; each place is a participant of its own."""

    name = "rest"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._keys: dict[str, str] = {}
        self._answers: list[Sent] = []
        self._problems: list[str] = []
        self._sessions: dict[int, str] = {}

    def place(self, number: int) -> str:
        """`caller` and its number."""
        return f"caller {number}"

    async def say(self, number: int, said: Spoken) -> None:
        """One call, whatever becomes of it."""
        self._keys[said.text] = str(uuid4())
        await self._call(number, said)

    async def insist(self, number: int, said: Spoken) -> None:
        """Repeat the call until it is answered, and then once more: the answers are the same."""
        first = await self._answered(number, said)
        again = await self._answered(number, said)
        if again != first:
            self._problems.append(f"{said.text} was answered {first}, and then {again}")
        self._sessions[number] = str(first["session_id"])
        self._answers.append(Sent(said.place, str(first["output_text"]), 0.0, self.name))

    def sent(self) -> list[Sent]:
        """The answers."""
        return self._answers

    def left_open(self) -> list[Sent]:
        """None: nothing grows here."""
        return []

    def problems(self) -> list[str]:
        """Calls that were answered otherwise the second time."""
        return self._problems

    async def _answered(self, number: int, said: Spoken) -> JsonObject:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                document = await self._call(number, said)
                if document is not None:
                    return document
                await asyncio.sleep(AGAIN_S)

    async def _call(self, number: int, said: Spoken) -> JsonObject | None:
        """The turn, or None when there was no answer that ends the matter."""
        session = self._sessions.get(number)
        path = f"/v1/sessions/{session}/messages" if session else "/v1/chat"
        body: JsonObject = {"input": said.text}
        if session is None:
            body["participant"] = {"external_id": said.place}
        try:
            answer = await self._caller.call("POST", path, body, repeat_key=self._keys[said.text])
        except (aiohttp.ClientError, TimeoutError):
            return None
        if answer.status in RETRY_STATUSES:
            return None
        document: JsonObject = answer.expect(200).json
        return document
