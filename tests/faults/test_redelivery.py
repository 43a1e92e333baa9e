"""The judges of F5 and F6 see copies that were answered otherwise, and changes that were taken."""

from dataclasses import replace

from gateway.testing.faults.props.raw_webhook import rewritten
from gateway.testing.faults.rows.redelivery import Ack, Repeated, judge_acks, judge_changed
from gateway.testing.kills.witness import Spoken

SAID = Spoken("chat 1", 1, 0.0)
DONE = Ack(200, '{"id": "turn_1"}')
WAIT = Ack(409, '{"code": "idempotency_in_progress"}')
REFUSED = Ack(422, '{"code": "idempotency_key_reused"}')


def seen(*acks: Ack) -> list[str]:
    return [violation.seen for violation in judge_acks([Repeated(SAID, list(acks))])]


def test_equal_acknowledgements_hold() -> None:
    assert seen(DONE, DONE, DONE) == []


def test_a_copy_may_be_told_to_wait_for_the_first() -> None:
    assert seen(WAIT, DONE, WAIT, DONE) == []


def test_copies_that_are_all_told_to_wait_were_never_acknowledged() -> None:
    assert seen(WAIT, WAIT) == ["no copy was ever acknowledged"]


def test_another_body_is_seen() -> None:
    assert "2 different answers" in seen(DONE, Ack(200, '{"id": "turn_2"}'))[0]


def test_another_status_is_seen() -> None:
    assert "2 different answers" in seen(DONE, replace(DONE, status=202))[0]


def test_a_refused_copy_is_seen() -> None:
    assert seen(DONE, Ack(503, "")) == ["copies were answered [503]"]


def test_changes_that_are_acknowledged_refused_and_told_hold() -> None:
    assert judge_changed([DONE, DONE], first=DONE, alarms=2, refusals=[REFUSED]) == []


def test_a_change_without_an_alarm_is_seen() -> None:
    (violation,) = judge_changed([DONE, DONE], first=DONE, alarms=1, refusals=[REFUSED])

    assert violation.seen == "1 alarms for 2 changed events"


def test_a_change_that_is_answered_otherwise_is_seen() -> None:
    (violation,) = judge_changed([Ack(409, "")], first=DONE, alarms=1, refusals=[REFUSED])

    assert violation.promise == "a changed event is acknowledged"


def test_a_call_that_is_taken_under_another_calls_key_is_seen() -> None:
    (violation,) = judge_changed([DONE], first=DONE, alarms=1, refusals=[REFUSED, DONE])

    assert violation.promise == "a key stands for one body"


def test_a_document_is_rewritten_without_saying_anything_else() -> None:
    assert rewritten(b'{"b":1,"a":{"d":2,"c":3}}') == rewritten(b'{"a":{"c":3,"d":2},"b":1}')
