"""A channel without a platform, for tests of everything between a bot and an adapter.

    channel = FakeChannel("fake", capabilities=Capabilities(live="preview"))
    channel.fail(DeliveryLater("slow down", retry_after_s=0.5))     # the next delivery

Typed by the same contract as real ones. What is delivered is in `sent`, in order; what failed is in
`tries` only. It judges nothing: what a platform would refuse is up to the test.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import BaseModel

from gateway.contract import (
    Address,
    Attachment,
    Capabilities,
    Channel,
    ChannelHost,
    Json,
    LiveKind,
    LiveOutput,
    OutboundMessage,
    Receipt,
    ReplyTo,
    SentQuery,
)
from gateway.errors import DeliveryRefused, GatewayError
from gateway.testing.loopback import Changes

PART_BREAK = "\f"
"""Where `render` cuts a text into parts."""


class NoSettings(BaseModel):
    """A channel without settings of its own."""


@dataclass(frozen=True, slots=True)
class FakeTry:
    """One call of `deliver`."""

    address: Address
    text: str
    delivery_id: str
    open_ref: str | None = None


@dataclass(frozen=True, slots=True)
class HeldSend:
    """A delivery that waits for `release`, then ends with `error`, or well without one."""

    error: Exception | None = None
    release: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class FakePlatform:
    """The messages people see, by the platform's id, oldest first; those of a dead adapter too.

    `opened` says which message was opened for which delivery.
    """

    messages: dict[str, str] = field(default_factory=dict)
    opened: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    def post(self, text: str) -> str:
        """A new message; its id."""
        self._count += 1
        message_id = f"p{self._count}"
        self.messages[message_id] = text
        return message_id

    def open(self, delivery_id: str) -> str:
        """A new message without text that will grow; its id."""
        self.opened[delivery_id] = self.post("")
        return self.opened[delivery_id]

    def finish(self, message_id: str, text: str | None) -> str:
        """Put the last word into a message, or remove it for None; its id.

        The text of one that is gone becomes a new message.
        """
        if text is None:
            self.messages.pop(message_id, None)
        elif message_id not in self.messages:
            return self.post(text)
        else:
            self.messages[message_id] = text
        return message_id


class FakeLive:
    """Live output that remembers what it was told; `error` is raised by every call.

    `open_error` is raised by `open` only, after the platform made the message.
    """

    def __init__(
        self,
        kind: LiveKind,
        log: list[str],
        changes: Changes,
        *,
        platform: FakePlatform | None = None,
        open_ref: str | None = None,
    ) -> None:
        self.kind = kind
        self.refresh_s = 0.1
        self.min_interval_s = 0.1
        self.error: Exception | None = None
        self.open_error: Exception | None = None
        self._log = log
        self._changes = changes
        self._platform = platform or FakePlatform()
        self._open_ref = open_ref

    async def working(self, label: str | None) -> None:
        """Note `working`, and on what."""
        self._note("working" if label is None else f"working: {label}")

    async def show(self, text: str) -> None:
        """Note the text so far; an opened message takes it."""
        self._note(f"show: {text}")
        if self._open_ref in self._platform.messages:
            self._platform.messages[self._open_ref] = text

    async def open(self, delivery_id: str) -> str:
        """Note it, and make an empty message."""
        self._note("open")
        self._open_ref = self._platform.open(delivery_id)
        if self.open_error is not None:
            raise self.open_error
        return self._open_ref

    def _note(self, entry: str) -> None:
        if self.error is not None:
            raise self.error
        self._log.append(entry)
        self._changes.tell()


class FakeChannel(Channel):
    """A channel that delivers into a list, and fails when it is told to."""

    kind: ClassVar[str] = "fake"
    settings_model: ClassVar[type[BaseModel]] = NoSettings

    def __init__(
        self,
        name: str = "fake",
        settings: BaseModel | None = None,
        *,
        public_url: str = "http://localhost",
        capabilities: Capabilities | None = None,
        platform: FakePlatform | None = None,
    ) -> None:
        super().__init__(name, settings or NoSettings(), public_url=public_url)
        self._capabilities = capabilities or Capabilities()
        self.platform = platform or FakePlatform()
        self._faults: deque[Exception | HeldSend | None] = deque()
        self._found: deque[Receipt | Exception | None] = deque()
        self._connection_faults: deque[Exception] = deque()
        self._break: asyncio.Future[None] | None = None
        self._changes = Changes()
        self.host: ChannelHost | None = None
        self.is_connected = False
        self.is_receiving = False
        self.connections = 0
        self.tries: list[FakeTry] = []
        self.sent: list[FakeTry] = []
        self.queries: list[SentQuery] = []
        self.live_log: list[str] = []
        self.live_error: Exception | None = None
        self.open_error: Exception | None = None
        self.live_kind: LiveKind | None = None
        self.files: dict[str, Sequence[bytes | Exception | HeldSend]] = {}
        self.fetches: list[str] = []
        self.render_error: Exception | None = None
        self.on_render: Callable[[], object] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """As given."""
        return self._capabilities

    @property
    def texts(self) -> list[str]:
        """The texts that were delivered, in order."""
        return [one.text for one in self.sent]

    def fail(self, *faults: Exception | HeldSend | None) -> None:
        """What the next deliveries end with, one after the other; None = well."""
        self._faults.extend(faults)

    def find(self, *answers: Receipt | Exception | None) -> None:
        """What the next questions for a doubtful delivery find."""
        self._found.extend(answers)

    def fail_to_connect(self, *faults: Exception) -> None:
        """What the next tries to connect end with."""
        self._connection_faults.extend(faults)

    def break_off(self, error: Exception) -> None:
        """End the connection that receives with an error."""
        if self._break is None or self._break.done():
            raise AssertionError("the fake channel is not receiving")
        self._break.set_exception(error)

    async def wait_for(
        self, fact: Callable[[FakeChannel], bool], *, timeout_s: float = 5, what: str = "that fact"
    ) -> None:
        """Return when the fact holds."""
        await self._changes.until(
            lambda: fact(self), timeout_s=timeout_s, otherwise=lambda: f"{what}: {self.tries}"
        )

    async def wait_for_sent(self, count: int, *, timeout_s: float = 5) -> list[FakeTry]:
        """What was delivered, as soon as it is that much."""
        await self.wait_for(lambda one: len(one.sent) >= count, timeout_s=timeout_s)
        return list(self.sent)

    async def wait_for_tries(self, count: int, *, timeout_s: float = 5) -> list[FakeTry]:
        """What was tried, as soon as it is that much."""
        await self.wait_for(lambda one: len(one.tries) >= count, timeout_s=timeout_s)
        return list(self.tries)

    @asynccontextmanager
    async def connected(self, host: ChannelHost) -> AsyncIterator[None]:
        """Connected, unless a fault was planned."""
        self.connections += 1
        self._changes.tell()
        if self._connection_faults:
            raise self._connection_faults.popleft()
        self.host, self.is_connected = host, True
        self._changes.tell()
        try:
            yield
        finally:
            self.is_connected = False
            self._changes.tell()

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Receiving, until `break_off` ends it."""
        broken = self._break = asyncio.get_running_loop().create_future()
        self.is_receiving = True
        self._changes.tell()
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_wait_for_end(broken))
                yield
                watch.cancel()
        except* GatewayError as group_error:
            raise group_error.exceptions[0] from None
        finally:
            self.is_receiving = False
            self._changes.tell()

    def render(self, message: OutboundMessage) -> list[Json]:
        """One part for each piece between two `PART_BREAK`s, and one for each file."""
        if self.on_render is not None:
            self.on_render()
        if self.render_error is not None:
            raise self.render_error
        texts = message.text.split(PART_BREAK) if message.text or not message.attachments else []
        files = [{"text": f"[{a.name}]", "file": a.ref} for a in message.attachments]
        return [*({"text": piece} for piece in texts), *files]

    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None = None
    ) -> Receipt:
        """Note the try, then do what was planned for it; a part without a text removes."""
        text: str | None = part.get("text")
        one = FakeTry(address, text or "", delivery_id, open_ref)
        self.tries.append(one)
        self._changes.tell()
        fault = self._faults.popleft() if self._faults else None
        if isinstance(fault, HeldSend):
            await fault.release.wait()
            fault = fault.error
        if fault is not None:
            raise fault
        if open_ref is not None:
            provider_id = self.platform.finish(open_ref, text)
        else:
            provider_id = self.platform.post(one.text)
        self.sent.append(one)
        self._changes.tell()
        return Receipt(provider_id)

    async def fetch(self, attachment: Attachment) -> AsyncGenerator[bytes, None]:
        """The pieces of a file, with whatever was planned between them; none = it is gone."""
        self.fetches.append(attachment.ref)
        self._changes.tell()
        for piece in self.files.get(attachment.ref, [DeliveryRefused("no such file")]):
            if isinstance(piece, HeldSend):
                await piece.release.wait()
            failure = piece.error if isinstance(piece, HeldSend) else piece
            if isinstance(failure, Exception):
                raise failure
            if isinstance(piece, bytes):
                yield piece

    async def find_sent(self, query: SentQuery) -> Receipt | None:
        """The next planned answer; without one, what was opened is found, and nothing else."""
        self.queries.append(query)
        self._changes.tell()
        opened = None if query.part else self.platform.opened.get(query.delivery_id)
        unplanned = None if opened is None else Receipt(opened)
        found = self._found.popleft() if self._found else unplanned
        if isinstance(found, Exception):
            raise found
        return found

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        """Live output of `live_kind`, else as in the capabilities; its end is noted as `end`."""
        output = FakeLive(
            self.live_kind or self._capabilities.live,
            self.live_log,
            self._changes,
            platform=self.platform,
            open_ref=open_ref,
        )
        output.error, output.open_error = self.live_error, self.open_error
        try:
            yield output
        finally:
            self.live_log.append("end")
            self._changes.tell()


async def _wait_for_end(broken: asyncio.Future[None]) -> None:
    await broken
