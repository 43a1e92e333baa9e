"""What the rows of random kills plan, and what they tell."""

from pathlib import Path

from gateway.testing.faults.fault import Stage
from gateway.testing.faults.rows.kills import history_in_one_line, plan_of_history, plan_of_kills
from gateway.testing.kills.operations import HISTORY
from gateway.testing.kills.report import KillReport, Start
from gateway.testing.kills.witness import Verdict, Violation

SMALL = Stage(folder=Path())
LARGE = Stage(folder=Path(), size="large", seed=7)
ASKED = Stage(folder=Path(), size="large", kills=400)


def test_a_small_run_fits_into_a_test_suite() -> None:
    plan = plan_of_kills(SMALL)

    assert plan.kills == 15
    assert plan.crowd.callers + 2 * plan.crowd.people < 30


def test_a_large_run_kills_a_thousand_times_with_fifty_sessions_at_work() -> None:
    plan = plan_of_kills(LARGE)

    assert (plan.kills, plan.seed) == (1000, 7)
    assert plan.crowd.callers + 2 * plan.crowd.people == 50
    assert plan.recovery_limit_s == 2.0


def test_the_number_of_kills_can_be_told() -> None:
    assert plan_of_kills(ASKED).kills == 400


def test_the_history_check_has_a_shorter_run_with_more_readers() -> None:
    kills = [plan_of_history(stage).kills for stage in (SMALL, LARGE, ASKED)]

    assert kills == [4, 60, 60]
    assert plan_of_history(LARGE).crowd.readers > plan_of_kills(LARGE).crowd.readers


def test_the_history_check_counts_its_own_findings() -> None:
    found = [Violation(HISTORY, "ses_1", "stale"), Violation("no message is lost", "x", "y")]
    report = KillReport(
        plan={},
        kills=4,
        kills_in_start=0,
        sessions=3,
        reads=1200,
        counts={"calls": 1000, "events on telegram": 100, "events on plain": 10},
        verdict=Verdict(violations=(), answered=0, repeats={}, held=0, given_up=0),
        violations=found,
        starts=[Start(1.0, is_idle=True)],
        seconds=1.0,
    )

    assert history_in_one_line(report) == (
        "4 kills, 1,110 appends and 1,200 reads in 3 sessions: 1 anomalies"
    )
