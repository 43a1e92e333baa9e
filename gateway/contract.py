"""The channel contract: all that an adapter to a messaging platform has to know.

A channel author reads this file and needs no other. An adapter connects to one platform account,
turns what arrives into `Inbound` values, and sends rendered parts. It knows no bot, no session, no
database. Two rules matter most:

1. **Accept, then acknowledge.** `ChannelHost.accept` returns only when everything it was given is
   on disk. Only then tell the platform (HTTP 200, next offset, envelope ack). If it raises, answer
   503 or do not advance: the platform will redeliver, and duplicates are dropped by external id.
2. **One part, one try.** `deliver` sends exactly one part once. It never retries, sleeps or splits:
   it raises one of three errors and the outbox decides. `DeliveryLater`: certainly not sent.
   `DeliveryUnknown`: written, no answer. `DeliveryRefused`: never.

Everything here is plain data without platform notions; parts are plain JSON and are stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol

from aiohttp import web
from pydantic import BaseModel

Json = Mapping[str, Any]
"""A JSON object as Python values; what a rendered part and a note are made of."""

LiveKind = Literal["none", "signal", "preview", "message"]
HealthState = Literal["starting", "connected", "degraded", "stopped"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a reply goes: configured channel name, chat id, thread id or None."""

    channel: str
    chat: str
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote: the platform's stable user id, and what may be shown of them.

    `platform` is the namespace of the id (`telegram`, `slack`, `sms`, `whatsapp`, `web`, `api`).
    """

    platform: str
    external_id: str
    name: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as the platform describes it; the bytes are fetched later through `ref`."""

    kind: Literal["image", "audio", "video", "document"]
    ref: str
    name: str | None = None
    mime: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What every inbound value carries.

    `account` is the platform's own account (bot id, team id, account SID): dedupe is by
    (account, external_id), so a renamed channel repeats nothing. `second_id` is a second key
    under which the same event may arrive again. `digest` is the SHA-256 of the raw event.
    """

    account: str
    external_id: str
    digest: bytes
    second_id: str | None = None
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage(Arrival):
    """A person wrote something.

    `source_order` sorts messages of one chat by the platform's own order. `message_ref` is the
    platform's id of the message, so that a reply can point to it. `group_id` joins several
    arrivals to one message (an album). `is_direct` is False in groups.
    """

    address: Address
    sender: Sender
    text: str
    message_ref: str | None = None
    attachments: tuple[Attachment, ...] = ()
    group_id: str | None = None
    source_order: int | None = None
    is_direct: bool = True
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEdited(Arrival):
    """A person changed a message they had sent: `text` is the new text."""

    address: Address
    sender: Sender
    message_ref: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPressed(Arrival):
    """A person pressed a button we had shown; `value` is what the button carried."""

    address: Address
    sender: Sender
    value: str
    message_ref: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressMoved(Arrival):
    """A chat has a new id on the platform; everything of the old one belongs to the new one."""

    old: Address
    new: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachability(Arrival):
    """A person blocked or unblocked us, or a group threw us out or took us in."""

    address: Address
    is_reachable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport(Arrival):
    """The platform's later word on a delivery; found by our `delivery_id` or by `provider_id`."""

    status: Literal["sent", "delivered", "read", "failed"]
    delivery_id: str | None = None
    provider_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable(Arrival):
    """An event that should have been readable and was not: kept raw, for the operator."""

    raw: bytes
    reason: str


Inbound = (
    InboundMessage
    | MessageEdited
    | ActionPressed
    | AddressMoved
    | Reachability
    | DeliveryReport
    | Unreadable
)


@dataclass(frozen=True, slots=True)
class Button:
    """A choice shown under a message; `value` comes back in `ActionPressed`."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """The message and the sender that are answered."""

    message_ref: str
    sender_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """What to say: plain Markdown, and what goes with it. `render` makes it fit the platform."""

    address: Address
    text: str
    attachments: tuple[Attachment, ...] = ()
    buttons: tuple[Button, ...] = ()
    reply_to: ReplyTo | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The platform took the part; `provider_id` is its id of the message, if it gives one."""

    provider_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentQuery:
    """A doubtful delivery: what was sent where, and since when it may stand there.

    An empty part asks for the message that was opened for that delivery, finished or not.
    """

    delivery_id: str
    address: Address
    part: Json
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a platform takes messages: sustained rates per second, and short bursts."""

    account_per_s: float = 0
    address_per_s: float = 0
    address_burst: int = 1


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

    async def keep_note(self, key: str, value: Json | None) -> None:
        """Store, replace or (None) remove a small durable value."""
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
