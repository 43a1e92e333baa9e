"""A gateway that is killed again and again under load, and the judge of that."""

from pathlib import Path

import pytest

from gateway.testing.kill_report import as_json
from gateway.testing.kills import KillPlan, run

KILLS = 15


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_fifteen_kills_under_load_break_no_promise(tmp_path: Path) -> None:
    plan = KillPlan(kills=KILLS, callers=12, chats=12, recovery_limit_s=15)

    report = await run(plan, tmp_path)

    assert report.violations == [], as_json(report)
    assert report.kills == KILLS
    assert report.verdict.answered > 10 * KILLS
