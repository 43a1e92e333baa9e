"""Times of accepting: too slow is the 99th percentile of ten seconds above two."""

import pytest

from gateway.flow.accept_times import SLOW_S, WINDOW_S, AcceptTimes


class Clock:
    """Shows what it is set to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def times(clock: Clock) -> AcceptTimes:
    return AcceptTimes(clock)


def note(times: AcceptTimes, seconds: float, *, often: int = 1) -> None:
    for _ in range(often):
        times.note(seconds)


def test_a_process_that_has_accepted_nothing_is_well(times: AcceptTimes) -> None:
    assert times.problem is None


def test_one_slow_of_a_hundred_is_borne(times: AcceptTimes) -> None:
    note(times, 0.01, often=99)
    note(times, SLOW_S + 0.1)

    assert times.problem is None


def test_two_slow_of_a_hundred_are_too_many(times: AcceptTimes) -> None:
    note(times, 0.01, often=98)
    note(times, SLOW_S + 0.1, often=2)

    assert times.problem == "Accepting takes longer than 2 s."


def test_exactly_two_seconds_are_not_slow(times: AcceptTimes) -> None:
    note(times, SLOW_S)

    assert times.problem is None


def test_slow_ones_are_forgotten_after_ten_seconds_though_nothing_follows(
    clock: Clock, times: AcceptTimes
) -> None:
    note(times, 3)
    clock.now += WINDOW_S - 1
    still = times.problem

    clock.now += 1

    assert still is not None
    assert times.problem is None


def test_what_was_slow_long_ago_does_not_count_with_what_is_quick_now(
    clock: Clock, times: AcceptTimes
) -> None:
    for second in range(3 * WINDOW_S):
        clock.now = 1_000.0 + second
        note(times, 3 if second < WINDOW_S else 0.01)

    assert times.problem is None
