"""What is to be said, and what the platform answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.contract.values import Address, Attachment, Json


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
