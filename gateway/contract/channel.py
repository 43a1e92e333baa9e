"""The adapter itself, what it can do, and what the gateway offers to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Literal, Protocol

from aiohttp import web
from pydantic import BaseModel

from gateway.contract.inbound import Inbound
from gateway.contract.outbound import OutboundMessage, Receipt, ReplyTo, SentQuery
from gateway.contract.values import Address, Attachment, Json
from gateway.errors import DeliveryRefused

LiveKind = Literal["none", "signal", "preview", "message"]
HealthState = Literal["starting", "connected", "degraded", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a platform takes messages: sustained rates per second, and short bursts.

    `slow` tells the addresses where `slow_per_s` and `slow_burst` hold instead (groups). Live
    output of kind `message` counts like messages and goes behind them.
    """

    account_per_s: float = 0
    address_per_s: float = 0
    address_burst: int = 1
    slow: Callable[[Address], bool] | None = None
    slow_per_s: float = 0
    slow_burst: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel can do; every field has the modest default.

    `delivers` False = pull: the transcript is the delivery and no outbox row is made.
    `can_ask` True = `find_sent` really asks the platform.
    """

    delivers: bool = True
    live: LiveKind = "none"
    buttons: bool = False
    can_ask: bool = False
    on_ambiguous: Literal["resend", "hold"] = "resend"
    pace: Pace = field(default_factory=Pace)


class LiveOutput(Protocol):
    """What a person sees while a turn runs. Every call may fail; none is retried.

    `kind` is known before anything is asked of the platform; it may differ by chat. A `message`
    begins with `working`, as others do. With the first text comes `open`, once, unless the output
    was made with an `open_ref`; then it grows by `show` and may be told `working` in between. Where
    it is not opened it stays at `working`. What is said in the end comes by `deliver`.
    """

    kind: LiveKind
    refresh_s: float
    min_interval_s: float

    async def working(self, label: str | None) -> None:
        """Show that something happens; repeated every `refresh_s` by the caller."""
        ...

    async def show(self, text: str) -> None:
        """Show the whole text so far; called at most once per `min_interval_s`."""
        ...

    async def open(self, delivery_id: str) -> str:
        """Make the empty message that will grow (kind `message` only); returns its reference.

        Called at most once. `delivery_id` is what `find_sent` may ask for if we die before the
        reference is stored: give it to the platform where that is possible.
        """
        ...


class ChannelHost(Protocol):
    """What the gateway offers to a channel."""

    async def accept(
        self, batch: Sequence[Inbound], *, cursor: tuple[str, str] | None = None
    ) -> None:
        """Commit a batch and the platform's cursor (name, value) together; then return.

        Raises `Unavailable` when nothing was stored: do not acknowledge.
        """
        ...

    async def cursor(self, name: str) -> str | None:
        """The last value committed under that name, or None."""
        ...

    async def note(self, key: str) -> Json | None:
        """A small durable value of this channel, or None."""
        ...

    async def keep_note(self, key: str, value: Json | None, *, is_secret: bool = False) -> None:
        """Store, replace or (None) remove a small durable value; a secret one is encrypted."""
        ...

    def open_file(self, ref: str) -> AsyncGenerator[bytes, None]:
        """The bytes of an attachment that is to be sent, in pieces; raises NotFound when gone."""
        ...

    async def heard_at(self, account: str, address: Address) -> datetime | None:
        """When a person last wrote at that address, or None."""
        ...

    def suggestions(self) -> Sequence[str]:
        """What a person may be offered to ask first; often nothing."""
        ...

    def ignored(self, kind: str) -> None:
        """Count an event that means nothing to us; `kind` is the platform's word for it."""
        ...

    def health(self, state: HealthState, *, reason: str | None = None) -> None:
        """Tell operators how this channel is; the reason is a sentence without secrets."""
        ...


class Channel(ABC):
    """Adapter to one platform account.

    `async with channel.connected(host)` = able to send; `async with channel.receiving()` = able
    to hear, only ever inside the former. Made by the gateway as `Cls(name, settings,
    public_url)`; the constructor does no I/O and no work.
    """

    kind: ClassVar[str]
    settings_model: ClassVar[type[BaseModel]]

    def __init__(self, name: str, settings: BaseModel, *, public_url: str) -> None:
        self.name = name
        self.settings = settings
        self.public_url = public_url

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this channel can do, as configured."""

    def routes(self) -> list[web.RouteDef]:
        """Webhook routes, all below `/hooks/{name}`; none for a channel that polls."""
        return []

    @abstractmethod
    def connected(self, host: ChannelHost) -> AbstractAsyncContextManager[None]:
        """Able to send while inside.

        Raises `DeliveryRefused(scope="account")` when the credential is refused (the gateway
        stops the channel and goes on) and `DeliveryLater` when the platform is away (the
        gateway tries again).
        """

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Able to hear while inside; a channel that only has webhooks needs nothing here."""
        yield

    @abstractmethod
    def render(self, message: OutboundMessage) -> list[Json]:
        """The parts of a message within the platform's limits, in order. Pure, never fails."""

    @abstractmethod
    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None = None
    ) -> Receipt:
        """Send one part once; with `open_ref` finish the message that was opened for it.

        To finish again does no harm: it puts the same text into the same message. If the platform
        does not know the message any more, the part is posted as a new one. An empty part with an
        `open_ref` takes the message back: it is removed, if it is still there.

        Raises `DeliveryLater`, `DeliveryUnknown` or `DeliveryRefused`, and nothing else.
        """

    async def find_sent(self, query: SentQuery) -> Receipt | None:
        """Look on the platform for a doubtful delivery; None = not found.

        A message that was opened and not finished is found only by an empty part; its reference is
        then the receipt's `provider_id`.
        """
        return None

    def fetch(self, attachment: Attachment) -> AsyncGenerator[bytes, None]:
        """The bytes of a file that arrived, in pieces.

        Whoever reads stops at their own limit. Raises `DeliveryLater` when it may be tried again
        and `DeliveryRefused` when the file will never be given, at once or at the first piece.
        With the code `file_too_large` the platform gives bots no file of that size.
        """
        raise DeliveryRefused("this channel has no files")

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        """What to show while a turn runs; None = nothing. Leaving clears every signal.

        With `open_ref` it goes on in the message that an earlier attempt opened. Leaving does not
        finish an opened message: `deliver` does.
        """
        yield None

    async def probe(self) -> str:
        """Prove the credential against the platform; returns a sentence, raises as `connected`."""
        return "nothing to check"
