"""The transcript as a model is shown it: repaired, within the window, stable at its beginning."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.agents.prompt import Prompt, build_prompt
from gateway.domain.conversation import FilePart, ImagePart, Message, TextPart, ToolCall
from gateway.domain.ids import new_message_id
from gateway.testing.openai.rules import request_problems
from tests.agents.builders import agent, assistant, result, user

DESK = agent("Desk")


def prompt(*transcript: Message, window_tokens: int = 8000, **settings) -> Prompt:
    """The messages after the instructions."""
    messages = build_prompt(DESK, transcript, window_tokens=window_tokens, **settings)
    assert messages[0]["role"] == "system"
    return messages[1:]


def texts(messages: Prompt) -> list[object]:
    return [message["content"] for message in messages]


def calling(*ids: str, name: str = "get_balance", **fields) -> Message:
    calls = tuple(ToolCall(call_id, name, "{}") for call_id in ids)
    return assistant(**{"tool_calls": calls, "agent": "Desk", "visibility": "internal", **fields})


async def test_a_talk_is_shown_in_order():
    shown = prompt(user("Hi"), assistant("Hello."), user("Open?"))

    assert shown == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Open?"},
    ]


def test_a_call_stands_with_its_results_in_the_order_of_the_calls():
    shown = prompt(user("Hi"), calling("a", "b"), result("b", "2"), result("a", "1"))

    assert [m["role"] for m in shown] == ["user", "assistant", "tool", "tool"]
    assert texts(shown)[2:] == ["1", "2"]
    assert shown[1]["content"] is None


def test_a_result_without_a_call_is_dropped():
    assert texts(prompt(user("Hi"), result("x", "5"), user("Yes?"))) == ["Hi", "Yes?"]


def test_a_call_without_a_result_says_so():
    shown = prompt(calling("a", "b"), result("a", "1"), user("Well?"))

    assert texts(shown)[1:3] == ["1", '{"error": "no result"}']


def test_a_result_finds_its_call_past_other_messages():
    shown = prompt(user("Hi"), calling("a"), assistant("Wait."), result("a", "1"))

    assert [m["role"] for m in shown] == ["user", "assistant", "tool", "assistant"]


def test_ids_that_come_again_belong_to_the_call_before_them():
    shown = prompt(
        user("1"), calling("a"), result("a", "one"), user("2"), calling("a"), result("a", "two")
    )

    assert [m["content"] for m in shown if m["role"] == "tool"] == ["one", "two"]


def test_the_same_id_twice_in_one_message_is_one_call():
    assert len(prompt(user("Hi"), calling("a", "a"), result("a", "1"))[1]["tool_calls"]) == 1


def test_a_name_that_the_api_would_refuse_is_made_fit():
    shown = prompt(user("Hi"), calling("a", name="Get balance!"), result("a", "1"))

    assert shown[1]["tool_calls"][0]["function"]["name"] == "Get_balance_"


def test_text_and_the_calls_that_went_with_it_are_one_message_again():
    shown = prompt(user("Hi"), assistant("Wait.", agent="Desk"), calling("a"), result("a", "1"))

    assert [m["role"] for m in shown] == ["user", "assistant", "tool"]
    assert shown[1]["content"] == "Wait."


def test_text_of_another_agent_is_not_put_into_a_call():
    shown = prompt(user("Hi"), assistant("Wait.", agent="Hub"), calling("a"), result("a", "1"))

    assert texts(shown)[1:3] == ["Wait.", None]


class TestHandOffs:
    PAIR = (calling("h", name="transfer_to_billing", agent="Hub"), result("h", "{}"))

    def test_they_are_shown_in_their_own_turn(self):
        shown = prompt(user("Hi"), *self.PAIR)

        assert [m["role"] for m in shown] == ["user", "assistant", "tool"]

    def test_they_are_left_out_of_later_turns(self):
        shown = prompt(user("Hi"), *self.PAIR, assistant("Five."), user("Thanks"))

        assert texts(shown) == ["Hi", "Five.", "Thanks"]

    def test_calls_beside_an_old_hand_off_stay(self):
        calls = (ToolCall("a", "get_balance", "{}"), ToolCall("h", "transfer_to_billing", "{}"))
        both = assistant(tool_calls=calls, agent="Hub")

        shown = prompt(user("Hi"), both, result("a", "5"), result("h", "{}"), user("Thanks"))

        assert [call["id"] for call in shown[1]["tool_calls"]] == ["a"]

    def test_what_an_internal_agent_found_is_shown_in_its_own_turn_only(self):
        found = calling("h", name="transfer_to_hub", agent="Research", content=(TextPart("Notes"),))

        now = prompt(user("Hi"), found, result("h", "{}"))
        later = prompt(user("Hi"), found, result("h", "{}"), assistant("So."), user("Thanks"))

        assert now[1]["content"] == "Notes"
        assert texts(later) == ["Hi", "So.", "Thanks"]


def test_a_draft_is_left_out():
    shown = prompt(user("Hi"), assistant("draft", visibility="internal"), assistant("Final."))

    assert texts(shown) == ["Hi", "Final."]


def test_the_words_of_people_who_may_not_write_are_left_out():
    refused = user("let me in", visibility="internal", sender_id="8", sender_name="Eve")

    messages = build_prompt(DESK, [user("Hi"), refused, user("There?")], window_tokens=8000)

    assert "let me in" not in str(messages)
    assert "Eve" not in str(messages)


def test_system_messages_are_context_of_every_agent():
    note = Message(id=new_message_id(), role="system", content=(TextPart("The user is u1."),))

    messages = build_prompt(DESK, [note, user("Hi")], window_tokens=8000)

    assert messages[0]["content"] == "You are Desk.\n\n# Context\n\nThe user is u1."
    assert len(messages) == 2


def test_what_a_person_of_the_team_wrote_is_told_apart():
    answer = Message(id=new_message_id(), role="operator", content=(TextPart("I am Ann."),))

    shown = prompt(user("Hi"), answer, user("Hello Ann"))

    assert shown[1] == {
        "role": "assistant",
        "content": "(A person of the team wrote:) I am Ann.",
    }


def test_pictures_and_files_are_parts():
    parts = (TextPart("See"), ImagePart("https://x/y.png"), FilePart("file_1", name="bill.pdf"))
    message = Message(id=new_message_id(), role="user", content=parts)

    assert prompt(message)[0]["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "text", "text": "[file: bill.pdf]"},
    ]


def test_files_without_pictures_are_text():
    message = Message(
        id=new_message_id(), role="user", content=(TextPart("See"), FilePart("file_1"))
    )

    assert texts(prompt(message)) == ["See\n[file: file_1]"]


def test_empty_messages_are_left_out():
    empty = Message(id=new_message_id(), role="user")

    assert texts(prompt(empty, assistant(""), user("Hi"))) == ["Hi"]


class TestWindow:
    def talk(self, turns: int, *, first_seq: int = 1, chars: int = 400) -> list[Message]:
        """Turns of about 100 tokens a message."""
        talk = []
        for number in range(turns):
            seq = first_seq + 2 * number
            talk.append(user(f"q{number}".ljust(chars, "."), seq=seq))
            talk.append(assistant(f"a{number}".ljust(chars, "."), seq=seq + 1))
        return talk

    def test_what_fits_is_shown_whole(self):
        assert len(prompt(*self.talk(10), user("Hi"))) == 21

    def test_the_oldest_are_left_out(self):
        shown = prompt(*self.talk(50), user("Hi", seq=101), window_tokens=2000)

        assert shown[-1]["content"] == "Hi"
        assert 5 <= len(shown) <= 20

    def test_it_begins_with_the_person(self):
        for window_tokens in range(500, 3000, 100):
            shown = prompt(*self.talk(50), user("Hi", seq=101), window_tokens=window_tokens)

            assert shown[0]["role"] == "user"

    def test_the_question_is_shown_however_long_it_is(self):
        assert texts(prompt(*self.talk(5), user("x" * 9000), window_tokens=1000)) == ["x" * 9000]

    def test_the_current_turn_is_shown_whole(self):
        big = [calling("a"), result("a", "5" * 3000), calling("b"), result("b", "6" * 3000)]

        shown = prompt(*self.talk(5), user("Hi"), *big, window_tokens=1000)

        assert [m["role"] for m in shown] == ["user", "assistant", "tool", "assistant", "tool"]

    def test_a_call_is_never_cut_from_its_results(self):
        talk = [
            message
            for number in range(30)
            for message in (
                user("q" * 40),
                calling(f"c{number}"),
                result(f"c{number}", "r" * 400),
                assistant("a"),
            )
        ]

        for window_tokens in range(100, 2000, 50):
            shown = prompt(*talk, user("Hi"), window_tokens=window_tokens)
            assert problems(shown) == ()

    def test_a_very_long_result_is_shortened(self):
        shown = prompt(user("Hi"), calling("a"), result("a", "5" * 100_000), window_tokens=2000)

        assert len(shown[2]["content"]) < 8200
        assert shown[2]["content"].endswith("more characters]")

    def test_the_beginning_moves_in_strides(self):
        """Providers cache equal beginnings: from turn to turn most prompts begin alike."""
        firsts = []
        for turns in range(30, 60):
            talk = self.talk(turns)
            shown = prompt(*talk, user("Hi", seq=len(talk) + 1), window_tokens=4000)
            firsts.append(shown[0]["content"])

        assert changes(firsts) <= 5

    def test_a_transcript_cut_by_the_store_moves_in_strides_too(self):
        whole = self.talk(60)

        firsts = [
            prompt(*whole[start : start + 40], user("Hi", seq=start + 41))[0]["content"]
            for start in range(0, 60, 2)
        ]

        assert changes(firsts) <= 5

    def test_a_longer_transcript_shows_no_more(self):
        few, many = self.talk(100), self.talk(900)

        shown = [prompt(*talk, user("Hi"), window_tokens=2000) for talk in (few, many)]

        assert len(shown[0]) == len(shown[1])


def changes(firsts: Sequence[object]) -> int:
    return sum(old != new for old, new in pairwise(firsts))


def problems(shown: Sequence[object]) -> tuple[str, ...]:
    return request_problems({"model": "m", "messages": list(shown)})


ANY_MESSAGE = st.one_of(
    st.builds(user, st.text(max_size=5)),
    st.builds(
        lambda text, ids, visibility, name, who: assistant(
            text,
            agent=who,
            visibility=visibility,
            tool_calls=tuple(ToolCall(i, name, "{}") for i in ids),
        ),
        st.text(max_size=5),
        st.lists(st.sampled_from("abc"), max_size=3),
        st.sampled_from(["external", "internal"]),
        st.sampled_from(["get", "transfer_to_b", "", "a b", "ü" * 80]),
        st.sampled_from(["Desk", "Hub", None]),
    ),
    st.builds(result, st.sampled_from("abc"), st.text(max_size=5)),
    st.builds(
        lambda text: Message(id=new_message_id(), role="operator", content=(TextPart(text),)),
        st.text(max_size=5),
    ),
)


@given(st.lists(ANY_MESSAGE, max_size=14), st.sampled_from([1, 20, 60, 8000]))
def test_any_history_becomes_one_that_the_api_takes(history, window_tokens):
    shown = build_prompt(DESK, [*history, user("Hi")], window_tokens=window_tokens)

    assert problems(shown) == ()
    assert shown[-1] == {"role": "user", "content": "Hi"}


@pytest.mark.parametrize("text", ["x", "y"])
def test_the_same_transcript_gives_the_same_prompt(text):
    talk = [user(text), calling("a"), result("a", "1")]

    assert prompt(*talk, context={"b": 1, "a": 2}) == prompt(*talk, context={"a": 2, "b": 1})
