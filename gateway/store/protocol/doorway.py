"""What is decided about a new turn in T1 by what is stored of its sender.

Whoever makes the turn cannot know that without a race: so the answers are prepared for every way it
may end, and the store takes one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.domain.conversation import Message
from gateway.domain.delivery import NewDelivery


@dataclass(frozen=True, slots=True)
class Words:
    """An answer without a model: for the transcript, and in parts for the platform."""

    message: Message
    deliveries: tuple[NewDelivery, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """Whom an address lets in: `linked` = identities that redeemed a link code, or nobody.

    Others are told `refusal`, at most once a minute and address, and their words are kept where no
    model sees them. Without a refusal they are never told.
    """

    admits: Literal["linked", "nobody"]
    refusal: Words | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAttempt:
    """A person sent a link code; what they are told when it is right, wrong, or one too many."""

    code_hash: bytes
    linked: Words
    wrong: Words
    too_many: Words
