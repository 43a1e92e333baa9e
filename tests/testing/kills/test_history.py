"""The history check: it takes every history that one order explains, and no other."""

from itertools import permutations

import pytest

from gateway.testing.kills.history import Append, Line, Read, anomalies

ONE = Append(text="one", invoked=1, acknowledged=2, answered=4, answer="to one")
TWO = Append(text="two", invoked=5, acknowledged=6, answered=8, answer="to two")
SAID_ONE, TO_ONE = Line("one"), Line("to one", "one")
SAID_TWO, TO_TWO = Line("two"), Line("to two", "two")
ALL = (SAID_ONE, TO_ONE, SAID_TWO, TO_TWO)


def read(*lines: Line, at: float, until: float | None = None) -> Read:
    return Read(lines=lines, invoked=at, responded=at + 0.5 if until is None else until)


LAST = read(*ALL, at=10)


@pytest.mark.parametrize(
    "reads",
    [
        [],
        [read(at=0)],
        [read(at=1, until=3), read(SAID_ONE, at=1, until=3)],
        [read(SAID_ONE, at=1.5, until=1.9)],
        [read(SAID_ONE, TO_ONE, at=3, until=3.5), read(SAID_ONE, TO_ONE, at=3.6, until=5)],
        [read(SAID_ONE, at=1, until=9), read(*ALL[:2], at=1, until=9)],
        [read(*ALL[:3], at=0.5, until=9)],
    ],
    ids=["no", "early", "beside", "unacknowledged", "before seen", "long", "longer"],
)
def test_reads_that_one_order_explains_are_taken(reads: list[Read]) -> None:
    for order in permutations([*reads, LAST]):
        assert anomalies([ONE, TWO], order) == []


@pytest.mark.parametrize(
    ("reads", "seen"),
    [
        ([read(at=2.5)], "has no 'one'"),
        ([read(SAID_ONE, at=4.5)], "has no 'to one'"),
        ([read(SAID_ONE, at=0.2)], "a read had 'one'"),
        ([read(*ALL[:3], at=4)], "a read had 'two'"),
        ([read(SAID_ONE, TO_ONE, at=1.5, until=2), read(SAID_ONE, at=3)], "a read had 'to one'"),
        ([read(SAID_ONE, SAID_TWO, at=6)], "one read has 'two' where another has 'to one'"),
        ([read(SAID_TWO, at=6)], "one read has 'two' where another has 'one'"),
    ],
    ids=["stale", "stale answer", "too early", "from the future", "back", "fork", "reordered"],
)
def test_a_read_that_no_order_explains_is_rejected(reads: list[Read], seen: str) -> None:
    found = anomalies([ONE, TWO], [*reads, LAST])

    assert any(seen in anomaly for anomaly in found), found


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        ((TO_ONE, SAID_ONE, SAID_TWO, TO_TWO), "'one' was answered before it was said"),
        ((*ALL, TO_TWO), "'two' was answered twice"),
        ((*ALL, SAID_TWO), "'two' was appended twice"),
        ((SAID_ONE, SAID_TWO, TO_TWO, TO_ONE), "'one' was answered after a later text"),
        ((*ALL, Line("three")), "nobody said 'three'"),
        ((SAID_ONE, TO_ONE), "'two' was acknowledged and is in no read"),
        ((*ALL[:3], Line("something else", "two")), "'two' was answered 'to two', and no read"),
        (ALL[:3], "'two' was answered 'to two', and no read"),
        ((SAID_TWO, TO_TWO, SAID_ONE, TO_ONE), "has no 'one'"),
    ],
    ids=[
        *("unsaid", "answered twice", "appended twice", "answers swapped", "made up", "lost"),
        *("other answer", "lost answer", "appends swapped"),
    ],
)
def test_a_history_that_the_model_would_not_have_made_is_rejected(
    lines: tuple[Line, ...], seen: str
) -> None:
    found = anomalies([ONE, TWO], [read(*lines, at=10)])

    assert any(seen in anomaly for anomaly in found), found


@pytest.mark.parametrize("lines", [(), (SAID_ONE,), (SAID_ONE, TO_ONE)])
def test_what_nobody_was_told_may_have_happened_or_not(lines: tuple[Line, ...]) -> None:
    assert anomalies([Append(text="one", invoked=1)], [read(*lines, at=10)]) == []


def test_texts_said_side_by_side_may_stand_in_either_order() -> None:
    one = Append(text="one", invoked=1, acknowledged=5)
    two = Append(text="two", invoked=2, acknowledged=4)

    assert anomalies([one, two], [read(SAID_ONE, SAID_TWO, at=10)]) == []
    assert anomalies([one, two], [read(SAID_TWO, SAID_ONE, at=10)]) == []


def test_what_was_acknowledged_and_never_read_is_lost() -> None:
    assert anomalies([ONE], []) == [
        "'one' was acknowledged and is in no read",
        "'one' was answered 'to one', and no read has that",
    ]
