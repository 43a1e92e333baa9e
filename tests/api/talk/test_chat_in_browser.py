"""What a visitor sees and can do on the chat page, in a real browser over real sockets."""

import json
import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api.talk.browser import watched_page
from tests.api.talk.chat_page import ChatPage
from tests.api.talk.fake_gateway import Crash, Drop, Emit, FakeGateway, Gate, Restart, Say

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_empty_conversation_greets_and_suggests(chat: ChatPage) -> None:
    await expect(chat.page.get_by_role("heading", name="What can we do for you?")).to_be_visible()

    await chat.button("What do I owe?").click()

    await chat.shows("Echo: What do I owe?")
    await expect(chat.page.get_by_role("heading", name="What can we do for you?")).to_be_hidden()


async def test_looking_at_the_page_opens_no_session(chat: ChatPage, gateway: FakeGateway) -> None:
    await chat.reload()

    assert gateway.sessions == {}


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


async def test_the_conversation_is_there_after_a_reload(chat: ChatPage) -> None:
    await chat.say("Remember me")
    await chat.shows("Echo: Remember me")
    await chat.is_idle()

    await chat.reload()

    await expect(chat.messages).to_have_count(2)
    await chat.shows("Echo: Remember me")


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


async def test_an_ended_conversation_offers_a_new_one(chat: ChatPage, gateway: FakeGateway) -> None:
    gateway.refusals = [(409, "session_ended")]
    await chat.say("Anybody?")
    await chat.shows("This conversation has ended.")

    await chat.log.get_by_role("button", name="New conversation").click()

    await expect(chat.messages).to_have_count(0)
    await chat.text.press("Enter")
    await chat.shows("Echo: Anybody?")
    assert len(gateway.sessions) == 2


async def test_a_new_conversation_starts_empty_and_stays_after_a_reload(chat: ChatPage) -> None:
    await chat.say("Old news")
    await chat.shows("Echo: Old news")

    await chat.button("New conversation").click()

    await expect(chat.messages).to_have_count(0)
    await expect(chat.text).to_be_focused()
    await chat.reload()
    await expect(chat.messages).to_have_count(0)


async def test_a_refused_token_is_exchanged_and_the_page_starts_afresh(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    await chat.say("Before")
    await chat.is_idle()
    gateway.forget_tokens()

    await chat.reload()
    await chat.say("After")

    await chat.shows("Echo: After")


async def test_a_token_about_to_expire_is_renewed_for_the_same_session(
    page: Page, address: str, gateway: FakeGateway
) -> None:
    gateway.token_life /= 60
    chat = await ChatPage.open(page, address)

    await chat.say("Still me")
    await chat.shows("Echo: Still me")

    assert len(gateway.sessions) == 1
    assert gateway.requests.count("POST /talk/support/session") > 1


async def test_older_messages_come_on_demand(
    chat: ChatPage, gateway: FakeGateway, page: Page
) -> None:
    await chat.say("Open a session")
    await chat.is_idle()
    (session_id,) = gateway.sessions
    gateway.sessions[session_id].clear()
    for number in range(70):
        gateway.add_message(session_id, "user", f"Entry {number:02}", turn_id=f"turn_old{number}")
    await chat.reload()
    await expect(chat.messages).to_have_count(50)

    await chat.button("Show earlier messages").click()

    await expect(chat.messages).to_have_count(70)
    await expect(chat.messages.first).to_contain_text("Entry 00")
    await expect(chat.button("Show earlier messages")).to_be_hidden()


async def test_the_page_works_by_keyboard_alone(chat: ChatPage) -> None:
    keyboard = chat.page.keyboard
    await expect(chat.text).to_be_focused()
    await keyboard.type("Line one")
    await keyboard.press("Shift+Enter")
    await keyboard.type("line two")
    await keyboard.press("Enter")
    await chat.shows("Echo: Line one")
    await chat.is_idle()
    await expect(chat.messages.first).to_have_text(re.compile("Line one\nline two"))

    await keyboard.press("Shift+Tab")  # from the text to the newest message's own button
    await keyboard.press("Shift+Tab")
    await expect(chat.messages.last).to_be_focused()
    await keyboard.press("ArrowUp")

    await expect(chat.messages.first).to_be_focused()


async def test_nothing_is_sent_while_it_is_empty_or_a_reply_is_coming(
    chat: ChatPage, gateway: FakeGateway
) -> None:
    gateway.script = lambda _: [Say("Desk", ["Wait", Gate()])]
    await chat.say("   ")
    await chat.say("Hello")
    await chat.shows("Wait")

    await chat.say("Too early")

    await expect(chat.text).to_have_value("Too early")
    assert len(gateway.turns) == 1


async def test_the_page_fits_a_phone(browser: Browser, address: str, gateway: FakeGateway) -> None:
    wide = "W" * 200
    reply = f"{wide}\n\n```\n{wide}\n```\n\n| {wide} | b |\n|---|---|\n| 1 | 2 |"
    gateway.script = lambda _: [Say("Desk", [reply])]
    async with watched_page(browser, is_phone=True) as page:
        chat = await ChatPage.open(page, address)
        await chat.say(wide)
        await chat.is_idle()

        sideways = "[document.documentElement, document.querySelector('main')]"
        overflow = f"{sideways}.map((part) => part.scrollWidth - part.clientWidth)"
        assert await page.evaluate(overflow) == [0, 0]
        assert (
            await chat.text.evaluate("(text) => parseFloat(getComputedStyle(text).fontSize)") == 16
        )


async def test_an_unfinished_message_is_kept_for_the_next_visit(
    chat: ChatPage, gateway: FakeGateway, address: str
) -> None:
    gateway.script = lambda text: [Gate(), Say("Desk", [text])]
    await chat.say("Hold on")
    await chat.shows("Desk is writing")

    kept = await chat.page.evaluate("localStorage.getItem('talk:support')")

    assert json.loads(kept)["pending"]["text"] == "Hold on"
