"""Status callbacks -> delivery reports, and what a failure says about the person. Pure.

Takes the form of a callback and our own delivery id out of its address. Statuses come out of order
and repeat; each is told once, and the store moves a delivery only forward. Twilio, "Track outbound
message status"; read November 2026.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from channels.twilio.failures import FAILURES, Failure, wait_s
from channels.twilio.forms import Form
from channels.twilio.parse import Ignored
from channels.twilio.settings import Line
from gateway.contract import Address, ConsentChanged, DeliveryReport, Inbound, Reachability, Sender

Status = Literal["sent", "delivered", "read", "failed"]

STATUSES: Final[Mapping[str, Status]] = {
    "accepted": "sent",
    "scheduled": "sent",
    "queued": "sent",
    "sending": "sent",
    "sent": "sent",
    "partially_delivered": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}
"""To us a part is sent as soon as Twilio has it."""

_DELIVERY: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_SID: Final = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Report:
    """What a callback tells: `events` for the store; `code` and `failure` for the operator."""

    events: tuple[Inbound, ...]
    code: int | None = None
    failure: Failure | None = None


def report(form: Form, line: Line, *, delivery_id: str, received_at: datetime) -> Report | Ignored:
    """What a status callback means."""
    sid, word = form.text("MessageSid"), form.text("MessageStatus")
    status = STATUSES.get(word.lower())
    if not _SID.fullmatch(sid):
        return Ignored("no_message")
    if status is None:
        return Ignored(f"status_{word[:20]}")
    code = _code(form) if status == "failed" else None
    failure = FAILURES.get(code or 0)
    told = DeliveryReport(
        **_stamp(line, f"{sid}:{word.lower()}", received_at=received_at),
        status=status,
        delivery_id=delivery_id if _DELIVERY.fullmatch(delivery_id) else None,
        provider_id=sid,
        error=_sentence(word, code, form.text("ErrorMessage")) if status == "failed" else None,
        again_in_s=_again_in_s(failure, now=received_at),
    )
    further = _about_person(form, line, failure=failure, received_at=received_at)
    return Report((told, *further), code, failure)


def _again_in_s(failure: Failure | None, *, now: datetime) -> float | None:
    if failure is None or failure.meaning not in ("again", "wait", "tomorrow"):
        return None
    return wait_s(failure, now=now)


def _about_person(
    form: Form, line: Line, *, failure: Failure | None, received_at: datetime
) -> tuple[Inbound, ...]:
    """What a failure says about whoever should have got the message."""
    person = form.text("To")
    number = line.number(person)
    if failure is None or number is None:
        return ()
    event = f"{form.text('MessageSid')}:{failure.meaning}"
    stamp = _stamp(line, event, received_at=received_at)
    address = Address(line.channel, person)
    match failure.meaning:
        case "address":
            return (Reachability(**stamp, address=address, is_reachable=False),)
        case "opted_out":
            sender = Sender(line.platform, number)
            return (ConsentChanged(**stamp, address=address, sender=sender, is_opted_out=True),)
        case _:
            return ()


def _stamp(line: Line, event: str, *, received_at: datetime) -> dict[str, Any]:
    digest = hashlib.sha256(json.dumps([line.account, event]).encode()).digest()
    return {
        "account": line.account,
        "external_id": event,
        "digest": digest,
        "received_at": received_at,
    }


def _code(form: Form) -> int | None:
    text = form.text("ErrorCode")
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _sentence(word: str, code: int | None, message: str) -> str:
    """Why a message did not arrive.

    >>> _sentence("undelivered", 30003, ""), _sentence("canceled", None, "")
    ('Twilio: undelivered (30003)', 'Twilio: canceled')
    """
    detail = ": ".join(str(fact) for fact in (code, message[:200]) if fact)
    return f"Twilio: {word}" + (f" ({detail})" if detail else "")
