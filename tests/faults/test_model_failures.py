"""The judge of F7 sees turns that end late or otherwise than documented, and what they leave."""

from dataclasses import replace

from gateway.testing.faults.props.model_faults import CASES, PARTIAL
from gateway.testing.faults.rows.model_failures import APOLOGY, Ended, Said, judge_turns

MENDED = Ended(
    case=CASES[0],
    way="plain",
    seconds=2.0,
    told="Heard: first",
    calls=(10.0, 11.0),
    history=(Said("Heard: first"), Said("Heard: again")),
)
FAILED = Ended(
    case=next(case for case in CASES if case.name == "wrong key"),
    way="telegram",
    seconds=2.0,
    told=None,
    calls=(10.0,),
    history=(Said(APOLOGY), Said("Heard: again")),
    sent=2,
)


def seen(ended: Ended) -> list[str]:
    return [violation.promise for violation in judge_turns([ended], limit_s=8)]


def test_a_mended_and_a_failed_turn_hold() -> None:
    assert seen(MENDED) == []
    assert seen(FAILED) == []


def test_a_turn_that_takes_too_long_is_seen() -> None:
    assert seen(replace(MENDED, seconds=30.0)) == ["a turn ends in time"]


def test_a_failure_that_was_not_mended_is_seen() -> None:
    assert "mended or failed as documented" in seen(replace(MENDED, told=None))


def test_an_answer_where_there_can_be_none_is_seen() -> None:
    assert seen(replace(FAILED, told="Heard: first")) == ["mended or failed as documented"]


def test_a_refused_key_that_is_tried_again_is_seen() -> None:
    assert seen(replace(FAILED, calls=(10.0, 11.0))) == ["asked as often as documented"]


def test_a_retry_without_a_pause_is_seen() -> None:
    assert seen(replace(MENDED, calls=(10.0, 10.1))) == ["a pause before it is asked again"]


def test_a_session_that_does_not_go_on_is_seen() -> None:
    history = (Said("Heard: first"), Said(APOLOGY))

    assert "the session goes on" in seen(replace(MENDED, history=history))


def test_a_broken_attempt_in_history_is_seen() -> None:
    history = (Said(PARTIAL), *MENDED.history)

    assert seen(replace(MENDED, history=history)) == ["nothing broken is in history"]


def test_an_answer_that_is_missing_in_history_is_seen() -> None:
    assert seen(replace(MENDED, history=(Said("Heard: again"),))) == [
        "nothing broken is in history"
    ]


def test_only_who_was_shown_a_text_may_keep_it_cut() -> None:
    cut = (Said(PARTIAL[:8], is_incomplete=True), Said("Heard: again"))

    assert seen(replace(FAILED, way="stream", history=cut, sent=None)) == []
    assert seen(replace(FAILED, way="telegram", history=cut)) == []
    assert seen(replace(FAILED, way="plain", history=cut, sent=None)) == [
        "nothing broken is in history"
    ]


def test_a_second_apology_on_the_platform_is_seen() -> None:
    assert seen(replace(FAILED, sent=3)) == ["one message for each turn"]


def test_every_case_has_an_address_of_its_own() -> None:
    assert len({case.slug for case in CASES}) == len(CASES)
