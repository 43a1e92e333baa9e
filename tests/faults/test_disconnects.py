"""The judge of F10 sees a connection that stays away."""

from gateway.testing.faults.rows.disconnects import BACK_WITHIN_S, judge_pause


def test_a_connection_that_is_back_in_time_holds() -> None:
    assert judge_pause(BACK_WITHIN_S) == []


def test_a_connection_that_stays_away_is_seen() -> None:
    assert [violation.seen for violation in judge_pause(BACK_WITHIN_S + 1)] == ["it took 11.0 s"]
