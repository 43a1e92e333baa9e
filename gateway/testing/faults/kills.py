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
HISTORY_KILLS: Final = (4, 60)


async def _kill(stage: Stage) -> Observation:
    report = await _run(stage, kills=stage.kills or stage.pick(15, 1000))
    return Observation(in_one_line(report), report.violations)


async def _check_history(stage: Stage) -> Observation:
    """A run of its own, with more readers and fewer kills: each F1 run is checked so as well."""
    kills = stage.pick(*HISTORY_KILLS)
    report = await _run(stage, kills=min(stage.kills or kills, kills), readers=8)
    anomalies = [each for each in report.violations if each.promise == HISTORY]
    seen = (
        f"{report.kills} kills, {report.messages:,} appends and {report.reads:,} reads in "
        f"{report.sessions:,} sessions: {len(anomalies)} anomalies"
    )
    return Observation(seen, report.violations)


async def _run(stage: Stage, *, kills: int, readers: int = 2) -> KillReport:
    is_small = kills < SMALL_LOAD_BELOW
    plan = KillPlan(
        kills=kills,
        seed=stage.seed,
        crowd=Crowd(callers=8 if is_small else 18, people=8 if is_small else 16, readers=readers),
        recovery_limit_s=LOADED_RECOVERY_S if is_small else 2.0,
    )

    def tell(done: int, notes: Notes) -> None:
        stage.tell(f"{done:,} of {kills:,} kills, {len(notes.spoken):,} messages")

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
