"""Where on Slack something is said, and how our own messages are recognised there.

Pure. An address is `team:channel` with the timestamp of a thread's first message; our messages
carry the id of their delivery as metadata, by which they are found again.
"""

from dataclasses import dataclass
from typing import Final

from gateway.contract import Address, Json, ReplyTo
from gateway.errors import DeliveryRefused

EVENT_TYPE: Final = "bot_gateway_delivery"
"""The name of our metadata: letters, digits, underscores. docs.slack.dev, "Message metadata"."""


@dataclass(frozen=True, slots=True)
class Place:
    """A channel of a workspace, and maybe a thread in it."""

    team: str
    channel: str
    thread: str | None = None

    @property
    def is_direct(self) -> bool:
        """Whether it is a direct message between one person and the app."""
        return self.channel.startswith("D")


def place_of(address: Address) -> Place:
    """The place that an address means; raises DeliveryRefused for one that is none of ours."""
    team, colon, channel = address.chat.partition(":")
    if not (team and colon and channel):
        raise DeliveryRefused("the address is none of Slack's", scope="address")
    return Place(team, channel, address.thread)


def recipient_of(reply_to: ReplyTo | None) -> tuple[str, str] | None:
    """Team and user of the person who is answered."""
    if reply_to is None:
        return None
    team, _, user = reply_to.sender_id.partition(":")
    return (team, user) if team and user else None


def mark(delivery_id: str, *, is_whole: bool = True) -> Json:
    """The metadata of a message; one that is not whole does not count as the delivery."""
    payload: dict[str, object] = {"outbox_id": delivery_id}
    if not is_whole:
        payload["is_beginning"] = True
    return {"event_type": EVENT_TYPE, "event_payload": payload}


def is_marked(message: Json) -> bool:
    """Whether a message of the history was finished by us."""
    return (message.get("metadata") or {}).get("event_type") == EVENT_TYPE


def has_delivered(message: Json, delivery_id: str) -> bool:
    """Whether a message of the history is the whole of that delivery."""
    if not is_marked(message):
        return False
    payload = message["metadata"].get("event_payload") or {}
    return payload.get("outbox_id") == delivery_id and not payload.get("is_beginning")
