"""Kill -9 at random moments under load (F1), and whether what callers saw is one history (F31)."""

from __future__ import annotations

from typing import Final

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.kills.load import Crowd
from gateway.testing.kills.notes import Notes
from gateway.testing.kills.operations import HISTORY
from gateway.testing.kills.report import KillReport, in_one_line
from gateway.testing.kills.run import KillPlan, run

SMALL_LOAD_BELOW: Final = 50
"""With so many kills and more, about fifty sessions are at work at any time."""
LOADED_RECOVERY_S: Final = 15.0
"""A small run shares its machine with other tests; how quick recovery is, a large one judges."""
RECOVERY_S: Final = 2.0
HISTORY_KILLS: Final = (4, 60)


async def _kill(stage: Stage) -> Observation:
    report = await _run(stage, plan_of_kills(stage))
    return Observation(in_one_line(report), report.violations)


async def _check_history(stage: Stage) -> Observation:
    report = await _run(stage, plan_of_history(stage))
    return Observation(history_in_one_line(report), report.violations)


def plan_of_kills(stage: Stage) -> KillPlan:
    """F1: few kills and people for a test suite, a thousand and fifty otherwise."""
    return _plan(stage, kills=stage.kills or stage.pick(15, 1000), readers=2)


def plan_of_history(stage: Stage) -> KillPlan:
    """F31: a run of its own, with more who read; every F1 run is checked in the same way."""
    most = stage.pick(*HISTORY_KILLS)
    return _plan(stage, kills=min(stage.kills or most, most), readers=8)


def history_in_one_line(report: KillReport) -> str:
    """How much was checked, and what was found."""
    anomalies = sum(violation.promise == HISTORY for violation in report.violations)
    return (
        f"{report.kills} kills, {report.messages:,} appends and {report.reads:,} reads in "
        f"{report.sessions:,} sessions: {anomalies} anomalies"
    )


def _plan(stage: Stage, *, kills: int, readers: int) -> KillPlan:
    is_small = kills < SMALL_LOAD_BELOW
    return KillPlan(
        kills=kills,
        crowd=Crowd(callers=8 if is_small else 18, people=8 if is_small else 16, readers=readers),
        seed=stage.seed,
        recovery_limit_s=LOADED_RECOVERY_S if is_small else RECOVERY_S,
    )


async def _run(stage: Stage, plan: KillPlan) -> KillReport:
    def tell(done: int, notes: Notes) -> None:
        stage.tell(f"{done:,} of {plan.kills:,} kills, {len(notes.spoken):,} messages")

    return await run(plan, stage.room("gateway"), tell=tell)


KILLS: Final = Fault(
    id="F1",
    name="kills at random",
    promise="nothing lost, twice, out of order or stuck",
    injected="kill -9 at random moments under load",
    run=_kill,
)

HISTORY_CHECK: Final = Fault(
    id="F31",
    name="history check",
    promise="all that callers saw is one history a session",
    injected="every operation of a kill run, checked",
    run=_check_history,
)
