"""Deliveries: outbound parts on their way, their states, and when to try again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from gateway.contract import Address
from gateway.domain.ids import DeliveryId, ProjectId, SessionId, TurnId

DeliveryState = Literal[
    "pending", "sending", "open", "ambiguous", "sent", "held", "dead", "expired", "cancelled"
]
DeliveryReceipt = Literal["delivered", "read", "failed"]
DeliveryStatus = Literal["pending", "sent", "delivered", "read", "failed"]

UNSETTLED: frozenset[DeliveryState] = frozenset({"pending", "sending", "open", "ambiguous"})
"""States in which a delivery still blocks the later ones of its lane."""

RETRY_DELAYS_S = (1.0, 5.0, 25.0, 120.0)
LATER_RETRY_DELAY_S = 600.0
RETRY_JITTER = 0.2
EXPIRES_AFTER_S = 24 * 3_600.0


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """What a reader of history learns of a message's delivery."""

    status: DeliveryStatus
    provider_id: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One rendered part to be sent, as a turn commits it.

    `part_no` counts from 0 within the turn.
    """

    id: DeliveryId
    part_no: int
    part: Mapping[str, Any]
    message_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One outbound part on its way.

    `out_no` is its place in the lane of its address. `attempts` counts tries that were begun;
    throttled ones are taken back. `opened_at`: since when it may stand on the platform, shown
    while its turn ran; where that is says `open_ref`, if it was stored. `age_s` is how long it was
    on its way when it was begun or asked for as doubtful; in lists for people it is 0.
    """

    id: DeliveryId
    project_id: ProjectId
    session_id: SessionId
    turn_id: TurnId
    part_no: int
    out_no: int
    account: str
    address: Address
    part: Mapping[str, Any]
    state: DeliveryState
    attempts: int
    open_ref: str | None = None
    provider_id: str | None = None
    receipt: DeliveryReceipt | None = None
    error: str | None = None
    is_command_answer: bool = False
    next_at: datetime | None
    sent_started_at: datetime | None = None
    created_at: datetime
    opened_at: datetime | None = None
    age_s: float = field(default=0.0, compare=False)


def next_attempt(attempts: int, *, age_s: float, jitter: float) -> float | None:
    """In how many seconds to try a delivery again, or None when it should be given up.

    `attempts` counts the tries already made (1 or more), `jitter` is a random number from -1 to
    1. The schedule is 1 s, 5 s, 25 s, 2 min, then every 10 min, each +-20 %; after 24 h it
    ends.

    >>> next_attempt(2, age_s=0, jitter=0)
    5.0
    >>> next_attempt(9, age_s=EXPIRES_AFTER_S, jitter=0) is None
    True
    """
    if age_s >= EXPIRES_AFTER_S:
        return None
    known = attempts <= len(RETRY_DELAYS_S)
    delay_s = RETRY_DELAYS_S[attempts - 1] if known else LATER_RETRY_DELAY_S
    return delay_s * (1 + RETRY_JITTER * jitter)


def shown_status(state: DeliveryState, receipt: DeliveryReceipt | None) -> DeliveryStatus:
    """The delivery status callers see for a stored state and a platform's receipt.

    >>> shown_status("ambiguous", None), shown_status("sent", "read"), shown_status("held", None)
    ('pending', 'read', 'failed')
    """
    if state in UNSETTLED:
        return "pending"
    if state == "sent":
        return receipt or "sent"
    return "failed"
