"""What a channel makes of an answer."""

from typing import Any

from gateway.contract import ReplyTo
from gateway.domain.conversation import Message, TextPart
from gateway.domain.ids import new_message_id
from gateway.flow.replies import render_replies, reply_message
from gateway.testing.channels import FakeChannel
from tests.flow.house import CHAT


def of(role: Any, text: str, **fields: Any) -> Message:
    content = (TextPart(text),) if text else ()
    return Message(id=new_message_id(), role=role, content=content, **fields)


def test_parts_are_numbered_through_all_messages() -> None:
    first, second = reply_message("a\fb"), reply_message("c")

    made = render_replies([first, second], channel=FakeChannel(), address=CHAT)

    assert [(one.part_no, one.part["text"]) for one in made] == [(0, "a"), (1, "b"), (2, "c")]
    assert [one.message_id for one in made] == [first.id, first.id, second.id]
    assert len({one.id for one in made}) == 3


def test_only_what_is_said_to_the_person_is_sent() -> None:
    messages = [
        of("user", "question"),
        of("assistant", "thinking", visibility="internal"),
        of("tool", "12", tool_call_id="c1"),
        of("assistant", ""),
        of("operator", "A person here."),
        of("assistant", "Answer."),
    ]

    made = render_replies(messages, channel=FakeChannel(), address=CHAT, reply_to=ReplyTo("m", "7"))

    assert [one.part["text"] for one in made] == ["A person here.", "Answer."]


def test_a_reply_names_its_agent() -> None:
    message = reply_message("Hi", agent="Desk")

    assert (message.role, message.agent, message.text) == ("assistant", "Desk", "Hi")


def test_a_text_that_a_limit_cut_is_told_from_a_whole_one() -> None:
    cut = of("assistant", "Half a sen ", is_incomplete=True)

    told = render_replies([cut, reply_message("Whole.")], channel=FakeChannel(), address=CHAT)
    marked = render_replies([cut], channel=FakeChannel(), address=CHAT, marks_cut=True)

    assert [one.part["text"] for one in told] == ["Half a sen ", "Whole."]
    assert [one.part["text"] for one in marked] == ["Half a sen …"]
