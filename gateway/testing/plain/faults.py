"""A call of the plain platform, and its own way to refuse one.

Faults that no platform has for itself are in `gateway.testing.misbehaviour`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gateway.testing.misbehaviour import Misbehaviour
from gateway.testing.plain.files import CutOff, Trickle
from gateway.testing.wire import JsonObject

Action = Literal["connect", "send", "change", "remove", "find", "fetch", "upload"]


@dataclass(slots=True)
class PlainCall:
    """One call, as it arrived; `at` is on the monotonic clock, `status` None without an answer.

    `message_id` names the message or file it is about, `data` are the bytes of an upload.
    """

    number: int
    action: Action
    body: JsonObject
    at: float
    message_id: str = ""
    data: bytes = b""
    status: int | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def chat(self) -> str:
        """The chat it is about, empty when it names none."""
        return str(self.body.get("chat", ""))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The call has no effect: 429 with `retry_after_s`, 403, 404, 500 ..."""

    status: int
    retry_after_s: float | None = None


PlainFault: TypeAlias = Refusal | CutOff | Trickle | Misbehaviour
