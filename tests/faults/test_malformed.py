"""The judge of F28 sees answers that are no refusal in shape, and whatever was stored."""

import json

import pytest

from gateway.testing.faults.props.malformed_bodies import odd_updates
from gateway.testing.faults.rows.malformed import Reply, judge_replies, judge_stored
from gateway.testing.scene import Answered

SHAPE = {"Content-Type": "application/problem+json; charset=utf-8"}
PROBLEM = {
    "type": "about:blank",
    "title": "The body is not a JSON object",
    "status": 400,
    "detail": "The body is not UTF-8.",
    "instance": "/v1/chat",
    "code": "invalid_json",
    "request_id": "req_1",
    "retryable": False,
}


def seen(answer: Answered, *, expected: int = 400, is_silent: bool = False) -> list[str]:
    reply = Reply("POST /v1/chat", "NaN", expected, answer, is_silent=is_silent)
    return [violation.seen for violation in judge_replies([reply])]


def test_a_problem_with_the_right_status_holds() -> None:
    assert seen(Answered(400, SHAPE, json.dumps(PROBLEM))) == []


@pytest.mark.parametrize("status", [200, 202, 500])
def test_another_status_is_seen(status: int) -> None:
    assert seen(Answered(status, SHAPE, "{}")) == [f"NaN: {status} instead of 400: {{}}"]


def test_another_media_type_is_seen() -> None:
    answer = Answered(400, {"Content-Type": "text/plain"}, json.dumps(PROBLEM))

    assert seen(answer) == ["NaN: answered as 'text/plain'"]


def test_a_problem_that_is_no_json_is_seen() -> None:
    assert seen(Answered(400, SHAPE, "Bad Request")) == ["NaN: the problem is no JSON"]


@pytest.mark.parametrize("member", sorted(PROBLEM))
def test_a_problem_without_a_member_is_seen(member: str) -> None:
    less = {name: value for name, value in PROBLEM.items() if name != member}

    assert "lacks members" in seen(Answered(400, SHAPE, json.dumps(less)))[0]


def test_a_problem_about_another_status_is_seen() -> None:
    answer = Answered(400, SHAPE, json.dumps({**PROBLEM, "status": 500}))

    assert seen(answer) == ["NaN: the problem says 500"]


def test_a_stranger_is_told_nothing() -> None:
    assert seen(Answered(401, {}, ""), expected=401, is_silent=True) == []
    assert seen(Answered(401, {}, "why"), expected=401, is_silent=True) == ["NaN: a body: why"]


def test_what_is_new_changed_or_gone_is_seen() -> None:
    before = {"ses_1": {"title": "A"}, "ses_2": {"title": "B"}, "ses_3": {"title": "C"}}
    after = {"ses_1": {"title": "A"}, "ses_2": {"title": "X"}, "ses_4": {"title": "D"}}

    places = [violation.where for violation in judge_stored(before, after)]

    assert places == ["ses_2", "ses_3", "ses_4"]


def test_each_odd_update_has_one_odd_value_and_no_two_are_alike() -> None:
    bodies = [body for _, body in odd_updates()]

    assert len(set(bodies)) == len(bodies)
    assert not any(b"$" in body for body in bodies)
