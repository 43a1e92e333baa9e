"""The platform's sending limits, as an option of the fake.

Telegram publishes them as advice (Bots FAQ, "My bot is hitting limits"): about one message a second
in a chat, 20 a minute in a group, 30 a second over all chats; edits count too. The real server
tolerates short bursts; `Rates` says how many. Pure of I/O: times come in as arguments.
"""

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Final

from gateway.testing.telegram.faults import BotCall

PACED: Final = ("send", "edit", "copy", "forward")
"""Beginnings of the names of methods that count."""

UNPACED: Final = frozenset({"sendChatAction", "sendMessageDraft"})
"""These carry no message; the limit of drafts is not published."""

TOLERANCE: Final = 0.95
"""A sender that keeps the limit to the millisecond still sees jitter on its way."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` calls in `seconds`."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits in force."""

    per_chat: Window = field(default_factory=lambda: Window(1, 1.0))
    per_group: Window = field(default_factory=lambda: Window(20, 60.0))
    overall: Window = field(default_factory=lambda: Window(30, 1.0))
    set_webhook: Window = field(default_factory=lambda: Window(1, 1.0))


class Pace:
    """Remembers when calls were let through, and judges the next one."""

    def __init__(self, rates: Rates | None) -> None:
        self._rates = rates
        self._passed: dict[str, deque[float]] = defaultdict(deque)
        self._blocked_until: dict[int, float] = {}
        self.early: list[str] = []

    def retry_after(self, call: BotCall) -> int | None:
        """Whole seconds the caller must wait, or None: the call passes and counts."""
        windows = self._windows(call)
        waits = [self._wait_s(name, window, call.at) for name, window in windows.items()]
        longest = max(waits, default=0.0)
        if longest > 0:
            return max(1, math.ceil(longest))
        for name in windows:
            self._passed[name].append(call.at)
        return None

    def block(self, call: BotCall, retry_after_s: int) -> None:
        """The caller was told to wait with this chat, by a limit or by a fault."""
        if is_paced(call):
            until = call.at + retry_after_s * TOLERANCE
            self._blocked_until[call.chat] = max(until, self._blocked_until.get(call.chat, 0.0))

    def note_early(self, call: BotCall) -> None:
        """Record a call that came before the time its chat was told."""
        early_s = self._blocked_until.get(call.chat, 0.0) - call.at
        if is_paced(call) and early_s > 0:
            self.early.append(f"{call.method} to chat {call.chat} came {early_s:.2f} s too early")

    def _windows(self, call: BotCall) -> dict[str, Window]:
        if self._rates is None:
            return {}
        if call.method == "setWebhook":
            return {"webhook": self._rates.set_webhook}
        if not is_paced(call):
            return {}
        windows = {"all": self._rates.overall, f"chat {call.chat}": self._rates.per_chat}
        if call.chat < 0:
            windows[f"group {call.chat}"] = self._rates.per_group
        return windows

    def _wait_s(self, name: str, window: Window, now: float) -> float:
        span_s = window.seconds * TOLERANCE
        passed = self._passed[name]
        while passed and passed[0] <= now - span_s:
            passed.popleft()
        return passed[-window.count] + span_s - now if len(passed) >= window.count else 0.0


def is_paced(call: BotCall) -> bool:
    """The call counts against the limits."""
    return call.method.startswith(PACED) and call.method not in UNPACED
