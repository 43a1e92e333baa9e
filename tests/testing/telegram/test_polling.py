"""getUpdates of the fake Telegram: offsets, long polls, conflicts, kinds of updates."""

import asyncio

import pytest

from gateway.testing import TelegramServer, other_poller
from tests.testing.telegram.client import client_of


def ids(updates):
    return [update["update_id"] for update in updates]


def texts(updates):
    return [update["message"]["text"] for update in updates]


async def test_updates_come_again_until_an_offset_confirms_them():
    async with TelegramServer(first_update_id=50) as telegram, client_of(telegram) as client:
        for text in ("one", "two", "three"):
            telegram.post_text(7, 7, text)
        first = await client.result("getUpdates")
        again = await client.result("getUpdates")
        rest = await client.result("getUpdates", offset=52)

    assert ids(first) == ids(again) == [50, 51, 52]
    assert texts(rest) == ["three"]
    assert telegram.offset == 52
    assert len(telegram.pending) == 1


async def test_a_limit_bounds_the_batch_and_keeps_the_order():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        for number in range(5):
            telegram.post_text(7, 7, str(number))
        batch = await client.result("getUpdates", limit=2)

    assert texts(batch) == ["0", "1"]


async def test_a_negative_offset_keeps_so_many_from_the_end_and_forgets_the_others():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        for number in range(5):
            telegram.post_text(7, 7, str(number))
        batch = await client.result("getUpdates", offset=-2)

    assert texts(batch) == ["3", "4"]
    assert len(telegram.pending) == 2


async def test_an_offset_far_beyond_the_newest_update_is_read_as_the_oldest():
    async with TelegramServer(first_update_id=50) as telegram, client_of(telegram) as client:
        telegram.post_text(7, 7, "hello")
        batch = await client.result("getUpdates", offset=900)

    assert ids(batch) == [50]


async def test_update_ids_may_jump_to_a_lower_number():
    async with TelegramServer(first_update_id=900) as telegram, client_of(telegram) as client:
        telegram.post_text(7, 7, "before the pause")
        await client.result("getUpdates", offset=901)
        telegram.skip_update_ids(5)
        telegram.post_text(7, 7, "after the pause")
        batch = await client.result("getUpdates", offset=901)

    assert ids(batch) == [5]


async def test_a_long_poll_ends_when_an_update_arrives():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        poll = asyncio.create_task(client.result("getUpdates", timeout=30))
        await telegram.wait_for_calls("getUpdates")
        telegram.post_text(7, 7, "hello")

        assert texts(await asyncio.wait_for(poll, 5)) == ["hello"]


async def test_a_long_poll_without_updates_ends_empty_after_its_time():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        assert await client.result("getUpdates", timeout=1) == []


async def test_the_newer_of_two_long_polls_wins():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        older = asyncio.create_task(client.error("getUpdates", timeout=30))
        await telegram.wait_for_calls("getUpdates", 1)
        newer = asyncio.create_task(client.result("getUpdates", timeout=30))
        refused = await asyncio.wait_for(older, 5)
        telegram.post_text(7, 7, "hello")

        assert "Conflict: terminated by other getUpdates request" in refused
        assert texts(await asyncio.wait_for(newer, 5)) == ["hello"]


async def test_polling_is_refused_while_a_webhook_is_set():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        poll = asyncio.create_task(client.error("getUpdates", timeout=30))
        await telegram.wait_for_calls("getUpdates")
        await client.result("setWebhook", url=f"{telegram.api_url}/nobody")
        ended = await asyncio.wait_for(poll, 5)
        refused = await client.call("getUpdates")
        await client.result("deleteWebhook")
        allowed = await client.result("getUpdates")

    assert ended == "Conflict: terminated by setWebhook request"
    assert refused["error_code"] == 409
    assert "can't use getUpdates method while webhook is active" in refused["description"]
    assert allowed == []


