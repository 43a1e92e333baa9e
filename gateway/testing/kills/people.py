"""People on platforms, who keep writing to a gateway that dies under them.

The platform does as platforms do: an event without a 200 is posted again. It does more than it has
to: events come several times, also at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from gateway.testing.kills.callers import MESSAGES_A_TALK
from gateway.testing.kills.notes import Mood, Notes
from gateway.testing.kills.witness import Sent, Spoken, answer_to
from gateway.testing.plain.server import PlainServer
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.wire import JsonObject

REDELIVERED_SHARE: Final = 0.3
LATE_SHARE: Final = 0.3
LATE_COPIES: Final = 3
"""Of an event whose reply is there already, all at once."""
REPLY_WITHIN_S: Final = 10.0
"""How long a person waits before writing on; a reply may be held, or be looked for."""


class Platform(Protocol):
    """What people need of a platform, and what the witness asks it. `name` is its kind."""

    name: str
    can_ask: bool

    def place(self, chat: int) -> str:
        """What a chat is called in what is said there."""
        ...

    def write(self, chat: int, text: str) -> tuple[str, JsonObject]:
        """Somebody writes: the event's id, and the event."""
        ...

    def redeliver(self, event: JsonObject, times: int) -> None:
        """The event comes again, behind those of its chat."""
        ...

    async def repeat_at_once(self, event: JsonObject, times: int) -> None:
        """The event comes several times at the same moment."""
        ...

    async def wait_for(self, chat: int, text: str, *, timeout_s: float) -> None:
        """Return when the text stands in that chat; raises TimeoutError."""
        ...

    async def wait_until_taken(self, *, timeout_s: float) -> None:
        """Return when every event was acknowledged; raises TimeoutError."""
        ...

    def sent(self) -> list[Sent]:
        """Everything that people see."""
        ...

    def acknowledged(self) -> dict[str, float]:
        """When each event was, by its id."""
        ...

    def left_open(self) -> list[Sent]:
        """Messages that still grow."""
        ...

    def problems(self) -> list[str]:
        """Every call that broke the platform's rules."""
        ...


class OnTelegram:
    """A fake Telegram; what it was sent nobody can ask."""

    name = "telegram"
    can_ask = False

    def __init__(self, server: TelegramServer) -> None:
        self._server = server

    def place(self, chat: int) -> str:
        """`chat` and its number."""
        return f"chat {chat}"

    def write(self, chat: int, text: str) -> tuple[str, JsonObject]:
        """An update."""
        update = self._server.post_text(chat, chat, text)
        return str(update["update_id"]), update

    def redeliver(self, event: JsonObject, times: int) -> None:
        """The update again."""
        self._server.redeliver(event, times)

    async def repeat_at_once(self, event: JsonObject, times: int) -> None:
        """The update, several times."""
        await self._server.post_to_webhook(event, times)

    async def wait_for(self, chat: int, text: str, *, timeout_s: float) -> None:
        """Return when a message of that chat ends so."""

        def is_there() -> bool:
            return any(sent.text.endswith(text) for sent in self._server.sent(chat))

        await self._server.wait_until(is_there, timeout_s=timeout_s)

    async def wait_until_taken(self, *, timeout_s: float) -> None:
        """Return when no update is pending."""
        await self._server.wait_until_confirmed(timeout_s=timeout_s)

    def sent(self) -> list[Sent]:
        """Every message."""
        return [
            Sent(self.place(sent.chat), sent.text, sent.at, self.name)
            for sent in self._server.sent()
        ]

    def acknowledged(self) -> dict[str, float]:
        """The end of the first attempt that got a 200."""
        return {
            str(attempt.update_id): attempt.at + attempt.seconds
            for attempt in reversed(self._server.attempts)
            if attempt.is_success
        }

    def left_open(self) -> list[Sent]:
        """None: nothing grows here."""
        return []

    def problems(self) -> list[str]:
        """Calls that broke a rule."""
        return self._server.problems


