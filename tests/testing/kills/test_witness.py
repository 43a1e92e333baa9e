"""The judge of a kill run: it sees each way a promise can be broken, and excuses only kills."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from gateway.testing.kills.witness import Entry, Evidence, Sent, Spoken, Transcript, judge

CALL = Spoken("caller 1", 1, at=10.0)
FIRST = Spoken("chat 7", 1, at=10.0)
SECOND = Spoken("chat 7", 2, at=11.0)


def user(said: Spoken) -> Entry:
    return Entry("user", said.text, f"turn of {said.text}")


def bot(said: Spoken, text: str | None = None, *, delivery: str | None = None) -> Entry:
    return Entry("assistant", text or said.answer, f"turn of {said.text}", delivery)


def sent(said: Spoken, at: float) -> Sent:
    return Sent(said.place, said.answer, at)


GOOD = Evidence(
    spoken=[CALL, FIRST, SECOND],
    transcripts=[
        Transcript("a", [user(CALL), bot(CALL)]),
        Transcript(
            "b",
            [
                user(FIRST),
                bot(FIRST, delivery="sent"),
                user(SECOND),
                bot(SECOND, delivery="sent"),
            ],
        ),
    ],
    sent=[sent(FIRST, 10.5), sent(SECOND, 11.5)],
    kills=[],
    apology="Sorry.",
)


def with_calls(*entries: Entry) -> Evidence:
    """The good evidence with another transcript of the caller."""
    return replace(GOOD, transcripts=[Transcript("a", entries), GOOD.transcripts[1]])


def with_sends(*sends: Sent, kills: Sequence[float] = ()) -> Evidence:
    return replace(GOOD, sent=sends, kills=kills)


def broken(evidence: Evidence) -> set[str]:
    return {violation.promise for violation in judge(evidence).violations}


def test_good_evidence_has_no_violations() -> None:
    verdict = judge(GOOD)

    assert verdict.violations == []
    assert (verdict.answered, verdict.repeats, verdict.held, verdict.given_up) == (3, {}, 0, 0)


@pytest.mark.parametrize(
    ("entries", "promise"),
    [
        ([], "no message is lost"),
        ([user(CALL)], "every message has one answer"),
        ([user(CALL), bot(CALL), bot(CALL)], "every message has one answer"),
        ([user(CALL), bot(CALL, "Heard: something else")], "every message has one answer"),
        ([user(CALL), bot(CALL, "Sorry.")], "every message has one answer"),
        ([user(CALL), bot(CALL), user(CALL)], "no message is turned twice"),
        ([user(CALL), bot(CALL), user(Spoken("x", 1, 0))], "nothing is made up"),
    ],
)
def test_a_wrong_transcript_is_seen(entries: list[Entry], promise: str) -> None:
    assert promise in broken(with_calls(*entries))


def test_messages_out_of_order_are_seen() -> None:
    swapped = Transcript("b", [user(SECOND), user(FIRST), bot(FIRST), bot(SECOND)])

    assert broken(replace(GOOD, transcripts=[GOOD.transcripts[0], swapped])) == {
        "order is kept in a session"
    }


def test_a_talk_in_two_sessions_is_seen() -> None:
    halves = [
        Transcript("b", [user(FIRST), bot(FIRST, delivery="sent")]),
        Transcript("c", [user(SECOND), bot(SECOND, delivery="sent")]),
    ]

    assert broken(replace(GOOD, transcripts=[GOOD.transcripts[0], *halves])) == {
        "a talk stays in its session"
    }


def test_a_reply_that_never_left_is_seen() -> None:
    assert broken(with_sends(sent(FIRST, 10.5))) == {"every reply is delivered"}


def test_replies_out_of_order_are_seen() -> None:
    assert broken(with_sends(sent(SECOND, 10.5), sent(FIRST, 11.5))) == {"replies leave in order"}


def test_a_reply_in_another_chat_is_seen() -> None:
    stray = Sent("chat 8", FIRST.answer, 12)

    assert broken(with_sends(*GOOD.sent, stray)) == {"replies go to who asked"}


@pytest.mark.parametrize("kill_at", [9.0, 10.4, 12.0])
def test_a_second_send_is_excused_only_by_a_kill_around_the_first(kill_at: float) -> None:
    sends = (sent(FIRST, 10.5), sent(FIRST, 13.0), sent(SECOND, 13.5))
    is_around = abs(kill_at - 10.5) < 0.5

    assert (broken(with_sends(*sends, kills=[kill_at])) == set()) is is_around


def test_a_platform_that_can_be_asked_has_no_excuse() -> None:
    sends = [replace(sent(FIRST, at), platform="plain") for at in (10.5, 13.0)]
    evidence = with_sends(*sends, sent(SECOND, 13.5), kills=[10.6])

    found = broken(replace(evidence, can_ask={"plain"}))

    assert found == {"a platform that can be asked is sent no reply twice"}
    assert judge(evidence).repeats == {"plain": 1}


@pytest.mark.parametrize(("kill_at", "is_excused"), [(10.6, True), (9.0, False), (12.0, False)])
def test_only_a_kill_leaves_an_opened_message_behind(kill_at: float, is_excused: bool) -> None:
    left = Sent("plain 7", "Heard", 10.5, "plain")

    evidence = replace(GOOD, left_open=[left], kills=[kill_at])

    assert (broken(evidence) == set()) is is_excused
    assert judge(evidence).left_open == 1


def test_a_third_send_is_never_excused() -> None:
    sends = [sent(FIRST, at) for at in (10.5, 11.5, 12.5)]

    found = broken(with_sends(*sends, sent(SECOND, 13.0), kills=[10.6, 11.6]))

    assert found == {"a reply is sent twice only around a kill"}


@pytest.mark.parametrize("said", [[], ["Sorry."]])
def test_three_kills_excuse_a_turn_that_was_given_up_and_two_do_not(said: list[str]) -> None:
    entries = [user(CALL), *(bot(CALL, text) for text in said)]
    given_up = replace(with_calls(*entries), given_up={f"turn of {CALL.text}"})
    after_three = replace(given_up, kills=[10.1, 10.2, 10.3])

    assert judge(after_three).given_up == 1
    assert broken(after_three) == set()
    assert broken(replace(given_up, kills=[10.1, 10.2])) == {"every message has one answer"}
    assert broken(replace(after_three, given_up=set())) == {"every message has one answer"}
