"""The judge of the crash points: it knows each point's outcome, and sees every other one."""

from dataclasses import replace

import pytest

from gateway.flow.crash_points import CRASH_POINTS, CrashPoint
from gateway.testing.faults.rows.crash_points import (
    OUTCOMES,
    SMALL,
    Crash,
    Way,
    judge_crash,
    points_of,
)

AFTER_T3 = Crash(
    way="asked", point="after_t3", exit_code=-9, is_answered=True, thinks=1, doubts=0, copies=1
)


def broken(crash: Crash) -> list[str]:
    return [violation.promise for violation in judge_crash(crash)]


def test_each_point_has_an_outcome_and_a_place_in_the_small_run() -> None:
    assert tuple(OUTCOMES) == CRASH_POINTS
    assert sorted(point for points in SMALL.values() for point in points) == sorted(CRASH_POINTS)
    assert all(point in points_of(way) for way, points in SMALL.items() for point in points)


def test_a_message_passes_only_the_points_on_its_way() -> None:
    assert points_of("growing") == list(CRASH_POINTS)
    assert set(CRASH_POINTS) - set(points_of("telegram")) == {"after_t2b", "after_opening"}
    assert len(points_of("asked")) == 11
    assert len(points_of("rest")) == 8


def test_the_outcome_of_a_point_is_taken() -> None:
    assert broken(AFTER_T3) == []


@pytest.mark.parametrize(
    ("crash", "promise"),
    [
        (replace(AFTER_T3, exit_code=None), "the process dies at its point"),
        (replace(AFTER_T3, exit_code=1), "the process dies at its point"),
        (
            replace(AFTER_T3, is_answered=False),
            "both messages are answered after the restart",
        ),
        (replace(AFTER_T3, thinks=2), "the model is asked again only where it must"),
        (replace(AFTER_T3, copies=0), "the reply stands there 1x"),
        (replace(AFTER_T3, copies=2), "the reply stands there 1x"),
        (replace(AFTER_T3, doubts=1), "only a doubtful delivery is looked into"),
    ],
    ids=["no death", "another end", "no answer", "asked again", "no reply", "twice", "doubt"],
)
def test_another_outcome_is_seen(crash: Crash, promise: str) -> None:
    assert broken(crash) == [promise]


@pytest.mark.parametrize(
    ("way", "point", "copies", "doubts"),
    [
        ("telegram", "after_t4", 1, 1),
        ("telegram", "after_send", 2, 1),
        ("asked", "after_send", 1, 1),
        ("growing", "after_send", 1, 1),
        ("telegram", "after_t5", 1, 0),
    ],
)
def test_a_reply_stands_twice_only_where_nobody_can_be_asked(
    way: Way, point: CrashPoint, copies: int, doubts: int
) -> None:
    crash = replace(AFTER_T3, way=way, point=point, copies=copies, doubts=doubts)

    assert broken(crash) == []
    assert broken(replace(crash, copies=copies + 1)) != []
    assert broken(replace(crash, doubts=1 - doubts)) != []
