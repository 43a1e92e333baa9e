"""The judges of a slow and of a refusing platform see what breaks a promise."""

from collections import Counter

from gateway.testing.faults.rows.floods import SEND, judge_rates, judge_tries
from gateway.testing.telegram.faults import BotCall


def refused(count: int) -> list[BotCall]:
    return [BotCall(number, SEND, {}, at=0.0, status=429) for number in range(count)]


def test_planned_refusals_break_no_rate() -> None:
    assert judge_rates(refused(3), planned=3) == []


def test_a_refusal_that_was_not_planned_is_seen() -> None:
    [broken] = judge_rates(refused(4), planned=3)

    assert "1 sends were over the rate" in broken.seen


def test_one_try_for_each_refused_chat_is_right() -> None:
    assert judge_tries(Counter({1: 1, 2: 1}), refused={1}, sent={2}) == []


def test_a_second_try_of_a_refused_chat_is_seen() -> None:
    [broken] = judge_tries(Counter({1: 2}), refused={1}, sent=set())

    assert broken.promise == "a refusal is final at once"


def test_a_chat_that_suffers_with_others_is_seen() -> None:
    [broken] = judge_tries(Counter({1: 1, 2: 1}), refused={1}, sent=set())

    assert broken.promise == "others are unaffected"
