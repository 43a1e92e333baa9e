"""Long polling over real sockets: nothing is confirmed before it is stored, and nothing spins."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from channels.telegram.bot_api import BotApi
from channels.telegram.door import Door
from channels.telegram.polling import Poller
from channels.telegram.reading import Me, Reading
from gateway.errors import StoreError, Unavailable
from gateway.testing import TelegramServer
from gateway.testing.host import FakeHost
from tests.channels.telegram.running import QUICK_POLLS, channel_for, connected, polling


async def test_an_update_reaches_the_gateway_with_the_next_offset_as_cursor():
    async with polling() as running:
        update = running.telegram.post_text(7, 7, "hello")
        await running.host.until(lambda: len(running.host.inbound) == 1)

    [event] = running.host.inbound
    assert event.text == "hello"
    assert event.external_id == str(update["update_id"])
    assert running.host.cursors == {f"updates:{event.account}": str(update["update_id"] + 1)}


async def test_the_account_is_the_bots_own_id():
    async with polling() as running:
        running.telegram.post_text(7, 7, "hello")
        await running.host.until(lambda: len(running.host.inbound) == 1)

        assert running.host.inbound[0].account == str(running.telegram.bot.id)


@pytest.mark.proves("TG-1", "C-1")
async def test_tg_1_c_1_an_update_is_confirmed_only_after_it_was_stored():
    async with polling() as running:
        running.host.failures = [Unavailable("busy", retry_after_s=1)] * 3
        update = running.telegram.post_text(7, 7, "hello")
        await running.host.until(lambda: running.host.refused == 3)

        assert running.telegram.pending == [update]
        await running.telegram.wait_until_confirmed()

    assert running.host.texts == ["hello"]


@pytest.mark.parametrize(
    "failure", [StoreError("disk full", code="store_full"), RuntimeError("a bug")]
)
async def test_whatever_accept_raises_the_update_comes_again(failure):
    async with polling() as running:
        running.host.failures = [failure, failure, failure]
        running.telegram.post_text(7, 7, "hello")
        await running.telegram.wait_until_confirmed()

        assert "hello" in running.host.texts


async def test_a_restart_goes_on_where_the_last_batch_was_stored():
    async with TelegramServer() as telegram:
        host, channel = FakeHost(), channel_for(telegram)
        for count, text in enumerate(["one", "two", "three"], start=1):
            async with channel.connected(host), channel.receiving():
                telegram.post_text(7, 7, text)
                await host.until(partial(has_heard, host, count))

    assert host.texts == ["one", "two", "three"]


def has_heard(host: FakeHost, count: int) -> bool:
    return len(host.inbound) >= count


async def test_leaving_does_not_confirm_what_was_not_stored():
    async with TelegramServer() as telegram:
        host, channel = FakeHost(), channel_for(telegram)
        async with channel.connected(host), channel.receiving():
            host.failures = [Unavailable("busy", retry_after_s=1)] * 1000
            telegram.post_text(7, 7, "hello")
            await host.until(lambda: host.refused > 0)

        assert [update["message"]["text"] for update in telegram.pending] == ["hello"]


async def test_leaving_ends_a_waiting_poll_at_once():
    async with connected() as running:
        async with running.channel.receiving():
            await running.telegram.wait_for_calls("getUpdates")
            left_at = asyncio.get_running_loop().time()

        assert asyncio.get_running_loop().time() - left_at < QUICK_POLLS.wait_s


@pytest.mark.proves("TG-14")
async def test_tg_14_the_kinds_we_handle_are_named_with_every_poll():
    async with polling() as running:
        [call] = await running.telegram.wait_for_calls("getUpdates")

    assert call.params["allowed_updates"] == [
        "message",
        "edited_message",
        "callback_query",
        "my_chat_member",
        "stopped_message_generation",
    ]


@pytest.mark.proves("TG-7")
async def test_tg_7_lower_update_ids_after_a_quiet_week_are_taken():
    async with polling() as running:
        running.telegram.post_text(7, 7, "before")
        await running.telegram.wait_until_confirmed()
        running.telegram.skip_update_ids(5)
        running.telegram.post_text(7, 7, "after")
        await running.host.until(lambda: "after" in running.host.texts)

    assert list(running.host.cursors.values()) == ["6"]


async def test_a_store_that_cannot_be_read_yet_is_waited_for():
    async with connected() as running:
        running.host.unreadable_cursors = 2
        running.telegram.post_text(7, 7, "hello")
        async with running.channel.receiving():
            await running.host.until(lambda: running.host.texts == ["hello"])


class HastyApi(BotApi):
    """Answers every poll at once, with nothing; notes when it was asked."""

    def __init__(self) -> None:
        self.asked_at: list[float] = []
        self.asked_twice = asyncio.Event()

    async def updates(self, offset: int | None, *, wait_s: float) -> list[object]:
        self.asked_at.append(asyncio.get_running_loop().time())
        if len(self.asked_at) == 2:
            self.asked_twice.set()
        return []


@pytest.mark.proves("TG-3")
async def test_tg_3_empty_answers_that_come_at_once_are_not_asked_for_without_pause():
    api, host = HastyApi(), FakeHost()
    door = Door(host, api, reading=Reading(me=Me(id=1, username="bot"), channel="tg"))
    times = replace(QUICK_POLLS, idle_s=0.1)

    polling_loop = asyncio.create_task(Poller(api, door, host=host, account="1", times=times).run())
    async with asyncio.timeout(5):
        await api.asked_twice.wait()
    polling_loop.cancel()

    assert api.asked_at[1] - api.asked_at[0] >= 0.099
