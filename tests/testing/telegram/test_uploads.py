"""Files and buttons that a bot sends through the fake: what is taken, and what people see."""

import aiohttp
import pytest

from gateway.testing import TelegramServer
from gateway.testing.telegram import uploads
from tests.testing.telegram.client import Client, client_of


async def upload(client: Client, method: str, content: bytes, *, field: str = "") -> dict:
    form = aiohttp.FormData({"chat_id": "7", "caption": "Look"})
    form.add_field(field or uploads.FIELDS[method], content, filename="a.bin")
    async with client.session.post(client.url(method), data=form) as response:
        return await response.json()


@pytest.mark.parametrize("method", uploads.FIELDS)
async def test_a_sent_file_is_shown_in_the_message(method):
    async with TelegramServer() as telegram, client_of(telegram) as client:
        answer = await upload(client, method, b"bytes")

    shown = answer["result"][uploads.FIELDS[method]]
    file = shown[0] if isinstance(shown, list) else shown
    assert file["file_size"] == 5
    assert answer["result"]["caption"] == "Look"
    assert telegram.sent(7)[0].uploads[uploads.FIELDS[method]].content == b"bytes"


@pytest.mark.parametrize(
    ("method", "content", "field", "code", "words"),
    [
        ("sendPhoto", b"x" * 2000, "", 400, "too big for a photo"),
        ("sendDocument", b"x" * 5000, "", 413, "Request Entity Too Large"),
        ("sendDocument", b"x", "voice", 400, "there is no document in the request"),
        ("sendVoice", b"", "", 400, "file must be non-empty"),
    ],
)
async def test_a_file_that_telegram_would_not_take_is_refused(
    method, content, field, code, words, monkeypatch
):
    monkeypatch.setattr(uploads, "PHOTO_BYTES", 1000)
    monkeypatch.setattr(uploads, "FILE_BYTES", 4000)
    async with TelegramServer() as telegram, client_of(telegram) as client:
        answer = await upload(client, method, content, field=field)

    assert answer["error_code"] == code
    assert words in answer["description"]
    assert telegram.sent(7) == []


@pytest.mark.parametrize(
    ("rich", "words"),
    [
        ({}, "either html or markdown"),
        ({"html": "<p>a</p>", "markdown": "a"}, "either html or markdown"),
        ({"html": f"<p>{'x' * 32_769}</p>"}, "message is too long"),
        ({"html": "<p>x</p>" * 501}, "RICH_MESSAGE_BLOCKS_TOO_MUCH"),
    ],
    ids=["none", "two", "long", "blocks"],
)
async def test_a_rich_message_over_the_limits_is_refused(rich, words):
    async with TelegramServer() as telegram, client_of(telegram) as client:
        assert words in await client.error("sendRichMessage", chat_id=7, rich_message=rich)


async def test_a_button_without_a_text_is_refused():
    markup = {"inline_keyboard": [[{"text": " ", "callback_data": "yes"}]]}

    async with TelegramServer() as telegram, client_of(telegram) as client:
        words = await client.error("sendMessage", chat_id=7, text="?", reply_markup=markup)

    assert "button text is empty" in words
