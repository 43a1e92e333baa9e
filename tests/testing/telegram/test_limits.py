"""The limits the fake Telegram puts on calls, one broken at a time."""

import pytest

from gateway.testing import (
    TelegramServer,
)
from tests.testing.telegram.client import client_of


def bold(offset, length):
    return {"type": "bold", "offset": offset, "length": length}


@pytest.mark.parametrize(
    ("method", "params", "description"),
    [
        ("sendMessage", {"text": ""}, "message text is empty"),
        ("sendMessage", {"text": " \n"}, "text must be non-empty"),
        ("sendMessage", {"text": "x" * 4097}, "message is too long"),
        ("sendMessage", {"text": "😀" * 2049}, "message is too long"),
        ("sendMessage", {"text": "abc", "entities": [bold(0, 4)]}, "ends after the end"),
        ("sendMessage", {"text": "abc", "entities": [bold(3, 1)]}, "begins after the end"),
        ("sendMessage", {"text": "abc", "entities": [bold(0, 0)]}, "is empty"),
        ("sendMessage", {"text": "abc", "entities": [bold(-1, 2)]}, "before the text"),
        ("sendMessage", {"text": "a😀", "entities": [bold(2, 1)]}, "begins in a middle"),
        ("sendMessage", {"text": "a😀", "entities": [bold(0, 2)]}, "ends in a middle"),
        ("sendMessage", {"text": "abcd", "entities": [bold(0, 2), bold(1, 2)]}, "crosses the end"),
        (
            "sendMessage",
            {"text": "abc", "entities": [{"type": "loud", "offset": 0, "length": 1}]},
            "can't parse MessageEntity",
        ),
        (
            "sendMessage",
            {"text": "abc", "entities": [{"type": "text_link", "offset": 0, "length": 1}]},
            "text_link without url",
        ),
        (
            "sendMessage",
            {
                "text": "a",
                "reply_markup": {"inline_keyboard": [[{"text": "b", "callback_data": "é" * 33}]]},
            },
            "BUTTON_DATA_INVALID",
        ),
        ("sendPhoto", {"photo": "id", "caption": "x" * 1025}, "message caption is too long"),
        ("sendMessageDraft", {"draft_id": 0, "text": "a"}, "draft_id must be non-zero"),
        ("sendMessageDraft", {"draft_id": 1, "text": "a" * 4097}, "message is too long"),
        ("sendChatAction", {"action": "dancing"}, "wrong parameter action"),
        ("setWebhook", {"url": "nowhere"}, "invalid webhook URL"),
        ("setWebhook", {"url": "https://a.b", "secret_token": "a b"}, "unallowed characters"),
        ("setWebhook", {"url": "https://a.b", "secret_token": "a" * 257}, "too long"),
        (
            "setMyCommands",
            {"commands": [{"command": "Go!", "description": "x"}]},
            "COMMAND_INVALID",
        ),
        ("setMyCommands", {"commands": "go"}, "can't parse commands"),
        (
            "setMyCommands",
            {"commands": [{"command": "go", "description": "x"}] * 101},
            "BOT_COMMANDS_TOO_MUCH",
        ),
        (
            "setMyCommands",
            {"commands": [{"command": "go", "description": ""}]},
            "BOT_COMMAND_DESCRIPTION_INVALID",
        ),
        ("answerCallbackQuery", {"callback_query_id": "1", "text": "x" * 201}, "TOO_LONG"),
    ],
)
async def test_each_broken_limit_is_refused_and_recorded(method, params, description):
    if method.startswith("send"):
        params = {"chat_id": 7, **params}

    async with TelegramServer() as telegram, client_of(telegram) as client:
        answer = await client.call(method, **params)

    assert answer["error_code"] == 400
    assert description in answer["description"]
    assert len(telegram.problems) == 1
    assert telegram.sent() == []


@pytest.mark.parametrize(
    "params",
    [
        {"text": "x" * 4096},
        {"text": "😀" * 2048},
        {"text": "abcd", "entities": [bold(0, 4), bold(1, 2)]},
        {"text": "abcd", "entities": [bold(0, 2), bold(2, 2)]},
        {"text": "a😀b", "entities": [bold(1, 2)]},
    ],
)
async def test_what_keeps_the_limits_exactly_is_accepted(params):
    async with TelegramServer() as telegram, client_of(telegram) as client:
        await client.result("sendMessage", chat_id=7, **params)

    assert telegram.problems == []


async def test_a_lenient_server_records_the_broken_limit_and_accepts():
    async with TelegramServer(strict=False) as telegram, client_of(telegram) as client:
        await client.result("sendMessage", chat_id=7, text="x" * 4097)

    assert telegram.problems == ["sendMessage: message is too long"]
