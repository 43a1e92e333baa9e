"""What the fake Telegram breaks on purpose."""

import asyncio

import aiohttp
import pytest

from gateway.testing import (
    Drop,
    Hang,
    HtmlError,
    Slow,
    TelegramServer,
    blocked_by_user,
    cannot_parse_entities,
    chat_not_found,
    flood,
    kicked_from_group,
    migrated_to,
    not_enough_rights,
    other_poller,
    unauthorized,
    user_deactivated,
)
from tests.testing.telegram.client import client_of


async def test_a_flood_answer_carries_its_wait_in_header_and_body():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("sendMessage", flood(3))
        body = {"chat_id": 7, "text": "hi"}
        async with client.session.post(client.url("sendMessage"), json=body) as response:
            answer = await response.json()

    assert (response.status, response.headers["Retry-After"]) == (429, "3")
    assert answer["parameters"] == {"retry_after": 3}
    assert telegram.sent() == []


async def test_a_send_before_its_chat_may_be_written_to_again_is_noted():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("sendMessage", flood(30))
        await client.error("sendMessage", chat_id=7, text="hi")
        await client.result("sendMessage", chat_id=8, text="another chat")
        await client.result("sendChatAction", chat_id=7, action="typing")
        noted_before = list(telegram.early)
        await client.result("sendMessage", chat_id=7, text="hi")

    assert noted_before == []
    assert len(telegram.early) == 1
    assert "sendMessage to chat 7 came" in telegram.early[0]


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        (blocked_by_user(), 403, "Forbidden: bot was blocked by the user"),
        (chat_not_found(), 400, "Bad Request: chat not found"),
        (user_deactivated(), 403, "Forbidden: user is deactivated"),
        (kicked_from_group(), 403, "Forbidden: bot was kicked"),
        (not_enough_rights(), 400, "Bad Request: not enough rights"),
        (unauthorized(), 401, "Unauthorized"),
        (other_poller(), 409, "Conflict: terminated by other getUpdates request"),
        (cannot_parse_entities(), 400, "Bad Request: can't parse entities"),
    ],
)
async def test_planned_refusals_have_the_servers_words(fault, code, text):
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("sendMessage", fault)
        answer = await client.call("sendMessage", chat_id=7, text="hi")

    assert answer["error_code"] == code
    assert answer["description"].startswith(text)


async def test_an_upgraded_group_is_answered_with_its_new_id():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("sendMessage", migrated_to(-1009))
        answer = await client.call("sendMessage", chat_id=-9, text="hi")

    assert answer["parameters"] == {"migrate_to_chat_id": -1009}


async def test_an_accepted_call_whose_answer_is_lost_took_effect():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("sendMessage", Drop())
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.call("sendMessage", chat_id=7, text="hi")

    assert [sent.text for sent in telegram.sent(7)] == ["hi"]
    assert telegram.calls[0].status is None


async def test_a_call_that_is_lost_before_it_is_accepted_has_no_effect():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("sendMessage", Drop(accepted=False))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.call("sendMessage", chat_id=7, text="hi")

    assert telegram.sent() == []
    assert len(telegram.calls) == 1


async def test_a_hanging_call_is_never_answered():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("sendMessage", Hang(accepted=True))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.call("sendMessage", chat_id=7, text="hi"), 0.05)

    assert len(telegram.sent(7)) == 1


async def test_a_slow_call_takes_effect_before_its_answer():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("sendMessage", Slow(0.05))
        call = asyncio.create_task(client.result("sendMessage", chat_id=7, text="hi"))
        await telegram.wait_for_sent(1)
        was_answered = call.done()
        await call

    assert was_answered is False


async def test_a_gateway_error_has_an_html_body():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("getMe", HtmlError(503))
        async with client.session.post(client.url("getMe")) as response:
            assert response.content_type == "text/html"

    assert response.status == telegram.calls[0].status == 503


async def test_faults_are_chosen_by_method_count_and_predicate():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        rule = telegram.fail(
            "sendMessage", chat_not_found(), times=2, when=lambda call: call.chat == 8
        )
        codes = []
        for chat in (7, 8, 8, 8):
            answer = await client.call("sendMessage", chat_id=chat, text="hi")
            codes.append(answer.get("error_code"))

    assert codes == [None, 400, 400, None]
    assert rule.used == 2


async def test_a_rule_without_a_count_holds_until_it_is_stopped():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        rule = telegram.fail("*", chat_not_found(), times=None)
        for _ in range(3):
            await client.error("sendMessage", chat_id=7, text="hi")
        rule.stop()
        await client.result("sendMessage", chat_id=7, text="hi")

    assert rule.used == 3
