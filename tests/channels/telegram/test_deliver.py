"""Sending over real sockets: every answer of Telegram becomes the right one of three errors."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from channels.telegram.bot_api import SENDS_AT_ONCE
from gateway.contract import Address, Receipt
from gateway.errors import DeliveryLater, DeliveryRefused
from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.host import FakeHost
from gateway.testing.telegram import faults
from tests.channels.telegram.running import Running, channel_for, connected, hooked

MIGRATED = -1_000_000_000_123


@pytest.mark.proves("TG-43")
async def test_tg_43_a_part_is_sent_once_with_entities_and_its_receipt_is_telegrams_message_id():
    async with connected() as running:
        provider_id = await running.send("**hello**")

        [sent] = running.telegram.sent(7)
        assert provider_id == str(sent.message_id)
        assert sent.text == "hello"
        assert sent.entities == ({"type": "bold", "offset": 0, "length": 5},)
        assert running.telegram.problems == []


async def test_code_and_links_keep_language_and_address():
    async with connected() as running:
        await running.send("[docs](https://x.example/a)\n\n```python\nprint()\n```")

        link, code = running.telegram.sent()[0].entities
        assert link["url"] == "https://x.example/a"
        assert code["language"] == "python"


@pytest.mark.proves("TG-46")
async def test_tg_46_link_previews_are_off_unless_configured():
    async with connected() as quiet, connected(link_previews=True) as showing:
        await quiet.send("https://x.example")
        await showing.send("https://x.example")

        hidden, shown = quiet.telegram.sent()[0].params, showing.telegram.sent()[0].params
        assert hidden["link_preview_options"]["is_disabled"] is True
        assert shown["link_preview_options"]["is_disabled"] is False


@pytest.mark.proves("TG-21")
async def test_tg_21_a_thread_is_answered_in_the_thread():
    async with connected() as running:
        await running.send("hello", chat=-5, thread="12")

        assert running.telegram.sent()[0].thread == 12


@pytest.mark.proves("TG-22")
async def test_tg_22_a_group_message_is_answered_as_a_reply_that_survives_its_deletion():
    async with connected() as running:
        asked = running.telegram.post_text(-5, 7, "question")["message"]["message_id"]
        await running.send("answer", chat=-5, reply_to=str(asked))

        parameters = running.telegram.sent()[0].params["reply_parameters"]
        assert parameters == {"message_id": asked, "allow_sending_without_reply": True}


async def test_a_move_that_cannot_be_stored_does_not_fail_the_delivery():
    async with connected() as running:
        running.host.failures = [RuntimeError("a bug")]
        running.telegram.fail("sendMessage", faults.migrated_to(MIGRATED))

        assert await running.send("hello", chat=-5)


@pytest.mark.proves("TG-42")
async def test_tg_42_being_too_fast_in_three_chats_pauses_the_account():
    async with connected() as running:
        running.telegram.fail("sendMessage", faults.flood(3), times=None)
        scopes = []
        for chat in (7, 7, 8, 9):
            with pytest.raises(DeliveryLater) as later:
                await running.send("hello", chat=chat)
            scopes.append(later.value.scope)

        assert scopes == ["address", "address", "address", "account"]


async def test_a_throttling_without_a_waiting_time_still_is_one():
    async with connected() as running:
        running.telegram.fail("sendMessage", faults.ApiError(429, "Too Many Requests"))

        with pytest.raises(DeliveryLater) as later:
            await running.send("hello")
        assert later.value.retry_after_s == 1


async def test_a_platform_that_cannot_be_reached_has_certainly_not_got_it():
    host = FakeHost()
    async with AsyncExitStack() as stack:
        async with TelegramServer() as telegram:
            channel = channel_for(telegram)
            await stack.enter_async_context(channel.connected(host))

        with pytest.raises(DeliveryLater) as later:
            await Running(channel, host, telegram).send("hello")
        assert later.value.retry_after_s is None


async def test_a_channel_that_is_not_connected_sends_later():
    async with connected() as running:
        idle = channel_for(running.telegram)

        with pytest.raises(DeliveryLater):
            await idle.deliver(
                Address("tg", "7"), {"text": "x", "entities": []}, delivery_id="dlv_1"
            )


async def test_an_address_that_telegram_never_gave_is_refused():
    async with connected() as running:
        with pytest.raises(DeliveryRefused):
            await running.send("hello", thread="not-a-number")

        assert running.telegram.calls_of("sendMessage") == []


@pytest.mark.proves("C-11")
async def test_c_11_long_replies_arrive_whole_and_in_order():
    words = [f"word{n}" for n in range(3000)]
    async with connected() as running:
        address = Address("tg", "7")
        for part in running.parts(" ".join(words)):
            await running.channel.deliver(address, part, delivery_id="dlv_1")

        assert " ".join(sent.text for sent in running.telegram.sent()).split() == words
        assert running.telegram.problems == []


async def test_no_more_than_a_bounded_number_of_messages_is_sent_at_once():
    async with connected() as running:
        hang = running.telegram.fail("sendMessage", misbehaviour.Hang(), times=None)
        tasks = [asyncio.create_task(running.send("hello", chat=n)) for n in range(1, 40)]
        await running.telegram.wait_for_calls("sendMessage", SENDS_AT_ONCE)
        waiting = hang.used
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert waiting == SENDS_AT_ONCE


async def test_a_message_that_waited_too_long_for_its_turn_was_certainly_not_sent(monkeypatch):
    monkeypatch.setattr("channels.telegram.bot_api.SENDS_AT_ONCE", 1)
    monkeypatch.setattr("channels.telegram.bot_api.SLOT_WITHIN_S", 0.05)
    async with connected() as running:
        running.telegram.fail("sendMessage", misbehaviour.Hang())
        first = asyncio.create_task(running.send("one"))
        await running.telegram.wait_for_calls("sendMessage")

        with pytest.raises(DeliveryLater):
            await running.send("two")
        first.cancel()


async def test_a_receipt_is_plain_data():
    async with connected() as running:
        [part] = running.parts("hello")
        receipt = await running.channel.deliver(Address("tg", "7"), part, delivery_id="dlv_1")

        assert replace(receipt) == Receipt(receipt.provider_id)


@pytest.mark.proves("C-6")
async def test_c_6_a_webhook_call_sends_nothing_itself():
    async with hooked() as running:
        running.telegram.post_text(7, 7, "hello")
        await running.host.until(lambda: running.host.texts == ["hello"])
        await running.telegram.wait_until_confirmed()

        methods = {call.method for call in running.telegram.calls}
        assert not {method for method in methods if method.startswith("send")}
