"""From the events of a turn to what it leaves, at any moment."""

from dataclasses import replace

import pytest

from gateway.domain.conversation import Message, TextPart, ToolCall, Usage
from gateway.domain.ids import MessageId
from gateway.domain.turns import (
    HandedOff,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    ToolReturned,
    TurnError,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnWaiting,
)
from gateway.flow.progress import Progress
from tests.flow.house import BOT

FIRST, SECOND = MessageId("msg_1"), MessageId("msg_2")
USAGE = Usage(3, 2)
CALL = ToolCall("c1", "lookup", "{}")


def message(message_id: MessageId, text: str) -> Message:
    return Message(id=message_id, role="assistant", agent="Desk", content=(TextPart(text),))


def after(*events: TurnEvent) -> Progress:
    progress = Progress(BOT)
    for event in events:
        progress.add(event)
    return progress


def test_a_finished_turn_leaves_its_messages_and_who_answers_next() -> None:
    said = message(FIRST, "Hello.")
    finished = TurnFinished("Desk", "Billing", USAGE, "m", is_incomplete=True)

    progress = after(HandedOff("Desk", "Billing"), MessageCompleted(said), finished)
    outcome = progress.outcome()

    assert outcome.state == "done"
    assert outcome.messages == (said,)
    assert (outcome.final_agent, outcome.next_agent, outcome.model) == ("Desk", "Billing", "m")
    assert (outcome.usage, outcome.is_incomplete, outcome.bot_version) == (USAGE, True, 1)
    assert progress.handoffs == 1


def test_a_waiting_turn_leaves_its_calls() -> None:
    outcome = after(TurnWaiting((CALL,), "Desk", "Desk", USAGE, "m")).outcome()

    assert (outcome.state, outcome.tool_calls) == ("waiting", (CALL,))


def test_a_failed_turn_leaves_nothing_of_its_text() -> None:
    error = TurnError("model_error", "The model did not answer.")
    said = message(FIRST, "Half")

    outcome = after(MessageCompleted(said), TurnFailed(error, USAGE)).outcome()

    assert (outcome.state, outcome.error, outcome.usage) == ("failed", error, USAGE)
    assert outcome.messages == ()


def test_a_turn_that_just_ends_failed() -> None:
    outcome = after(ToolReturned("c1", "lookup", True)).outcome()

    assert outcome.state == "failed"
    assert outcome.error is not None
    assert outcome.error.code == "internal"


def test_a_cancelled_turn_keeps_the_open_message_marked_incomplete() -> None:
    progress = after(
        MessageStarted(FIRST, "Desk"),
        TextDelta(FIRST, "Void"),
        TextRestarted(FIRST),
        TextDelta(FIRST, "Once "),
        TextDelta(FIRST, "upon"),
    )

    outcome = progress.cancelled(is_shown=True)

    [kept] = outcome.messages
    assert (outcome.state, outcome.is_incomplete) == ("cancelled", True)
    assert (kept.id, kept.agent, kept.text, kept.is_incomplete) == (
        FIRST,
        "Desk",
        "Once upon",
        True,
    )


@pytest.mark.parametrize(
    "events",
    [
        (),
        (MessageStarted(FIRST, "Desk"),),
    ],
)
def test_a_cancelled_turn_without_open_text_keeps_nothing(events: tuple[TurnEvent, ...]) -> None:
    outcome = after(*events).cancelled(is_shown=True)

    assert (outcome.messages, outcome.is_incomplete) == ((), False)


def test_a_cancelled_turn_keeps_the_messages_that_were_shown_whole() -> None:
    progress = after(MessageStarted(FIRST, "Desk"), MessageCompleted(message(FIRST, "Hi")))

    outcome = progress.cancelled(is_shown=True)

    assert [(kept.id, kept.is_incomplete) for kept in outcome.messages] == [(FIRST, False)]
    assert not outcome.is_incomplete


def test_a_cancelled_turn_keeps_nothing_that_was_never_shown() -> None:
    progress = after(MessageStarted(FIRST, "Desk"), TextDelta(FIRST, "Once"))

    assert progress.cancelled(is_shown=False).messages == ()


def test_another_message_that_is_complete_does_not_close_the_open_one() -> None:
    progress = after(
        MessageStarted(FIRST, "Desk"),
        TextDelta(FIRST, "Once"),
        MessageCompleted(replace(message(SECOND, "internal"), visibility="internal")),
    )

    assert [kept.id for kept in progress.cancelled(is_shown=True).messages] == [FIRST]
