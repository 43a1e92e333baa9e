"""What a run of kills has shown, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.testing.kills.witness import Verdict, Violation, summary

SHOWN_VIOLATIONS = 20


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
    counts: Mapping[str, int]
    verdict: Verdict
    violations: Sequence[Violation]
    starts: Sequence[Start]
    seconds: float

    @property
    def idle_start_s(self) -> float:
        """Median of the starts with nothing to recover."""
        return median(start.seconds for start in self.starts if start.is_idle)

    @property
    def recoveries_s(self) -> list[float]:
        """Of each start after a kill, what it took longer than an idle one; may be below 0."""
        idle_s = self.idle_start_s
        return [start.seconds - idle_s for start in self.starts if not start.is_idle]


def as_json(report: KillReport) -> str:
    """The report for programs."""
    recoveries = report.recoveries_s
    return json.dumps(
        {
            "passed": not report.violations,
            "plan": dict(report.plan),
            "kills": report.kills,
            "kills_in_start": report.kills_in_start,
            "sessions": report.sessions,
            "messages": dict(report.counts),
            "answered": report.verdict.answered,
            "given_up": report.verdict.given_up,
            "repeated_sends": report.verdict.repeats,
            "held_sends": report.verdict.held,
            "idle_start_s": round(report.idle_start_s, 3),
            "recovery_p50_s": round(median(recoveries), 3),
            "recovery_max_s": round(max(recoveries), 3),
            "seconds": round(report.seconds, 1),
            "violations": [asdict(violation) for violation in report.violations],
        },
        indent=2,
    )


def table(report: KillReport) -> RenderableType:
    """The report for people."""
    rows = Table(
        "what", "seen", "allowed", "", box=SIMPLE_HEAD, title_justify="left", pad_edge=False
    )
    rows.title = f"{report.kills} kills in {report.seconds:.0f} s"
    for name, seen, allowed in _rows(report):
        rows.add_row(name, seen, allowed, "")
    for promise, times in summary(report.violations).items():
        rows.add_row(promise, str(times), "0", Text("broken", style="bold red"))
    shown = [
        Text(f"{violation.promise}: {violation.where}: {violation.seen}", style="red")
        for violation in report.violations[:SHOWN_VIOLATIONS]
    ]
    passed = Text("Every promise was kept.", style="bold green")
    return Group(rows, *(shown or [passed]))


def _rows(report: KillReport) -> list[tuple[str, str, str]]:
    counts, verdict, recoveries = report.counts, report.verdict, report.recoveries_s
    said = counts.get("calls", 0) + counts.get("updates", 0)
    return [
        ("kills, of them while starting", f"{report.kills}, {report.kills_in_start}", ""),
        ("sessions", str(report.sessions), ""),
        ("calls over REST, repeated", _pair(counts, "calls", "repeated calls"), ""),
        ("updates of Telegram, repeated", _pair(counts, "updates", "repeated updates"), ""),
        ("messages answered once", f"{verdict.answered} of {said}", "all"),
        ("given up after 3 kills", str(verdict.given_up), "counted"),
        ("sent twice around a kill", f"{verdict.repeats}", "once a message"),
        ("held after 2 such sends", str(verdict.held), "counted"),
        ("start with nothing to recover", f"{report.idle_start_s:.2f} s", ""),
        ("recovery beyond that, median", f"{median(recoveries):.2f} s", ""),
        (
            "recovery beyond that, longest",
            f"{max(recoveries):.2f} s",
            f"{report.plan['recovery_limit_s']} s",
        ),
    ]


def _pair(counts: Mapping[str, int], first: str, second: str) -> str:
    return f"{counts.get(first, 0)}, {counts.get(second, 0)}"
