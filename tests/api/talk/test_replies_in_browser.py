"""What a visitor sees of a reply: streaming, tools, hand-offs, failures, broken connections."""

import pytest
from playwright.async_api import expect

from tests.api.talk.chat_page import ChatPage
from tests.api.talk.fake_gateway import Crash, Drop, Emit, FakeGateway, Gate, Restart, Say

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_reply_is_shown_while_it_is_still_being_written(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gate = Gate()
    gateway.script = lambda _: [Say("Desk", ["First half, ", gate, "second half."])]

    await chat.say("Hello")
    await chat.shows("First half,")
    await chat.shows_not("second half.")
    gate.open()

    await chat.shows("First half, second half.")


async def test_somebody_is_seen_to_be_writing_before_the_first_word(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gate = Gate()
    gateway.script = lambda _: [gate, Say("Desk", ["Here I am."])]

    await chat.say("Hello")
    await chat.shows("Desk is writing")
    gate.open()

    await chat.shows("Here I am.")
    await chat.shows_not("Desk is writing")


async def test_a_reload_in_the_middle_of_a_reply_goes_on_with_it(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gate = Gate()
    gateway.script = lambda _: [Say("Desk", ["Before, ", gate, "after."])]
    await chat.say("Hello")
    await chat.shows("Before,")

    await chat.reload()
    await chat.shows("Before,")
    gate.open()

    await chat.shows("Before, after.")
    await expect(chat.messages).to_have_count(2)
    assert len(gateway.turns) == 1


async def test_a_broken_connection_neither_loses_nor_repeats_text(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gate = Gate()
    gateway.script = lambda _: [Say("Desk", ["One. ", Drop(), gate, "Two."])]

    await chat.say("Count")
    await expect(chat.page.get_by_role("status")).to_contain_text("Reconnecting")
    gate.open()

    await expect(chat.messages.last).to_contain_text("One. Two.")
    await expect(chat.page.get_by_role("status")).to_be_empty()


async def test_a_message_refused_while_the_gateway_restarts_is_sent_again_once(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gateway.refusals = [(503, "draining"), (503, "not_ready")]

    await chat.say("Are you there?")

    await chat.shows("Echo: Are you there?")
    assert len(gateway.turns) == 1


async def test_a_handoff_is_a_line_and_the_new_agent_answers_by_name(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gateway.script = lambda _: [
        Emit("agent.handoff", {"from": "Desk", "to": "Billing"}),
        Say("Billing", ["Your balance is 40."]),
    ]

    await chat.say("My balance?")

    await chat.shows("Billing joined")
    await expect(chat.messages.last).to_contain_text("Billing")
    await chat.reload()
    await chat.shows("Billing joined")


async def test_a_tool_at_work_is_told_quietly(chat: ChatPage, gateway: FakeGateway) -> None:
    gate = Gate()
    call = {"name": "get_balance", "call_id": "c1"}
    gateway.script = lambda _: [
        Emit("tool.started", call),
        gate,
        Emit("tool.completed", {**call, "ok": True}),
        Say("Desk", ["It is 40."]),
    ]

    await chat.say("My balance?")
    await chat.shows("Get balance…")
    gate.open()

    await chat.shows("It is 40.")
    await chat.shows_not("Get balance…")


async def test_text_taken_back_is_replaced(chat: ChatPage, gateway: FakeGateway) -> None:
    gate = Gate()
    gateway.script = lambda _: [Say("Desk", ["Wrong start", gate, Restart(), "Right answer"])]

    await chat.say("Hello")
    await chat.shows("Wrong start")
    gate.open()

    await chat.shows("Right answer")
    await chat.shows_not("Wrong start")


async def test_a_turn_that_starts_over_leaves_nothing_of_its_first_try(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gate = Gate()
    gateway.script = lambda _: [Say("Desk", ["First try", gate, Drop(), Crash(), "Second try"])]

    await chat.say("Hello")
    await chat.shows("First try")
    gate.open()

    await chat.shows("Second try")
    await chat.shows_not("First try")
    await expect(chat.messages).to_have_count(2)


async def test_a_reply_that_was_not_stored_is_taken_back(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    lost = {"id": "msg_lost", "role": "assistant", "agent": "Desk", "visibility": "external"}
    said = {**lost, "content": [{"type": "text", "text": "Never stored"}]}
    gateway.script = lambda _: [
        Emit("message.created", {"message": lost}),
        Emit("message.completed", {"message": said}),
        Say("Desk", ["Stored"]),
    ]

    await chat.say("Hello")
    await chat.is_idle()

    await chat.shows("Stored")
    await chat.shows_not("Never stored")


async def test_markup_in_a_reply_stays_text(chat: ChatPage, gateway: FakeGateway) -> None:
    attack = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    link = "[here](javascript:window.hit=1)"
    gateway.script = lambda _: [Say("Desk", [attack, " ", link, f"\n\n```\n{attack}\n```"])]

    await chat.say(attack)
    await chat.is_idle()

    await expect(chat.messages).to_contain_text([attack, attack])
    assert await chat.log.locator("img, script, a").count() == 0
    assert await chat.page.evaluate("window.hit") is None


async def test_messages_between_agents_are_not_shown(chat: ChatPage, gateway: FakeGateway) -> None:
    gateway.script = lambda _: [
        Say("Desk", ["note to self"], visibility="internal"),
        Say("Desk", ["Hello!"]),
    ]

    await chat.say("Hi")
    await chat.shows("Hello!")

    await chat.shows_not("note to self")
    await chat.reload()
    await chat.shows_not("note to self")


async def test_a_reply_can_be_stopped(chat: ChatPage, gateway: FakeGateway) -> None:
    gateway.script = lambda _: [Say("Desk", ["A long story", Gate()])]
    await chat.say("Tell me a story")
    await chat.shows("A long story")

    await chat.button("Stop the reply").click()

    await chat.shows("Stopped")
    await expect(chat.text).to_be_focused()
    await expect(chat.button("Send message")).to_be_visible()


async def test_a_reply_stopped_before_its_first_word_leaves_a_note(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gateway.script = lambda _: [Gate()]
    await chat.say("Never mind")
    await chat.shows("Desk is writing")

    await chat.button("Stop the reply").click()

    await chat.shows("Stopped")
    await expect(chat.messages).to_have_count(1)


async def test_a_failed_reply_is_said_in_words_and_can_be_tried_again(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gateway.script = lambda _: [Emit("turn.failed", {"error": {"code": "model_error"}})]
    await chat.say("Hello?")
    await chat.shows("Something went wrong while writing the reply.")
    gateway.script = lambda text: [Say("Desk", [f"Now I heard: {text}"])]

    await chat.button("Try again").click()

    await chat.shows("Now I heard: Hello?")
    await chat.shows_not("Something went wrong")


async def test_a_message_that_is_too_long_comes_back_to_be_shortened(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gateway.refusals = [(413, "input_too_long")]

    await chat.say("far too long")

    await chat.shows("That message is too long.")
    await expect(chat.text).to_have_value("far too long")
    assert gateway.turns == {}


async def test_a_busy_session_is_explained_and_the_message_is_not_lost(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gateway.refusals = [(409, "session_busy")]
    await chat.say("One more thing")
    await chat.shows("still waiting for a reply")

    await chat.button("Try again").click()

    await chat.shows("Echo: One more thing")
    await expect(chat.messages).to_have_count(2)
