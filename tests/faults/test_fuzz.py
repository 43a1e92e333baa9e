"""The judge of F29 sees what schemathesis found, and runs that saw too little."""

from typing import Any

from gateway.testing.faults.rows.fuzz import Told, judge_reports

CLEAN: dict[str, Any] = {
    "complete": True,
    "stop_reason": "completed",
    "operations": {"selected": 37, "tested": 37},
    "test_cases": {"generated": 600},
    "failures": [],
    "errors": [],
}
FAILURE = {"title": "Server error", "count": 3, "operations": ["POST /v1/chat"]}


def seen(*reports: dict[str, Any], least: int = 500) -> list[str]:
    told = [Told("admin", report) for report in reports]
    return [violation.seen for violation in judge_reports(told, least=least)]


def test_runs_without_findings_hold() -> None:
    assert seen(CLEAN, CLEAN, least=1200) == []


def test_a_finding_is_seen_with_its_operations() -> None:
    assert seen(CLEAN | {"failures": [FAILURE]}) == ["3x Server error at POST /v1/chat"]


def test_too_few_requests_are_seen() -> None:
    assert seen(CLEAN, least=601) == ["600 of 601 requests"]


def test_a_run_that_broke_off_is_seen() -> None:
    broken = CLEAN | {"complete": False, "stop_reason": "interrupted"}

    assert seen(broken)[0].startswith("interrupted")


def test_an_operation_that_was_not_tried_is_seen() -> None:
    assert len(seen(CLEAN | {"operations": {"selected": 37, "tested": 36}})) == 1


def test_an_error_of_the_run_itself_is_seen() -> None:
    assert seen(CLEAN | {"errors": [{"title": "Timeout"}]}) == ['{"title": "Timeout"}']