class OnPlain:
    """A platform that can be asked, with messages that grow."""

    name = "plain"
    can_ask = True

    def __init__(self, server: PlainServer) -> None:
        self._server = server

    def place(self, chat: int) -> str:
        """`plain` and its number."""
        return f"plain {chat}"

    def write(self, chat: int, text: str) -> tuple[str, JsonObject]:
        """An event."""
        event = self._server.post_text(str(chat), text)
        return str(event["id"]), event

    def redeliver(self, event: JsonObject, times: int) -> None:
        """The event again."""
        self._server.redeliver(event, times)

    async def repeat_at_once(self, event: JsonObject, times: int) -> None:
        """The event, several times."""
        await self._server.post_to_webhook(event, times)

    async def wait_for(self, chat: int, text: str, *, timeout_s: float) -> None:
        """Return when a finished message of that chat ends so."""

        def is_there() -> bool:
            return any(sent.text.endswith(text) for sent in self._server.sent(str(chat)))

        await self._server.wait_until(is_there, timeout_s=timeout_s)

    async def wait_until_taken(self, *, timeout_s: float) -> None:
        """Return when no event is pending."""
        await self._server.wait_until_acknowledged(timeout_s=timeout_s)

    def sent(self) -> list[Sent]:
        """Every finished message that stands."""
        return [
            Sent(f"plain {sent.chat}", sent.text, sent.at, self.name)
            for sent in self._server.sent()
        ]

    def acknowledged(self) -> dict[str, float]:
        """The end of the first attempt that got a 200."""
        return {
            attempt.event_id: attempt.ended_at
            for attempt in reversed(self._server.attempts)
            if attempt.is_success
        }

    def left_open(self) -> list[Sent]:
        """Messages that were opened and have no end."""
        return [
            Sent(f"plain {left.chat}", left.text, left.at, self.name) for left in self._server.open
        ]

    def problems(self) -> list[str]:
        """Calls that broke a rule."""
        return list(self._server.problems)


class Person:
    """Somebody on a platform, who writes one to three messages and waits for the last reply.

    Moves to a fresh chat now and then, so that talks stay short.
    """

    def __init__(self, number: int, *, platform: Platform, notes: Notes, mood: Mood) -> None:
        self._number = number
        self._platform = platform
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
                said, event = self._write(chat, number)
            is_answered = await self._is_answered(chat, said)
            if is_answered and self._mood.dice.random() < LATE_SHARE:
                self._notes.counts["repeated events"] += LATE_COPIES
                await self._platform.repeat_at_once(event, LATE_COPIES)
            await self._mood.rest()

    def _write(self, chat: int, number: int) -> tuple[Spoken, JsonObject]:
        said = self._notes.say(self._platform.place(chat), number)
        event_id, event = self._platform.write(chat, said.text)
        self._notes.events[self._platform.name, event_id] = said.text
        self._notes.counts[f"events on {self._platform.name}"] += 1
        if self._mood.dice.random() < REDELIVERED_SHARE:
            times = self._mood.dice.randint(1, 3)
            self._notes.counts["repeated events"] += times
            self._platform.redeliver(event, times)
        return said, event

    async def _is_answered(self, chat: int, said: Spoken) -> bool:
        """Wait for the reply, patiently; False when it did not come."""
        try:
            await self._platform.wait_for(chat, said.answer, timeout_s=REPLY_WITHIN_S)
        except TimeoutError:
            return False
        return True


def note_what_platforms_saw(platforms: Sequence[Platform], notes: Notes) -> list[Sent]:
    """Everything that was sent; what it tells of acknowledgements and answers is noted."""
    everything: list[Sent] = []
    for platform in platforms:
        sent = platform.sent()
        for event_id, at in platform.acknowledged().items():
            notes.note_acknowledged(notes.events[platform.name, event_id], at)
        everything += sent
    texts = {answer_to(said.text): said.text for said in notes.spoken}
    for each in everything:
        if each.text in texts:
            notes.note_answered(texts[each.text], each.at, answer=each.text)
    return everything
