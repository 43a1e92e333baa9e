"""How fast messages may leave one sender.

A long code sends about one segment a second (Twilio, "Understanding Twilio rate limits and message
queues"); what comes faster waits in Twilio's queue, up to ten hours of it, and is then refused with
21611. A program that paces itself leaves that queue empty, which `early` checks. Pure of I/O.
"""

from dataclasses import dataclass
from typing import Final

from gateway.testing.pace import TOLERANCE, Waits

EVERYTHING: Final = "everything"
"""A 429 is about all calls of the account."""


@dataclass(frozen=True, slots=True)
class SegmentRate:
    """Segments a second of one sender, and how many seconds of them its queue holds."""

    per_s: float = 1.0
    queue_s: float = 36000.0


class SegmentPace:
    """Remembers until when each sender is busy."""

    def __init__(self, rate: SegmentRate | None) -> None:
        self.early: list[str] = []
        self._rate = rate
        self._free_at: dict[str, float] = {}
        self._waits = Waits()

    def is_full(self, sender: str, at: float) -> bool:
        """The sender's queue takes nothing more."""
        return self._rate is not None and self._backlog_s(sender, at) > self._rate.queue_s

    def take(self, sender: str, segments: int, *, at: float) -> None:
        """A message was queued; one that has to wait there is noted as early."""
        if self._rate is None:
            return
        backlog_s = self._backlog_s(sender, at)
        if backlog_s > 0:
            self.early.append(f"a message from {sender} came {backlog_s:.2f} s too early")
        span_s = segments / self._rate.per_s * TOLERANCE
        self._free_at[sender] = at + backlog_s + span_s

    def tell_to_wait(self, at: float, retry_after_s: float) -> None:
        """The caller was told by a 429 when to come again."""
        self._waits.tell(EVERYTHING, retry_after_s, at=at)

    def note_call(self, operation: str, at: float) -> None:
        """Note a call that came before that."""
        early_s = self._waits.early_s(EVERYTHING, at=at)
        if early_s > 0:
            self.early.append(f"{operation} came {early_s:.2f} s too early")

    def _backlog_s(self, sender: str, at: float) -> float:
        return max(0.0, self._free_at.get(sender, 0.0) - at)
