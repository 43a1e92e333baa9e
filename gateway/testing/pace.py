"""How fast calls may come, and who was told to wait: what the fakes that keep a pace share.

Which calls count, by which windows and for whom, each platform says in its own room. Pure of I/O:
times come in as arguments, in seconds on one clock.
"""

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

TOLERANCE: Final = 0.95
"""A sender that keeps the limit to the millisecond still sees jitter on its way."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` calls in `seconds`."""

    count: int
    seconds: float


class Passages:
    """Remembers when calls were let through, and judges the next one."""

    def __init__(self) -> None:
        self._passed: dict[str, deque[float]] = defaultdict(deque)

    def retry_after(self, windows: Mapping[str, Window], *, at: float) -> int | None:
        """Whole seconds to wait for all windows, or None: the call passes and counts in each.

        >>> passages = Passages()
        >>> [passages.retry_after({"chat 7": Window(1, 3.0)}, at=at) for at in (0.0, 1.0, 3.0)]
        [None, 2, None]
        """
        waits = [self._wait_s(name, window, at) for name, window in windows.items()]
        longest = max(waits, default=0.0)
        if longest > 0:
            return max(1, math.ceil(longest))
        for name in windows:
            self._passed[name].append(at)
        return None

    def _wait_s(self, name: str, window: Window, now: float) -> float:
        span_s = window.seconds * TOLERANCE
        passed = self._passed[name]
        while passed and passed[0] <= now - span_s:
            passed.popleft()
        return passed[-window.count] + span_s - now if len(passed) >= window.count else 0.0


class Waits:
    """Remembers until when callers were told to wait, each with one subject."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def tell(self, subject: str, retry_after_s: float, *, at: float) -> None:
        """The caller was told to wait, by a limit or by a fault; the longest wait counts."""
        until = at + retry_after_s * TOLERANCE
        self._until[subject] = max(until, self._until.get(subject, until))

    def early_s(self, subject: str, *, at: float) -> float:
        """How much too early a call comes; 0 when it may."""
        return max(0.0, self._until.get(subject, at) - at)
