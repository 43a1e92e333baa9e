"""What Twilio's error codes mean for a message: one table for both ways in which they come.

A code may answer the create, or come later with a status callback. Twilio, error dictionary (read
November 2026); those of carriers and of WhatsApp are the 30xxx and 63xxx. Pure: `delivery_error`
turns a failed call into the contract's error, `FAILURES` says the rest.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from channels.twilio.transport import NoAnswer, Refused
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown

DeliveryError = DeliveryLater | DeliveryUnknown | DeliveryRefused

Meaning = Literal[
    "account", "busy", "wait", "tomorrow", "again", "address", "opted_out", "weaker", "part"
]
"""What a code means. account: the credential is refused; busy: too many calls at once; wait: the
sender is too fast, `wait_s`; tomorrow: until the next day; again: try once more after `wait_s`;
address: this person can never be reached; opted_out: they want no messages; weaker: send it in a
simpler form; part: this message never goes.
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a code means; `alarm` is what an operator is told."""

    meaning: Meaning
    wait_s: float = 0.0
    alarm: str | None = None


REGION: Final = "is not allowed to send to that region or by that route: look at Geo permissions"

FAILURES: Final[dict[int, Failure]] = {
    20003: Failure("account"),
    20404: Failure("account"),
    20429: Failure("busy"),
    21211: Failure("address"),
    21214: Failure("address"),
    21217: Failure("address"),
    21614: Failure("address"),
    21408: Failure("part", alarm=f"the account {REGION} (21408)"),
    21612: Failure("part", alarm=f"the account {REGION} (21612)"),
    21610: Failure("opted_out"),
    21611: Failure("wait", 300),
    21617: Failure("weaker"),
    21620: Failure("weaker"),
    21621: Failure("weaker"),
    21622: Failure("weaker"),
    21623: Failure("weaker"),
    30001: Failure("wait", 60),
    30022: Failure("wait", 60),
    30003: Failure("again", 600),
    30008: Failure("again", 600),
    30004: Failure("address"),
    30005: Failure("address"),
    30006: Failure("address"),
    30034: Failure("address", alarm="the sender is not registered for US A2P 10DLC (30034)"),
    30007: Failure("part"),
    63016: Failure("part"),
    63018: Failure("wait", 3600),
    63038: Failure("tomorrow"),
    63003: Failure("address"),
    63024: Failure("address"),
}

FILTERED: Final = 30007
"""A carrier took it for spam: often means that more will be."""

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


def failure_of(refusal: Refused) -> Failure | None:
    """What a refused call means, None for a status of 5xx: it may have been taken."""
    if refusal.status >= 500:
        return None
    known = FAILURES.get(refusal.code)
    if known is not None:
        return known
    match refusal.status:
        case 401:
            return Failure("account")
        case 404:
            return FAILURES[20404]
        case 429:
            return FAILURES[20429]
        case _:
            return Failure("part")


def delivery_error(
    error: Refused | NoAnswer, *, now: datetime, busy_count: int = 0
) -> DeliveryError:
    """The contract's word for a failed create; `busy_count` 429s came one after the other."""
    if isinstance(error, NoAnswer):
        return DeliveryUnknown(str(error)) if error.was_written else DeliveryLater(str(error))
    sentence = f"Twilio: {error}"
    failure = failure_of(error)
    if failure is None:
        return DeliveryUnknown(sentence)
    if error.status < 400:
        return DeliveryLater(sentence)
    match failure.meaning:
        case "account":
            return DeliveryRefused(f"Twilio refuses the credentials ({error})", scope="account")
        case "busy":
            pause_s = error.retry_after_s or backoff_s(busy_count, jitter=random.random())
            return DeliveryLater(sentence, retry_after_s=pause_s, scope="account")
        case "wait" | "tomorrow":
            pause_s = error.retry_after_s or wait_s(failure, now=now)
            return DeliveryLater(sentence, retry_after_s=pause_s, scope="account")
        case "again":
            return DeliveryLater(sentence, retry_after_s=failure.wait_s)
        case "address" | "opted_out":
            code = "opted_out" if failure.meaning == "opted_out" else None
            return DeliveryRefused(sentence, scope="address", code=code)
        case "weaker" | "part":
            return DeliveryRefused(sentence)


def connect_error(error: Refused | NoAnswer) -> DeliveryLater | DeliveryRefused:
    """The contract's word for a failed connection: nothing was sent, so nothing is doubtful."""
    if isinstance(error, Refused):
        failure = failure_of(error)
        if failure is not None and failure.meaning == "account":
            return DeliveryRefused(f"Twilio refuses the credentials ({error})", scope="account")
        return DeliveryLater(f"Twilio: {error}", retry_after_s=error.retry_after_s)
    return DeliveryLater(str(error))


def backoff_s(count: int, *, jitter: float) -> float:
    """How long to wait after `count` refusals for concurrency in a row; `jitter` is 0 to 1.

    >>> [backoff_s(count, jitter=0) for count in (1, 2, 6, 60)]
    [1.0, 2.0, 30.0, 30.0]
    """
    doubled = _FIRST_PAUSE_S * 2 ** min(max(count - 1, 0), 10)
    return float(min(_LONGEST_PAUSE_S, doubled) * (1 + jitter / 4))


def wait_s(failure: Failure, *, now: datetime) -> float:
    """How long nothing should leave: the table's time, or until the next day begins (UTC)."""
    if failure.meaning != "tomorrow":
        return failure.wait_s
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - now).total_seconds()
