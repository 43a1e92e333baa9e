"""The judge of the poisonous turn sees a turn that kills on, and a session that ends with it."""

from collections.abc import Sequence

import pytest

from gateway.testing.faults.rows.poison import ANSWER, APOLOGY, Seen, judge_poison

EXPECTED = [APOLOGY, ANSWER]


def broken(deaths: int, answers: Sequence[str]) -> list[str]:
    seen = Seen(where="Telegram", deaths=deaths, answers=answers)
    return [violation.promise for violation in judge_poison(seen, expected=EXPECTED)]


def test_a_turn_that_was_given_up_after_three_deaths_is_taken() -> None:
    assert broken(3, EXPECTED) == []


@pytest.mark.parametrize("deaths", [0, 2, 4])
def test_another_number_of_deaths_is_seen(deaths: int) -> None:
    assert broken(deaths, EXPECTED) == ["a poisonous turn is dead after 3 crashes"]


@pytest.mark.parametrize(
    "answers",
    [[], [APOLOGY], [ANSWER], [APOLOGY, APOLOGY, ANSWER], [ANSWER, APOLOGY]],
    ids=["silence", "the session ended", "no apology", "two apologies", "swapped"],
)
def test_other_answers_are_seen(answers: list[str]) -> None:
    assert broken(3, answers) == ["one apology, then the session goes on"]
