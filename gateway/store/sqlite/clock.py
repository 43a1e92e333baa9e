"""The store's clock: wall time that does not jump.

Takes the machine's two clocks, the wall's and the one that only counts. Gives the time for
everything the store writes: the wall's as it was when the clock was set, plus what has been counted
since. A jump of the wall changes nothing until `StoreClock.follow` is told to, after whoever keeps
the rows has moved what waits (see `waits.py`).

A `Mark` is the clock as one process leaves it to the next, for as long as the machine runs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MICROSECONDS = 1_000_000
JUMP = 5 * MICROSECONDS
"""A wall that is further off than this has jumped; a smaller difference is left alone."""

_MOST_JUMPS = 1_000
"""Remembered for retention; a wall that jumps more often is of no use to anybody."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Reading = Callable[[], int]
"""A clock as a function: microseconds."""


def system_clock() -> int:
    """The wall: the machine's own time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def system_counter() -> int:
    """Microseconds that never jump, since whenever."""
    return time.monotonic_ns() // 1000


@dataclass(frozen=True, slots=True)
class Mark:
    """What the store's clock showed (`at`) when the counting one of that `boot` showed `counted`.

    Times are microseconds: `at` since 1970, `counted` since whenever.
    """

    boot: str
    counted: int
    at: int


class StoreClock:
    """One store's clock; called, it gives microseconds since 1970, UTC. Used by all its threads."""

    def __init__(
        self,
        *,
        wall: Reading = system_clock,
        counted: Reading = system_counter,
        boot: str | None = None,
    ) -> None:
        self._wall = wall
        self._counted = counted
        self._boot = boot_id() if boot is None else boot
        self._offset = wall() - counted()
        self._jumps: deque[tuple[int, int]] = deque(maxlen=_MOST_JUMPS)

    def __call__(self) -> int:
        """The time now."""
        return self._counted() + self._offset

    def jump(self) -> int:
        """How far the wall has jumped ahead of this clock (below 0: back); 0 = it has not."""
        ahead = self._wall() - self()
        return ahead if abs(ahead) > JUMP else 0

    def follow(self, jump: int) -> None:
        """Jump by so much, too."""
        self._jumps.append((self._counted(), jump))
        self._offset += jump

    def mark(self) -> Mark:
        """What the next process needs to go on from here."""
        counted = self._counted()
        return Mark(self._boot, counted, counted + self._offset)

    def go_on_from(self, mark: Mark) -> None:
        """Show what the clock that left the mark would show by now.

        After the machine was started anew nobody knows how long that took: then time has not gone
        back, and that is all.
        """
        if mark.boot and mark.boot == self._boot:
            self._offset = mark.at - mark.counted
        else:
            self._offset = max(self._offset, mark.at - self._counted())

    def jumped_ahead(self, *, within: float) -> int:
        """How much of the last so many microseconds was jumped over and did not really pass."""
        since = self._counted() - within
        return sum(by for counted, by in self._jumps if by > 0 and counted > since)


def boot_id() -> str:
    """What names this run of the machine's kernel; empty where the system has no such name."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
