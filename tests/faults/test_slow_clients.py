"""The judge of F26 sees slow clients that stay, and others who wait for them."""

from dataclasses import replace

import pytest

from gateway.testing.faults.props.measures import Laps
from gateway.testing.faults.rows.slow_clients import Slowness, judge_slowness

QUICK = Laps(seen=[0.3] * 100, own=[0.02] * 100)
GOOD = Slowness(count=75, closed=75, longest_s=10.1, limit_s=15, healthy=QUICK)


def test_slow_clients_that_are_hung_up_on_in_time_break_nothing() -> None:
    assert judge_slowness(GOOD) == []


@pytest.mark.parametrize(
    ("found", "promise"),
    [
        (replace(GOOD, closed=74), "slow clients are hung up on"),
        (replace(GOOD, longest_s=15.1), "slow clients are hung up on in time"),
        (replace(GOOD, healthy=Laps(own=[0.25] * 9)), "others do not wait for them"),
        (replace(GOOD, healthy=Laps()), "others do not wait for them"),
    ],
    ids=["one stays", "late", "others wait", "nobody was timed"],
)
def test_what_they_may_not_do_is_seen(found: Slowness, promise: str) -> None:
    assert [violation.promise for violation in judge_slowness(found)] == [promise]
