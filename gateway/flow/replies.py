"""Texts to deliveries: what a channel makes of an answer, ready to be stored with its turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeGuard

from gateway.contract import Address, Attachment, Channel, OutboundMessage, ReplyTo
from gateway.domain.conversation import ContentPart, FilePart, Message, TextPart
from gateway.domain.delivery import NewDelivery
from gateway.domain.ids import new_delivery_id, new_message_id
from gateway.domain.turns import ClaimedTurn

CUT = " …"
"""Behind a text that a limit cut, so that nobody takes it for the whole answer."""


def reply_message(text: str, *, agent: str | None = None) -> Message:
    """An assistant's message of one text."""
    return Message(id=new_message_id(), role="assistant", agent=agent, content=(TextPart(text),))


def answered_message(claimed: ClaimedTurn) -> ReplyTo | None:
    """What the replies of a turn point to: the last message that a person wrote for it."""
    for message in reversed(claimed.history):
        if message.role == "user" and message.turn_id == claimed.turn.id:
            if message.message_ref is None or message.sender_id is None:
                return None
            return ReplyTo(message.message_ref, message.sender_id)
    return None


def render_replies(
    messages: Iterable[Message],
    *,
    channel: Channel,
    address: Address,
    reply_to: ReplyTo | None = None,
    marks_cut: bool = False,
) -> tuple[NewDelivery, ...]:
    """The parts of all external assistant messages, numbered through, in order.

    `marks_cut`: an incomplete one is to be told from a whole one.
    """
    deliveries: list[NewDelivery] = []
    for message in messages:
        if message.role not in ("assistant", "operator") or message.visibility != "external":
            continue
        files = tuple([_attachment(part) for part in message.content if _is_sent(part)])
        if not message.text and not files:
            continue
        text = (
            f"{message.text.rstrip()}{CUT}" if marks_cut and message.is_incomplete else message.text
        )
        outbound = OutboundMessage(address=address, text=text, attachments=files, reply_to=reply_to)
        for part in channel.render(outbound):
            deliveries.append(
                NewDelivery(
                    id=new_delivery_id(),
                    part_no=len(deliveries),
                    part=part,
                    message_id=message.id,
                )
            )
    return tuple(deliveries)


def _is_sent(part: ContentPart) -> TypeGuard[FilePart]:
    """Whether it is a file whose bytes we have."""
    return isinstance(part, FilePart) and part.state != "given"


def _attachment(part: FilePart) -> Attachment:
    """A stored file as channels know it; they ask for its bytes by its id."""
    return Attachment(part.kind, part.ref, part.name, part.mime, part.size_bytes)
