"""The judge of F20 sees a stop that takes long or ends badly, and callers who are left alone."""

import pytest

from gateway.testing.faults.rows.stopping import LOST, Stop, Told, judge_callers, judge_stop
from gateway.testing.kills.witness import Spoken

SAID = Spoken("slow 1", 1, 0.0)
ANSWERED = Told(SAID, 200, text=SAID.answer)
SENT_AWAY = Told(SAID, 503, may_retry=True)


def test_an_orderly_stop_breaks_nothing() -> None:
    assert judge_stop(Stop(code=0, seconds=9.9, drain_s=5)) == []


@pytest.mark.parametrize(
    ("stop", "promise"),
    [
        (Stop(code=1, seconds=1, drain_s=5), "a stop ends with 0"),
        (Stop(code=0, seconds=10.1, drain_s=5), "a stop ends in time"),
    ],
    ids=["code", "time"],
)
def test_a_stop_out_of_order_is_seen(stop: Stop, promise: str) -> None:
    [found] = judge_stop(stop)

    assert found.promise == promise


def test_callers_who_were_answered_or_may_come_back_break_nothing() -> None:
    assert judge_callers([ANSWERED, SENT_AWAY], [ANSWERED, ANSWERED]) == []


@pytest.mark.parametrize(
    "told",
    [Told(SAID, LOST), Told(SAID, 503), Told(SAID, 500), Told(SAID, 200, text="Heard: another")],
    ids=["nothing", "no time to come back", "an error", "another's answer"],
)
def test_a_caller_who_cannot_go_on_is_seen(told: Told) -> None:
    [found] = judge_callers([told], [ANSWERED])

    assert found.promise == "a caller can act on what it is told"


def test_a_repeat_without_the_answer_is_seen() -> None:
    [found] = judge_callers([SENT_AWAY], [SENT_AWAY])

    assert found.promise == "a repeat gets the answer"
