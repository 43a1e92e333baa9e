"""A gateway that is killed again and again under load, by the command that operators have too."""

import json

import pytest
from rich.console import Console

from gateway.testing.kills.report import KillReport, Start, table
from gateway.testing.kills.run import main
from gateway.testing.kills.witness import Verdict, Violation

KILLS = 15


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_fifteen_kills_under_load_break_no_promise(capfd: pytest.CaptureFixture[str]) -> None:
    load = ("--callers", "12", "--chats", "12", "--recovery-limit", "15")

    code = main(["--kills", str(KILLS), *load, "--json"])

    out = capfd.readouterr().out
    report = json.loads(out)
    assert (code, report["violations"]) == (0, []), out
    assert report["passed"]
    assert report["kills"] == KILLS
    assert report["answered"] > 10 * KILLS


def shown(*violations: Violation) -> str:
    """The table of a run with these violations."""
    report = KillReport(
        plan={"recovery_limit_s": 2.0},
        kills=3,
        kills_in_start=1,
        sessions=2,
        counts={"calls": 5, "repeated calls": 7, "updates": 4},
        verdict=Verdict(violations=(), answered=9, repeats=1, held=0, given_up=0),
        violations=violations,
        starts=[Start(1.0, is_idle=True), Start(1.5, is_idle=False)],
        seconds=12.3,
    )
    console = Console(width=100)
    with console.capture() as captured:
        console.print(table(report))
    return captured.get()


def test_the_table_says_what_was_seen() -> None:
    text = shown()

    assert "9 of 9" in text
    assert "0.50 s" in text
    assert "Every promise was kept." in text


def test_the_table_names_each_broken_promise() -> None:
    text = shown(Violation("no message is lost", "chat 7 says 1", "it is not in history"))

    assert "no message is lost: chat 7 says 1: it is not in history" in text
    assert "broken" in text
    assert "Every promise was kept." not in text
