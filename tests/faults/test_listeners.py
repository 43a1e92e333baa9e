"""The judge of F24 sees a listener that heard nothing, one that costs much, and a slow webhook."""

from dataclasses import replace

from gateway.testing.faults.props.measures import Laps
from gateway.testing.faults.rows.listeners import Listened, judge_listeners

GOOD = Listened(
    count=300,
    streamed=300,
    heard=300,
    kib_each=28.5,
    webhook=Laps(seen=[0.5] * 100, own=[0.02] * 100),
)


def test_listeners_who_hear_all_and_cost_little_break_nothing() -> None:
    assert judge_listeners(GOOD) == []


def test_a_listener_that_did_not_hear_the_end_is_seen() -> None:
    [found] = judge_listeners(replace(GOOD, heard=299))

    assert (found.where, found.seen) == ("streams", "299 of 300, 300 were let in")


def test_listeners_that_cost_too_much_are_seen() -> None:
    [found] = judge_listeners(replace(GOOD, kib_each=40.2))

    assert (found.where, found.seen) == ("memory", "40.2 KiB")


def test_a_webhook_that_two_of_a_hundred_wait_for_is_seen() -> None:
    slow = Laps(seen=[0.5] * 100, own=[0.02] * 98 + [0.3, 0.3])

    [found] = judge_listeners(replace(GOOD, webhook=slow))

    assert (found.where, found.seen) == ("webhook", "p99 300 ms")
