"""The judge of F21 sees turns that are not run again, or too often, and a pulse that goes on."""

from collections import Counter
from dataclasses import replace

import pytest

from gateway.testing.faults.rows.stalls import AFTER, ALWAYS, ONCE, Stalled, judge_stalls


def answered(text: str) -> dict[str, object]:
    return {"status": "completed", "output_text": f"Heard: {text}", "error": None}


def failed(code: str) -> dict[str, object]:
    return {"status": "failed", "output_text": None, "error": {"code": code}}


GOOD = Stalled(
    once=answered(ONCE),
    always=failed("poison"),
    after=answered(AFTER),
    runs=Counter({ONCE: 2, ALWAYS: 3}),
    aborted=4,
)


def test_turns_that_are_run_again_and_given_up_break_nothing() -> None:
    assert judge_stalls(GOOD) == []


@pytest.mark.parametrize(
    ("stalled", "promise"),
    [
        (replace(GOOD, once=failed("poison")), "what can be answered is answered"),
        (replace(GOOD, after=failed("internal")), "what can be answered is answered"),
        (replace(GOOD, always=failed("tool_error")), "a turn that always blocks is given up"),
        (replace(GOOD, always=answered(ALWAYS)), "a turn that always blocks is given up"),
        (replace(GOOD, runs=Counter({ALWAYS: 4})), "a turn is given up after three runs"),
        (replace(GOOD, aborted=0), "a process that blocks has no pulse"),
    ],
    ids=["not again", "not after", "another error", "answered", "four runs", "a pulse"],
)
def test_what_may_not_happen_is_seen(stalled: Stalled, promise: str) -> None:
    assert [found.promise for found in judge_stalls(stalled)] == [promise]
