"""A visit to the chat page: arriving, coming back, starting over; by keyboard and on a phone."""

import json
import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.api.talk.browser import watched_page
from tests.api.talk.chat_page import ChatPage
from tests.api.talk.fake_gateway import FakeGateway, Gate, Say

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_empty_conversation_greets_and_suggests(chat: ChatPage) -> None:
    await expect(chat.page.get_by_role("heading", name="What can we do for you?")).to_be_visible()

    await chat.button("What do I owe?").click()

    await chat.shows("Echo: What do I owe?")
    await expect(chat.text).to_be_focused()
    await expect(chat.page.get_by_role("heading", name="What can we do for you?")).to_be_hidden()


async def test_looking_at_the_page_opens_no_session(chat: ChatPage, gateway: FakeGateway) -> None:
    await chat.reload()

    assert gateway.sessions == {}


async def test_the_conversation_is_there_after_a_reload(chat: ChatPage) -> None:
    await chat.say("Remember me")
    await chat.shows("Echo: Remember me")
    await chat.is_idle()

    await chat.reload()

    await expect(chat.messages).to_have_count(2)
    await chat.shows("Echo: Remember me")


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

        sideways = "[document.documentElement, document.querySelector('[role=region]')]"
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
