"""The chat page of a running gateway in a real browser: from the first word to a kill -9."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, expect

from gateway.testing.process import GatewayProcess
from tests.api.talk.browser import chromium, watched_page
from tests.api.talk.chat_page import ChatPage

LAST_WORD = "finally."
STORY = " ".join(f"word{number}" for number in range(60)) + f" {LAST_WORD}"

CONFIG = f"""
[[projects]]
id = "demo"

[models.demo]
provider = "scripted"

[[models.demo.rules]]
tool = "get_outstanding_balance"
reply = "You owe **{{tool.balance}}**."

[[models.demo.rules]]
agent = "Billing"
call = "get_outstanding_balance"

[[models.demo.rules]]
text = "owe"
handoff = "Billing"

[[models.demo.rules]]
text = "story"
reply = "{STORY}"
chunk_delay_s = 0.05

[[models.demo.rules]]
text = "attack"
reply = '<img src=x onerror="window.hit=1"> [here](javascript:window.hit=1)'

[[models.demo.rules]]
reply = "I heard: {{text}}"

[tools.get_outstanding_balance]
kind = "python"
function = "gateway.demo:get_outstanding_balance"
parameters = {{ type = "object", properties = {{ card = {{ type = "string" }} }} }}

[[bots]]
slug = "support"
name = "Card Support"
model = "demo"
greeting = "What is it about?"
suggestions = ["What do I owe?"]

[[bots.agents]]
name = "Desk"
handoffs = ["Billing"]

[[bots.agents]]
name = "Billing"
handoffs = ["Desk"]
tools = ["get_outstanding_balance"]
"""


@asynccontextmanager
async def chatting(
    folder: Path, *, is_phone: bool = False
) -> AsyncIterator[tuple[GatewayProcess, ChatPage]]:
    """A running gateway and its chat page, open in a browser."""
    async with GatewayProcess(folder, config=CONFIG) as gateway:
        await gateway.start()
        async with chromium() as browser, watched_page(browser, is_phone=is_phone) as page:
            yield gateway, await ChatPage.open(page, f"{gateway.url}/talk/support")


async def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(await page.evaluate("document.documentElement.scrollWidth - innerWidth"))


async def test_a_reply_streams_and_is_there_after_a_reload(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (_, chat):
        await chat.say("Tell me a story")
        await chat.shows("word1 ")
        await chat.shows_not(LAST_WORD)
        await chat.shows(LAST_WORD)
        await chat.is_idle()

        await chat.reload()

        await expect(chat.messages).to_have_count(2)
        await chat.shows(STORY)


async def test_a_question_is_handed_over_and_answered_by_a_tool(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (_, chat):
        await chat.button("What do I owe?").click()

        await chat.shows("Billing joined")
        await chat.shows("Get outstanding balance")
        await chat.shows("You owe")
        await chat.is_idle()


async def test_a_conversation_is_held_by_keyboard_alone(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (_, chat):
        await chat.page.keyboard.type("Good morning")
        await chat.page.keyboard.press("Enter")

        await chat.shows("I heard: Good morning")
        await chat.is_idle()
        await expect(chat.text).to_be_focused()


async def test_a_reply_can_be_stopped(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (_, chat):
        await chat.say("Tell me a story")
        await chat.shows("word1 ")

        await chat.button("Stop the reply").click()

        await chat.shows("Stopped")
        await chat.shows_not(LAST_WORD)
        await chat.say("Still there?")
        await chat.shows("I heard: Still there?")


async def test_a_phone_shows_it_without_scrolling_sideways(tmp_path: Path) -> None:
    async with chatting(tmp_path, is_phone=True) as (_, chat):
        await chat.say("W" * 300)
        await chat.shows("I heard: WWW")
        await chat.is_idle()

        assert await overflow(chat.page) == 0


async def test_an_attack_in_a_reply_stays_text(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (_, chat):
        await chat.say("attack")
        await chat.shows('<img src=x onerror="window.hit=1">')
        await chat.is_idle()

        assert await chat.log.locator("img, a").count() == 0
        assert await chat.page.evaluate("window.hit") is None


async def test_a_new_conversation_knows_nothing_of_the_old_one(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (_, chat):
        await chat.say("Old news")
        await chat.shows("I heard: Old news")
        await chat.is_idle()

        await chat.button("New conversation").click()
        await chat.say("Fresh start")
        await chat.shows("I heard: Fresh start")
        await chat.is_idle()
        await chat.reload()

        await chat.shows("I heard: Fresh start")
        await chat.shows_not("Old news")


async def test_a_kill_in_the_middle_of_a_reply_is_survived(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (gateway, chat):
        await chat.say("Tell me a story")
        await chat.shows("word1 ")

        await gateway.kill()
        await expect(chat.page.get_by_role("status")).to_contain_text("Reconnecting")
        await gateway.start()

        await expect(chat.messages.last).to_contain_text(STORY, timeout=30_000)
        await expect(chat.messages).to_have_count(2)
        await chat.is_idle()
        await chat.reload()
        await expect(chat.messages).to_have_count(2)


async def test_an_address_without_a_bot_says_so_kindly(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (gateway, chat):
        answer = await chat.page.goto(f"{gateway.url}/talk/nobody")

        assert answer is not None
        assert answer.status == 404
        await expect(chat.page.get_by_role("heading", name="There is no chat here")).to_be_visible()
