"""The platform's sending limits, as an option of the fake.

Telegram publishes them as advice (Bots FAQ, "My bot is hitting limits"): about one message a second
in a chat, 20 a minute in a group, 30 a second over all chats; edits count too. The real server
tolerates short bursts; `Rates` says how many. Pure of I/O: times come in as arguments.
"""

from dataclasses import dataclass, field
from typing import Final

from gateway.testing.pace import Passages, Waits, Window
from gateway.testing.telegram.faults import BotCall

PACED: Final = ("send", "edit", "copy", "forward")
"""Beginnings of the names of methods that count."""

UNPACED: Final = frozenset({"sendChatAction", "sendMessageDraft"})
"""These carry no message; the limit of drafts is not published."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits in force."""

    per_chat: Window = field(default_factory=lambda: Window(1, 1.0))
    per_group: Window = field(default_factory=lambda: Window(20, 60.0))
    overall: Window = field(default_factory=lambda: Window(30, 1.0))
    set_webhook: Window = field(default_factory=lambda: Window(1, 1.0))


class Pace:
    """Judges the calls of one bot; `early` are those that came before their chat's time."""

    def __init__(self, rates: Rates | None) -> None:
        self.early: list[str] = []
        self._rates = rates
        self._passages = Passages()
        self._waits = Waits()

    def retry_after(self, call: BotCall) -> int | None:
        """Whole seconds the caller must wait, or None: the call passes and counts."""
        return self._passages.retry_after(self._windows(call), at=call.at)

    def block(self, call: BotCall, retry_after_s: int) -> None:
        """The caller was told to wait with this chat, by a limit or by a fault."""
        if is_paced(call):
            self._waits.tell(_chat(call), retry_after_s, at=call.at)

    def note_early(self, call: BotCall) -> None:
        """Record a call that came before the time its chat was told."""
        early_s = self._waits.early_s(_chat(call), at=call.at)
        if is_paced(call) and early_s > 0:
            self.early.append(f"{call.method} to chat {call.chat} came {early_s:.2f} s too early")

    def _windows(self, call: BotCall) -> dict[str, Window]:
        if self._rates is None:
            return {}
        if call.method == "setWebhook":
            return {"webhook": self._rates.set_webhook}
        if not is_paced(call):
            return {}
        windows = {"all": self._rates.overall, _chat(call): self._rates.per_chat}
        if call.chat < 0:
            windows[f"group {call.chat}"] = self._rates.per_group
        return windows


def is_paced(call: BotCall) -> bool:
    """The call counts against the limits."""
    return call.method.startswith(PACED) and call.method not in UNPACED


def _chat(call: BotCall) -> str:
    return f"chat {call.chat}"
