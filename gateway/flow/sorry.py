"""What a person gets in place of a reply when their turn fails: a short, honest sentence.

Only where replies are sent; callers of an API read the error of the turn instead.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.domain.turns import ClaimedTurn, TurnOutcome
from gateway.flow.catalogue import ChannelBinding
from gateway.flow.replies import answered_message, render_replies, reply_message

APOLOGY = "Sorry, something went wrong on our side. Please try again."
"""For want of a bot that has a sentence of its own."""


def apologized(
    outcome: TurnOutcome, claimed: ClaimedTurn, binding: ChannelBinding | None, *, text: str
) -> TurnOutcome:
    """The outcome with the apology as its only message, where it can be sent.

    Raises what the channel's `render` raises.
    """
    address = claimed.session.address
    if binding is None or address is None:
        return outcome
    message = reply_message(text)
    deliveries = render_replies(
        (message,), channel=binding.channel, address=address, reply_to=answered_message(claimed)
    )
    return replace(outcome, messages=(message,), deliveries=deliveries)
