"""The judge of jumping clocks sees a lease that ended early; its wall clock can be set."""

from pathlib import Path

import pytest

from gateway.testing.faults.fault import CannotRun
from gateway.testing.faults.rows.clocks import HOUR, WallClock, judge_attempts


@pytest.fixture
def wall(tmp_path: Path) -> WallClock:
    try:
        return WallClock(tmp_path)
    except CannotRun as error:
        pytest.skip(str(error))


def test_turns_that_ran_once_are_right() -> None:
    assert judge_attempts([1, 1, 1]) == []


def test_a_turn_that_ran_twice_is_seen() -> None:
    [broken] = judge_attempts([1, 2, 1])

    assert broken.seen == "1 of 3 turns ran more than once"


def test_jumps_of_the_wall_clock_add_up(wall: WallClock) -> None:
    wall.jump(2 * HOUR)
    wall.jump(-HOUR)

    told = Path(wall.environment["FAKETIME_TIMESTAMP_FILE"]).read_text()
    assert told == "+3600\n"
