"""What arrives: the closed union of everything a channel may pass on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gateway.contract.values import Address, Attachment, Sender


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
    arrivals to one message (an album). `is_direct` is False in groups. `needs_session`: it is for
    us only where we talk already; at an address without a session it is dropped without a trace.
    """

    address: Address
    sender: Sender
    text: str
    message_ref: str | None = None
    attachments: tuple[Attachment, ...] = ()
    group_id: str | None = None
    source_order: int | None = None
    is_direct: bool = True
    needs_session: bool = False
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEdited(Arrival):
    """A person changed a message they had sent: `text` is the new text, empty when they removed it.

    Only what really differs changes anything, and it is never answered again.
    """

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
class StopPressed(Arrival):
    """A person pressed the platform's own stop button under a message that was growing."""

    address: Address
    sender: Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentChanged(Arrival):
    """A person told the platform to stop messages to them, or to let them through again.

    `text` is what they wrote, if anything; it is kept and never answered. `is_opted_out` None =
    neither, such as a call for help that the platform answers itself.
    """

    address: Address
    sender: Sender
    is_opted_out: bool | None
    text: str = ""
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
    """The platform's later word on a delivery; found by our `delivery_id` or by `provider_id`.

    It only ever moves a delivery forward. A failure with `again_in_s` is tried once more after that
    time.
    """

    status: Literal["sent", "delivered", "read", "failed"]
    delivery_id: str | None = None
    provider_id: str | None = None
    error: str | None = None
    again_in_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable(Arrival):
    """An event that should have been readable and was not: kept raw, for the operator."""

    raw: bytes
    reason: str


Inbound = (
    InboundMessage
    | MessageEdited
    | ActionPressed
    | StopPressed
    | ConsentChanged
    | AddressMoved
    | Reachability
    | DeliveryReport
    | Unreadable
)
