"""A messaging platform that has everything, in the test's process.

Unlike the real ones it can be asked what became of a message (each carries its delivery id), shows
messages that grow, takes them back, and delivers events until they are acknowledged. It forbids no
second message under the same delivery id: `duplicates` names those, so that a gateway that asks
before it sends again can be told from one that does not. One server is one account, on loopback.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from gateway.testing.loopback import Changes, Loopback
from gateway.testing.plain.api import PlainApi
from gateway.testing.plain.courier import Courier, PlainAttempt
from gateway.testing.plain.faults import PlainCall, PlainFault
from gateway.testing.plain.files import Kind, PlainFile
from gateway.testing.plain.messages import Messages, PlainMessage
from gateway.testing.watched import Watched
from gateway.testing.wire import JsonObject

FAKE_CREDENTIAL: Final = "plain-token-of-a-fake"
FILE_MARK: Final = "opens-without-a-token"
"""Stands in the reference of every file: on real platforms such a reference may open the file."""


class PlainServer(Watched[PlainCall, PlainFault]):
    """The platform; an async context manager."""

    def __init__(
        self, *, token: str = FAKE_CREDENTIAL, account: str = "plain-1", port: int = 0
    ) -> None:
        self.token = token
        self.attempts: list[PlainAttempt] = []
        self._messages = Messages()
        self._files: dict[str, PlainFile] = {}
        self._changes = Changes()
        self._courier = Courier(token, on_attempt=self._note_attempt)
        self._api = PlainApi(
            token,
            self._messages,
            self._files,
            account=account,
            on_webhook=self._courier.move,
            on_change=self._changes.tell,
        )
        self._log = self._api.log
        self._door = Loopback(self._api.answer, port=port)
        self._last_event = 0

    @property
    def api_url(self) -> str:
        """Where the platform is."""
        return self._door.url

    # --- what people and the platform do

    def post_text(
        self, chat: str, text: str, *, thread: str | None = None, is_bot: bool = False
    ) -> JsonObject:
        """Somebody writes; the event goes to the webhook until it is acknowledged."""
        return self.post("message", chat=chat, thread=thread, user=chat, text=text, is_bot=is_bot)

    def post_file(
        self,
        chat: str,
        data: bytes,
        *,
        name: str | None = None,
        mime: str | None = None,
        kind: Kind = "document",
        text: str = "",
        told_bytes: int | None = None,
    ) -> JsonObject:
        """Somebody sends a file, with words beside it or without; `told_bytes` may be wrong."""
        file = self.put_file(data, name=name, mime=mime, kind=kind, told_bytes=told_bytes)
        return self.post_files(chat, file, text=text)

    def put_file(
        self,
        data: bytes,
        *,
        name: str | None = None,
        mime: str | None = None,
        kind: Kind = "document",
        told_bytes: int | None = None,
    ) -> PlainFile:
        """A file that the platform has."""
        told_bytes = len(data) if told_bytes is None else told_bytes
        number = len(self._files) + 1
        file = PlainFile(f"{FILE_MARK}-{number}", kind, data, name, mime, told_bytes)
        self._files[file.id] = file
        return file

    def post_files(self, chat: str, *files: PlainFile, text: str = "") -> JsonObject:
        """Somebody sends files in one message."""
        described = [file.described for file in files]
        return self.post(
            "message", chat=chat, thread=None, user=chat, text=text, is_bot=False, files=described
        )

    def post(self, kind: str, *, chat: str, **content: object) -> JsonObject:
        """An event of any kind, also of one that does not exist yet."""
        self._last_event += 1
        number = self._last_event
        event: JsonObject = {"id": f"e{number}", "number": number, "kind": kind, "chat": chat}
        event |= content
        self._courier.carry(event)
        return event

    def redeliver(self, event: JsonObject, times: int = 1) -> None:
        """Deliver an event again although it may be acknowledged, as platforms do."""
        for _ in range(times):
            self._courier.carry(event)

    async def post_to_webhook(self, event: JsonObject, times: int = 1) -> list[PlainAttempt]:
        """Post an event that many times at once, without retries."""
        return await asyncio.gather(*(self._courier.post(event) for _ in range(times)))

    # --- what came of it

    @property
    def problems(self) -> Sequence[str]:
        """Every broken rule so far; a test may demand that it is empty."""
        return [f"{call.action}: {text}" for call in self.calls for text in call.problems]

    @property
    def pending(self) -> Sequence[JsonObject]:
        """Events that are not acknowledged."""
        return list(self._courier.pending.values())

    @property
    def open(self) -> Sequence[PlainMessage]:
        """Messages that stand and still grow."""
        return [message for message in self._messages.standing() if not message.is_final]

    @property
    def duplicates(self) -> Sequence[str]:
        """The delivery ids under which more than one message stands."""
        times = Counter(message.delivery_id for message in self._messages.standing())
        return [delivery_id for delivery_id, count in times.items() if count > 1]

    def shown(self, chat: str | None = None) -> Sequence[PlainMessage]:
        """Messages that stand (in that chat), in their order, those that still grow included."""
        return self._messages.standing(chat)

    def sent(self, chat: str | None = None) -> Sequence[PlainMessage]:
        """Messages that stand (in that chat) with their last text, in their order."""
        return [message for message in self._messages.standing(chat) if message.is_final]

    async def wait_for_sent(
        self, count: int, *, chat: str, timeout_s: float = 5.0
    ) -> Sequence[PlainMessage]:
        """Wait until so many messages stand in that chat, and give them."""
        await self.wait_until(
            lambda: self._messages.counts[chat] >= count,
            timeout_s=timeout_s,
            otherwise=lambda: f"{len(self.sent(chat))} of {count} messages were sent",
        )
        return self.sent(chat)

    async def wait_until_acknowledged(self, *, timeout_s: float = 5.0) -> None:
        """Wait until no event is pending."""
        await self.wait_until(
            lambda: not self._courier.pending,
            timeout_s=timeout_s,
            otherwise=lambda: f"{len(self.pending)} events are not acknowledged",
        )

    async def __aenter__(self) -> Self:
        await self._door.open()
        self._courier.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._courier.stop()
        await self._door.close()

    def _note_attempt(self, attempt: PlainAttempt) -> None:
        self.attempts.append(attempt)
        self._changes.tell()
