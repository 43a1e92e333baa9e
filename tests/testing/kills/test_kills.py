"""What is told of a run of kills: one line of figures, and each broken promise in its place."""

import pytest

from gateway.testing.kills.report import KillReport, Start, in_one_line
from gateway.testing.kills.witness import Verdict, Violation


def report(*violations: Violation, repeats: dict[str, int] | None = None) -> KillReport:
    """A run with these violations."""
    return KillReport(
        plan={},
        kills=1000,
        kills_in_start=1,
        sessions=2,
        reads=3,
        counts={
            "calls": 5000,
            "repeated calls": 7,
            "events on telegram": 400,
            "events on plain": 30,
        },
        verdict=Verdict(violations=(), answered=9, repeats=repeats or {}, held=1, given_up=2),
        violations=violations,
        starts=[Start(1.0, is_idle=True), Start(1.5, is_idle=False), Start(0.7, is_idle=False)],
        seconds=12.3,
    )


def test_the_line_says_what_was_done_and_seen() -> None:
    assert in_one_line(report(repeats={"telegram": 41})) == (
        "1,000 kills, 5,430 messages: 0 lost, 0 twice, 0 out of order, 0 stuck; "
        "41 second sends on Telegram (each at a kill), 0 on a platform that can be asked; "
        "2 given up after 3 kills, 1 held, 0 left open; recovery 0.1 s, at most 0.5 s"
    )


@pytest.mark.parametrize(
    ("promise", "told"),
    [
        ("no message is lost", "1 lost"),
        ("every reply is delivered", "1 lost"),
        ("no message is turned twice", "1 twice"),
        ("replies leave in order", "1 out of order"),
        ("everything comes to rest", "1 stuck"),
    ],
)
def test_the_line_counts_each_broken_promise(promise: str, told: str) -> None:
    assert f" {told}" in in_one_line(report(Violation(promise, "chat 7", "seen")))
