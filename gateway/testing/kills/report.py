"""What a run of kills has shown, as one line of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from gateway.testing.kills.witness import Verdict, Violation

LOST: Final = frozenset(
    {"no message is lost", "every message has one answer", "every reply is delivered"}
)
TWICE: Final = frozenset({"no message is turned twice"})
OUT_OF_ORDER: Final = frozenset({"order is kept in a session", "replies leave in order"})
STUCK: Final = frozenset(
    {"every call comes to its end", "every event is taken", "everything comes to rest"}
)


@dataclass(frozen=True, slots=True)
class Start:
    """How long a start took until the gateway was ready; `is_idle`: with nothing to recover.

    What it waited for a processor that others had is not counted.
    """

    seconds: float
    is_idle: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KillReport:
    """Everything a run has shown; it passed when there are no violations."""

    plan: Mapping[str, Any]
    kills: int
    kills_in_start: int
    sessions: int
    reads: int
    counts: Mapping[str, int]
    verdict: Verdict
    violations: Sequence[Violation]
    starts: Sequence[Start]
    seconds: float

    @property
    def messages(self) -> int:
        """How many were said, repeats not counted."""
        ways = ("calls", "events on telegram", "events on plain")
        return sum(self.counts.get(way, 0) for way in ways)

    @property
    def idle_start_s(self) -> float:
        """Median of the starts with nothing to recover."""
        return median(start.seconds for start in self.starts if start.is_idle)

    @property
    def recoveries_s(self) -> list[float]:
        """Of each start after a kill, what it took longer than an idle one; may be below 0."""
        idle_s = self.idle_start_s
        return [start.seconds - idle_s for start in self.starts if not start.is_idle]


def in_one_line(report: KillReport) -> str:
    """The report as the line of a table: what was promised first, then what is allowed."""
    seen = report.violations
    broken = [
        f"{_count(seen, LOST)} lost",
        f"{_count(seen, TWICE)} twice",
        f"{_count(seen, OUT_OF_ORDER)} out of order",
        f"{_count(seen, STUCK)} stuck",
    ]
    repeats, verdict = report.verdict.repeats, report.verdict
    allowed = [
        f"{repeats.get('telegram', 0)} second sends on Telegram (each at a kill)",
        f"{repeats.get('plain', 0)} on a platform that can be asked",
    ]
    given_up = (
        f"{verdict.given_up} given up after 3 kills, {verdict.held} held, "
        f"{verdict.left_open} left open"
    )
    recoveries = report.recoveries_s or [0.0]
    recovery = f"recovery {max(median(recoveries), 0):.1f} s, at most {max(*recoveries, 0):.1f} s"
    return (
        f"{report.kills:,} kills, {report.messages:,} messages: {', '.join(broken)}; "
        f"{', '.join(allowed)}; {given_up}; {recovery}"
    )


def _count(violations: Sequence[Violation], promises: frozenset[str]) -> int:
    return sum(violation.promise in promises for violation in violations)
