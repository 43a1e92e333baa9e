"""What a person, a script and a program see of one turn's events."""

import json
from datetime import UTC, datetime

import pytest

from gateway.cli.chat_output import JsonOutput, Output, PersonOutput, ScriptOutput
from gateway.domain.conversation import Message, TextPart, ToolCall
from gateway.domain.ids import MessageId, ProjectId, SessionId, TurnId
from gateway.domain.turns import (
    HandedOff,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    ToolCalled,
    ToolReturned,
    Turn,
    TurnError,
    TurnState,
)
from gateway.service.chat import LiveEvent, TurnBegan, TurnEnded

ID = MessageId("msg_1")


def reply(text: str = "Hello there.", *, agent: str = "Desk", is_draft: bool = False) -> Message:
    """A message of an agent."""
    return Message(
        id=ID,
        role="assistant",
        agent=agent,
        content=(TextPart(text),),
        visibility="internal" if is_draft else "external",
    )


def ended(state: TurnState = "done", error: TurnError | None = None) -> TurnEnded:
    """The end of a turn."""
    return TurnEnded(
        Turn(
            id=TurnId("turn_1"),
            project_id=ProjectId("demo"),
            session_id=SessionId("ses_1"),
            seq=1,
            kind="message",
            state=state,
            bot="support",
            error=error,
            messages=(reply(),),
            final_agent="Desk",
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )


FAILED = ended("failed", TurnError("model_error", "The model is away."))


def shown(
    output: Output, capsys: pytest.CaptureFixture[str], *events: LiveEvent
) -> tuple[str, str]:
    """What the output writes of these events: standard output and error."""
    for event in events:
        output.show(event)
    written = capsys.readouterr()
    return written.out, written.err


@pytest.fixture
def person() -> PersonOutput:
    """Somebody at a terminal without colours."""
    return PersonOutput(has_colour=False)


def test_a_growing_message_ends_with_its_line(
    person: PersonOutput, capsys: pytest.CaptureFixture[str]
) -> None:
    events = (
        TurnBegan(1),
        MessageStarted(ID, "Desk"),
        TextDelta(ID, "Hello "),
        TextDelta(ID, "there."),
        MessageCompleted(reply()),
        ended(),
    )

    assert shown(person, capsys, *events) == ("Desk: Hello there.\n", "")


def test_a_message_that_came_in_one_piece_is_shown_once(
    person: PersonOutput, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = shown(person, capsys, MessageCompleted(reply()), ended())

    assert out == "Desk: Hello there.\n"


def test_drafts_are_not_shown(person: PersonOutput, capsys: pytest.CaptureFixture[str]) -> None:
    draft = MessageCompleted(reply("A draft.", is_draft=True))

    assert shown(person, capsys, draft)[0] == ""
    assert shown(ScriptOutput(), capsys, draft)[0] == ""


def test_text_that_starts_over_says_so(
    person: PersonOutput, capsys: pytest.CaptureFixture[str]
) -> None:
    events = (
        MessageStarted(ID, "Desk"),
        TextDelta(ID, "Hel"),
        TextRestarted(ID),
        TextDelta(ID, "Hello there."),
        MessageCompleted(reply()),
    )

    out, _ = shown(person, capsys, *events)

    assert out == "Desk: Hel\n  · starting over\nDesk: Hello there.\n"


def test_what_is_done_meanwhile_is_told_quietly(
    person: PersonOutput, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ToolCall("call_1", "get_balance", '{\n  "card": "4821"\n}')

    out, _ = shown(
        person,
        capsys,
        TurnBegan(2),
        HandedOff("Desk", "Billing"),
        ToolCalled(call, "Billing"),
        ToolReturned("call_1", "get_balance", is_ok=True),
        ToolReturned("call_1", "get_balance", is_ok=False),
    )

    assert out.splitlines() == [
        "  · trying again",
        "  · Desk hands over to Billing",
        '  · get_balance { "card": "4821" }',
        "  · get_balance failed",
    ]


def test_long_arguments_are_cut(person: PersonOutput, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(person, capsys, ToolCalled(ToolCall("call_1", "look", "x" * 500), "Desk"))

    assert len(out) < 100
    assert out.endswith("…\n")


def test_a_stopped_answer_says_so_on_a_line_of_its_own(
    person: PersonOutput, capsys: pytest.CaptureFixture[str]
) -> None:
    events = (MessageStarted(ID, "Desk"), TextDelta(ID, "Hel"), ended("cancelled"))

    assert shown(person, capsys, *events)[0] == "Desk: Hel\n  · stopped\n"
    assert not person.has_failed


@pytest.mark.parametrize("output", [PersonOutput(has_colour=False), ScriptOutput()])
def test_a_failure_is_one_line_on_standard_error(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = shown(output, capsys, FAILED)

    assert out == ""
    assert err == "error: The model is away. See: bot-gateway explain turn_1\n"
    assert output.has_failed


def test_a_turn_that_died_without_a_word_still_has_a_line(
    person: PersonOutput, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "ended as dead" in shown(person, capsys, ended("dead"))[1]


def test_colours_are_used_where_they_are_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    person = PersonOutput(has_colour=True)

    person.show(MessageStarted(ID, "Desk"))

    assert "\x1b[32m" in capsys.readouterr().out


def test_a_program_reads_state_and_error(capsys: pytest.CaptureFixture[str]) -> None:
    output = JsonOutput()

    lines = shown(output, capsys, ended(), FAILED)[0].splitlines()

    first, second = (json.loads(line) for line in lines)
    assert (first["state"], first["text"], first["error"]) == ("done", "Hello there.", None)
    assert second["error"] == {"code": "model_error", "message": "The model is away."}
    assert output.has_failed
