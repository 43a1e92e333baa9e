"""How a call to the plain platform can go wrong, and which calls do.

`Drop`, `Hang`, `Slow` and `HtmlError` are those of the fake Telegram; `Refusal` is this platform's
own no.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gateway.testing.telegram.faults import Drop, Hang, HtmlError, Slow
from gateway.testing.wire import JsonObject

Action = Literal["connect", "send", "change", "remove", "find"]


@dataclass(slots=True)
class PlainCall:
    """One call, as it arrived; `at` is on the monotonic clock, `status` None without an answer."""

    number: int
    action: Action
    body: JsonObject
    at: float
    message_id: str = ""
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


PlainFault: TypeAlias = Refusal | Drop | Hang | HtmlError | Slow


@dataclass(slots=True)
class PlainRule:
    """One entry of the plan; `left` counts down, None never does. `used` counts up."""

    action: Action | Literal["*"]
    fault: PlainFault
    left: int | None
    when: Callable[[PlainCall], bool]
    used: int = 0

    def fits(self, call: PlainCall) -> bool:
        """Whether it takes that call."""
        return self.left != 0 and self.action in {"*", call.action} and self.when(call)

    def use(self) -> PlainFault:
        """The fault, counted as used."""
        self.used += 1
        if self.left is not None:
            self.left -= 1
        return self.fault

    def stop(self) -> None:
        """No further call is hit by this rule."""
        self.left = 0
