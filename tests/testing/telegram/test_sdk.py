"""python-telegram-bot's ExtBot takes the fake for the real Bot API.

Where the published specification is at hand, it judges the package's calls here too.
"""

import asyncio
import sys
from contextlib import asynccontextmanager

import pytest
from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReplyParameters,
)
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TimedOut,
)
from telegram.ext import ExtBot
from telegram.request import HTTPXRequest

from gateway.testing import (
    Drop,
    Hang,
    HtmlError,
    TelegramServer,
    blocked_by_user,
    cannot_parse_entities,
    flood,
    migrated_to,
)
from tests.testing.telegram.client import spec_file_if_any


@asynccontextmanager
async def bot_of(telegram: TelegramServer, *, token: str = "", read_s: float = 5):
    bot = ExtBot(
        token or telegram.token,
        base_url=f"{telegram.api_url}/bot",
        base_file_url=f"{telegram.api_url}/file/bot",
        request=HTTPXRequest(read_timeout=read_s),
        get_updates_request=HTTPXRequest(read_timeout=read_s),
    )
    async with bot:
        yield bot


@pytest.fixture
async def telegram():
    async with TelegramServer(spec=spec_file_if_any()) as server:
        yield server


async def test_it_initializes_and_knows_itself(telegram):
    async with bot_of(telegram) as bot:
        assert (bot.id, bot.username) == (telegram.bot.id, "fake_bot")


async def test_updates_arrive_typed_and_are_confirmed(telegram):
    telegram.post_text(7, 7, "/start now")
    telegram.post_photo(7, 7, "my cat")

    async with bot_of(telegram) as bot:
        text, photo = await bot.get_updates(allowed_updates=["message"], timeout=5)
        rest = await bot.get_updates(offset=photo.update_id + 1)
        file = await bot.get_file(photo.message.photo[-1].file_id)
        content = await file.download_as_bytearray()

    assert text.message.text == "/start now"
    assert text.message.entities[0].type == "bot_command"
    assert text.effective_user.id == 7
    assert photo.message.caption == "my cat"
    assert content.startswith(b"\xff\xd8")
    assert (rest, telegram.pending, telegram.problems) == ((), [], [])


async def test_a_long_poll_is_woken(telegram):
    async with bot_of(telegram) as bot:
        poll = asyncio.create_task(bot.get_updates(timeout=20))
        await telegram.wait_for_calls("getUpdates")
        telegram.post_text(7, 7, "hello")
        [update] = await asyncio.wait_for(poll, 5)

    assert update.message.text == "hello"


async def test_all_calls_of_a_chat_bot_keep_the_rules(telegram):
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Yes", callback_data="yes")]])

    async with bot_of(telegram) as bot:
        sent = await bot.send_message(
            7,
            "Sure?",
            entities=[MessageEntity("bold", 0, 4)],
            reply_markup=keyboard,
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            reply_parameters=ReplyParameters(1, allow_sending_without_reply=True),
        )
        await bot.send_chat_action(7, "typing")
        await bot.send_message_draft(7, 3, "thinking")
        edited = await bot.edit_message_text("Done.", 7, sent.message_id)
        query = telegram.press(telegram.sent(7)[0], 7, "yes")["callback_query"]
        await bot.answer_callback_query(query["id"], text="Thanks")
        await bot.set_my_commands([("new", "Start over")])
        await bot.set_webhook(f"{telegram.api_url}/nobody", secret_token="s", max_connections=5)
        info = await bot.get_webhook_info()
        await bot.delete_webhook()
        await bot.send_document(7, b"%PDF", filename="bill.pdf", caption="the bill")
        await bot.delete_message(7, sent.message_id)

    assert telegram.problems == []
    assert edited.text == "Done."
    assert info.url.endswith("/nobody")
    assert telegram.commands == [{"command": "new", "description": "Start over"}]
    assert [message.text for message in telegram.sent(7)] == ["the bill"]


async def test_unknown_methods_and_fields_pass_when_they_are_allowed():
    newer = {"sendMessageDraft": ["can_stop"]}
    async with (
        TelegramServer(spec=spec_file_if_any(), newer=newer) as telegram,
        bot_of(telegram) as bot,
    ):
        await bot.send_message_draft(7, 3, "thinking", api_kwargs={"can_stop": True})
        await bot.do_api_request(
            "sendRichMessage", api_kwargs={"chat_id": 7, "rich_message": {"markdown": "# Hi"}}
        )

    assert telegram.problems == []
    assert telegram.sent(7)[0].text == "# Hi"


@pytest.mark.filterwarnings("ignore:.*attribute `retry_after` will be of type.*")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (flood(3), RetryAfter),
        (blocked_by_user(), Forbidden),
        (cannot_parse_entities(), BadRequest),
        (migrated_to(-1009), ChatMigrated),
        (HtmlError(502), NetworkError),
        (Drop(), NetworkError),
        (Hang(accepted=True), TimedOut),
    ],
)
async def test_faults_raise_the_errors_of_the_package(telegram, fault, error):
    async with bot_of(telegram, read_s=0.2) as bot:
        telegram.fail("sendMessage", fault)
        with pytest.raises(error):
            await bot.send_message(7, "hello")


async def test_a_second_poller_is_a_conflict(telegram):
    async with bot_of(telegram) as bot, bot_of(telegram) as other:
        poll = asyncio.create_task(bot.get_updates(timeout=20))
        await telegram.wait_for_calls("getUpdates")
        newer = asyncio.create_task(other.get_updates(timeout=20))
        with pytest.raises(Conflict):
            await asyncio.wait_for(poll, 5)
        telegram.post_text(7, 7, "hello")

        assert len(await asyncio.wait_for(newer, 5)) == 1


async def test_a_wrong_token_is_refused(telegram):
    with pytest.raises(InvalidToken):
        async with bot_of(telegram, token="123:wrong"):
            pass


async def test_as_a_process_it_posts_lines_and_prints_what_is_sent():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "gateway.testing.telegram.server", "--token", "5:x"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
    process.stdin.write("Grüße\n".encode())
    async with ExtBot("5:x", base_url=f"{url}/bot") as bot:
        [update] = await bot.get_updates(timeout=10)
        assert update.message is not None
        await bot.send_message(update.message.chat_id, f"You said {update.message.text}.")
    printed = (await asyncio.wait_for(process.stdout.readline(), 5)).decode()
    process.terminate()

    assert '"text": "You said Grüße."' in printed
    assert await asyncio.wait_for(process.wait(), 10) == 0