async def test_only_the_kinds_a_bot_asked_for_are_queued_and_the_choice_is_kept():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        await client.result("getUpdates", allowed_updates=["message"])
        update = telegram.post_text(7, 7, "hello")
        telegram.post_edit(update, "hello!")
        telegram.block(8)
        batch = await client.result("getUpdates")

    assert [list(update)[1] for update in batch] == ["message"]


async def test_kinds_nobody_knows_yet_are_delivered():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        await client.result("getUpdates", allowed_updates=["message"])
        telegram.post({"telepathy": {"thought": 3}})
        [update] = await client.result("getUpdates")

    assert update["telepathy"] == {"thought": 3}


async def test_a_confirmed_update_can_be_delivered_again():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        update = telegram.post_text(7, 7, "hello")
        await client.result("getUpdates", offset=update["update_id"] + 1)
        telegram.redeliver(update, times=2)
        batch = await client.result("getUpdates", offset=update["update_id"] + 1)
        after = await client.result("getUpdates", offset=update["update_id"] + 1)

    assert batch == [update, update]
    assert after == []


async def test_updates_kept_back_come_when_they_are_released():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.hold_updates()
        for text in ("one", "two"):
            telegram.post_text(7, 7, text)
        before = await client.result("getUpdates")
        poll = asyncio.create_task(client.result("getUpdates", timeout=20))
        await telegram.wait_for_calls("getUpdates", 2)
        telegram.release_updates(reverse=True)
        after = await asyncio.wait_for(poll, 5)

    assert before == []
    assert (texts(after), ids(after)) == (["two", "one"], [1001, 1000])


async def test_a_poller_that_left_does_not_take_updates_with_it():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        poll = asyncio.create_task(client.result("getUpdates", timeout=30))
        await telegram.wait_for_calls("getUpdates")
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)
        telegram.post_text(7, 7, "hello")
        batch = await client.result("getUpdates", timeout=5)

    assert texts(batch) == ["hello"]


async def test_waiting_until_everything_is_confirmed_ends_with_the_offset():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        update = telegram.post_text(7, 7, "hello")
        await client.result("getUpdates", offset=update["update_id"] + 1)
        await telegram.wait_until_confirmed()

    assert telegram.pending == []


async def test_groups_people_edits_photos_and_blocks_look_like_telegrams():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        topic = {"message_thread_id": 4, "is_topic_message": True}
        telegram.post_text(-1001234567890, 7, "/ask@fake_bot why", extra=topic)
        telegram.post_photo(7, 7, "my cat", extra={"media_group_id": "album"})
        first = telegram.post_text(7, 7, "helo")
        telegram.post_edit(first, "hello")
        telegram.block(7)
        group, photo, _, edit, blocked = await client.result("getUpdates")

    assert group["message"]["chat"]["type"] == "supergroup"
    assert group["message"]["message_thread_id"] == 4
    assert group["message"]["entities"] == [{"type": "bot_command", "offset": 0, "length": 13}]
    assert photo["message"]["caption"] == "my cat"
    assert edit["edited_message"]["message_id"] == first["message"]["message_id"]
    assert blocked["my_chat_member"]["new_chat_member"]["status"] == "kicked"


async def test_kinds_without_a_chat_are_delivered_too():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.post({"poll_answer": {"poll_id": "1", "option_ids": [0]}})
        [update] = await client.result("getUpdates")

    assert update["poll_answer"]["poll_id"] == "1"


async def test_planned_faults_can_all_be_forgotten():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("getUpdates", other_poller(), times=None)
        refused = await client.call("getUpdates")
        telegram.forget_faults()

        assert refused["error_code"] == 409
        assert await client.result("getUpdates") == []


async def test_an_update_is_kept_for_a_day_by_the_platforms_own_time():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.post_text(7, 7, "first")
        assert telegram.pass_time(12 * 3600) == []
        telegram.post_text(7, 7, "second")

        [gone] = telegram.pass_time(13 * 3600)
        [left] = await client.result("getUpdates")

    assert (gone["message"]["text"], left["message"]["text"]) == ("first", "second")
    assert left["message"]["date"] - gone["message"]["date"] == pytest.approx(12 * 3600, abs=2)
