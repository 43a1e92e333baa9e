"""How long accepting has taken of late, and whether that is too long to be sent more.

Counts in seconds of the clock, so that it costs the same under any load. Nothing accepted for a
while is no reason to complain: a process that is sent nothing becomes ready again by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

SLOW_S = 2.0
WINDOW_S = 10
MOST_SLOW = 0.01
"""The share of slow ones above which their 99th percentile is slow."""


@dataclass(slots=True)
class _Second:
    """What was accepted within one second."""

    number: int
    total: int = 0
    slow: int = 0


class AcceptTimes:
    """Times of one process.

    >>> times = AcceptTimes(clock=lambda: 100.0)
    >>> times.note(0.01), times.problem
    (None, None)
    >>> times.note(3.5), times.problem
    (None, 'Accepting takes longer than 2 s.')
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._seconds: deque[_Second] = deque(maxlen=WINDOW_S)

    def note(self, seconds: float) -> None:
        """Something was accepted, or refused by the store, after so long."""
        now = int(self._clock())
        if not self._seconds or self._seconds[-1].number != now:
            self._seconds.append(_Second(now))
        current = self._seconds[-1]
        current.total += 1
        current.slow += seconds > SLOW_S

    @property
    def problem(self) -> str | None:
        """What is wrong when the 99th percentile of the last ten seconds is slow."""
        oldest = int(self._clock()) - WINDOW_S
        recent = [second for second in self._seconds if second.number > oldest]
        slow = sum(second.slow for second in recent)
        if slow <= MOST_SLOW * sum(second.total for second in recent):
            return None
        return f"Accepting takes longer than {SLOW_S:g} s."
