"""Answers that need no model, ready to be written with the message they answer.

Takes texts, gives them as messages of the transcript with the parts that a channel makes of them.
What is prepared for every message and seldom used is rendered once a chat.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.contract import Address, Button, Json, OutboundMessage, ReplyTo
from gateway.domain.delivery import NewDelivery
from gateway.domain.ids import new_delivery_id
from gateway.domain.people import hash_code
from gateway.flow import gate
from gateway.flow.catalogue import ChannelBinding
from gateway.flow.replies import reply_message
from gateway.store.protocol.doorway import LinkAttempt, Words

MAX_NOTES = 1000
"""Notes that are kept rendered, each for one chat."""


class Answers:
    """Answers for the channels of one process."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Address, str], list[Json]] = {}

    def words(
        self,
        text: str,
        *,
        binding: ChannelBinding,
        address: Address,
        reply_to: ReplyTo | None = None,
        suggestions: Sequence[str] = (),
    ) -> Words:
        """A text, with suggestions as buttons where the channel has any."""
        buttons = tuple(
            Button(label, label) for label in suggestions if binding.channel.capabilities.buttons
        )
        outbound = OutboundMessage(address=address, text=text, buttons=buttons, reply_to=reply_to)
        return _words(text, binding.channel.render(outbound) if _is_sent(binding) else ())

    def note(self, text: str, *, binding: ChannelBinding, address: Address) -> Words:
        """A text that is prepared for every message of a chat."""
        if not _is_sent(binding):
            return _words(text, ())
        parts = self._kept.get((address, text))
        if parts is None:
            if len(self._kept) >= MAX_NOTES:
                self._kept.clear()
            parts = binding.channel.render(OutboundMessage(address=address, text=text))
            self._kept[address, text] = parts
        return _words(text, parts)

    def link(
        self, code: str, *, binding: ChannelBinding, address: Address, reply_to: ReplyTo | None
    ) -> LinkAttempt:
        """A link code that somebody sent, with what to tell them."""
        linked, wrong, too_many = (
            self.words(text, binding=binding, address=address, reply_to=reply_to)
            for text in (gate.LINKED, gate.WRONG_CODE, gate.TOO_MANY_CODES)
        )
        return LinkAttempt(
            code_hash=hash_code(binding.project_id, code),
            linked=linked,
            wrong=wrong,
            too_many=too_many,
        )


def _is_sent(binding: ChannelBinding) -> bool:
    return binding.channel.capabilities.delivers


def _words(text: str, parts: Sequence[Json]) -> Words:
    message = reply_message(text)
    deliveries = [
        NewDelivery(id=new_delivery_id(), part_no=number, part=part, message_id=message.id)
        for number, part in enumerate(parts)
    ]
    return Words(message, tuple(deliveries))
