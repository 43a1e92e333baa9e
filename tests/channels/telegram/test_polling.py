"""Long polling over real sockets: nothing is confirmed before it is stored, and nothing spins."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest
from structlog.testing import capture_logs

from channels.telegram import door
from channels.telegram.bot_api import BotApi
from channels.telegram.door import Door
from channels.telegram.polling import Poller
from channels.telegram.reading import Me, Reading
from gateway.contract import InboundMessage, Reachability, StopPressed, Unreadable
from gateway.errors import StoreError, Unavailable
from gateway.testing import Person, TelegramServer, misbehaviour
from gateway.testing.host import FakeHost
from gateway.testing.telegram import faults
from tests.channels.telegram.running import QUICK_POLLS, Running, channel_for, connected, polling


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


@pytest.mark.proves("TG-10")
async def test_tg_10_an_update_that_cannot_be_stored_is_kept_raw_and_holds_up_nothing():
    async with polling() as running:
        running.host.poison = lambda event: getattr(event, "text", "") == "poison"
        for text in ("before", "poison", "after"):
            running.telegram.post_text(7, 7, text)
        await running.telegram.wait_until_confirmed()

    kept = [event for event in running.host.inbound if isinstance(event, Unreadable)]
    assert [b"poison" in event.raw for event in kept] == [True]
    assert {e.text for e in running.host.inbound if isinstance(e, InboundMessage)} == {
        "before",
        "after",
    }


async def test_a_place_that_could_not_be_stored_is_not_given_up():
    async with polling() as running:
        running.host.unwritable_cursors = 3
        update = running.telegram.post_text(7, Person(99, is_bot=True), "beep")
        await running.telegram.wait_until_confirmed()

    assert list(running.host.cursors.values()) == [str(update["update_id"] + 1)]


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


@pytest.mark.proves("TG-4")
async def test_tg_4_a_rival_poller_shows_in_health_and_passes():
    async with polling() as running:
        running.telegram.fail("getUpdates", faults.other_poller(), times=3)
        running.telegram.post_text(7, 7, "hello")
        await running.host.until_state("degraded", "another instance is polling")
        await running.host.until(lambda: running.host.states[-1][0] == "connected")

    assert running.host.texts[-1] == "hello"


@pytest.mark.proves("TG-5")
async def test_tg_5_an_active_webhook_is_removed_once_and_keeps_what_waits():
    async with TelegramServer() as telegram:
        host, channel = FakeHost(), channel_for(telegram)
        telegram.fail("getUpdates", faults.webhook_active())
        telegram.post_text(7, 7, "hello")
        async with channel.connected(host), channel.receiving():
            await host.until(lambda: host.texts == ["hello"])

        [call] = telegram.calls_of("deleteWebhook")
        assert not call.params.get("drop_pending_updates")


async def test_a_webhook_that_comes_back_is_left_alone_and_shows_in_health():
    async with polling() as running:
        running.telegram.fail("getUpdates", faults.webhook_active(), times=4)
        await running.host.until_state("degraded", "webhook")

        assert len(running.telegram.calls_of("deleteWebhook")) == 1


@pytest.mark.parametrize(
    "refusal", [faults.unauthorized(), faults.ApiError(404, "Not Found")], ids=["401", "404"]
)
async def test_a_revoked_token_stops_the_loop_and_nothing_else(refusal):
    async with polling() as running:
        running.telegram.fail("getUpdates", refusal, times=None)
        await running.host.until_state("stopped", "refuses the token")
        polls = len(running.telegram.calls_of("getUpdates"))
        sent = await running.send("still here")

        assert sent
        assert len(running.telegram.calls_of("getUpdates")) == polls


@pytest.mark.parametrize(
    "fault",
    [
        misbehaviour.HtmlError(),
        misbehaviour.Drop(accepted=False),
        faults.flood(1),
        faults.ApiError(500, "Internal Server Error"),
    ],
)
async def test_troubles_of_the_platform_show_in_health_and_pass(fault):
    async with polling() as running:
        running.telegram.fail("getUpdates", fault, times=2 if fault != faults.flood(1) else 1)
        await running.host.until_state("degraded")
        running.telegram.post_text(7, 7, "hello")
        await running.host.until(lambda: "hello" in running.host.texts)

        assert running.host.states[-1] == ("connected", None)


@pytest.mark.parametrize("body", ["<html>", '{"ok": true, "result": true}'])
async def test_an_answer_that_is_no_list_is_survived(body):
    async with polling() as running:
        running.telegram.fail("getUpdates", misbehaviour.HtmlError(status=200, body=body), times=1)
        running.telegram.post_text(7, 7, "hello")
        await running.host.until(lambda: "hello" in running.host.texts)


@pytest.mark.proves("TG-2")
async def test_tg_2_a_poll_that_never_ends_is_repeated_and_shows_in_health(monkeypatch):
    monkeypatch.setattr("channels.telegram.bot_api.POLL_MARGIN_S", 0.01)
    async with connected() as running:
        running.channel.poll_times = replace(
            QUICK_POLLS, wait_s=0.01, first_pause_s=60, longest_pause_s=60
        )
        running.telegram.fail("getUpdates", misbehaviour.Hang(), times=4)
        async with running.channel.receiving():
            await running.host.until_state("degraded", "SocketTimeoutError")
            await running.telegram.wait_for_calls("getUpdates", 5)


async def test_a_webhook_that_cannot_be_removed_now_is_removed_later():
    async with polling() as running:
        running.telegram.fail("deleteWebhook", misbehaviour.HtmlError())
        running.telegram.fail("getUpdates", faults.webhook_active(), times=2)
        await running.telegram.wait_for_calls("deleteWebhook", 2)
        await running.host.until_state("degraded", "could not be removed")


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


@pytest.mark.proves("C-9")
async def test_c_9_ignored_updates_are_counted_and_confirmed():
    async with polling() as running:
        running.telegram.post_text(7, Person(99, is_bot=True), "beep")
        await running.telegram.wait_until_confirmed()

        assert running.host.inbound == []
        assert running.host.batches == [[]]
        assert running.host.ignored_kinds == {"message.bot": 1}


@pytest.mark.proves("TG-30")
async def test_tg_30_a_pressed_button_is_answered_after_it_was_stored():
    async with polling() as running:
        await running.send("choose")
        running.host.failures = [Unavailable("busy", retry_after_s=1)]
        running.telegram.press(running.telegram.sent()[0], 7, "yes")
        await running.telegram.wait_for_calls("answerCallbackQuery")

        [pressed] = running.host.inbound
        assert (pressed.value, pressed.address.chat) == ("yes", "7")


@pytest.mark.proves("TG-30")
async def test_tg_30_a_press_that_is_too_old_to_be_answered_is_stored_all_the_same():
    async with polling() as running:
        running.telegram.fail(
            "answerCallbackQuery", faults.ApiError(400, "Bad Request: query is too old"), times=None
        )
        await running.send("choose")
        running.telegram.press(running.telegram.sent()[0], 7, "yes")
        await running.telegram.wait_for_calls("answerCallbackQuery")
        running.telegram.post_text(7, 7, "next")
        await running.host.until(lambda: len(running.host.inbound) == 2)


@pytest.mark.proves("TG-29")
async def test_tg_29_blocking_and_unblocking_changes_who_can_be_reached():
    async with polling() as running:
        running.telegram.block(7)
        running.telegram.unblock(7)
        await running.host.until(lambda: len(running.host.inbound) == 2)

    assert [
        (event.address.chat, event.is_reachable)
        for event in running.host.inbound
        if isinstance(event, Reachability)
    ] == [("7", False), ("7", True)]


@pytest.mark.proves("TG-30")
async def test_tg_30_a_failed_answer_to_a_press_is_told_unless_it_was_too_old():
    async with polling() as running:
        await running.send("choose")
        old = faults.ApiError(400, "Bad Request: query is too old and response timeout expired")
        running.telegram.fail("answerCallbackQuery", old, misbehaviour.HtmlError(502))
        with capture_logs() as logs:
            for count in (1, 2):
                running.telegram.press(running.telegram.sent()[0], 7, "yes")
                await running.telegram.wait_for_calls("answerCallbackQuery", count)
            running.telegram.press(running.telegram.sent()[0], 7, "yes")
            await running.telegram.wait_until(
                lambda: any(call.status == 200 for call in presses_answered(running))
            )

    told = [line for line in logs if line["event"] == "press_not_answered"]
    assert ["502" in line["reason"] for line in told] == [True]


def presses_answered(running: Running) -> list[faults.BotCall]:
    return running.telegram.calls_of("answerCallbackQuery")


@pytest.mark.proves("TG-51")
async def test_tg_51_the_stop_button_of_a_draft_reaches_the_gateway():
    async with polling() as running:
        running.telegram.press_stop(7)
        await running.host.until(lambda: len(running.host.inbound) == 1)

    [stopped] = running.host.inbound
    assert isinstance(stopped, StopPressed)
    assert (stopped.address.chat, stopped.sender.external_id) == ("7", "7")


@pytest.mark.proves("TG-26")
@pytest.mark.parametrize("captioned", [0, 1, 2])
async def test_tg_26_an_album_in_a_group_is_for_us_when_one_caption_names_us(captioned):
    async with connected() as running:
        for number in range(3):
            names_us = number == captioned
            extra: dict[str, object] = {"media_group_id": "g1"}
            if names_us:
                extra["caption_entities"] = [{"type": "mention", "offset": 0, "length": 9}]
            caption = "@fake_bot look" if names_us else ""
            running.telegram.post_photo(-5, 7, caption, extra=extra)
        running.telegram.post_photo(-5, 7, extra={"media_group_id": "g2"})
        async with running.channel.receiving():
            await running.telegram.wait_until_confirmed()

    heard = [(event.group_id, len(event.attachments)) for event in running.host.inbound]
    assert heard == [("g1", 1)] * 3
    assert running.host.ignored_kinds == {"message.to_others": 1}


@pytest.mark.proves("TG-26")
async def test_tg_26_items_of_an_album_may_come_in_several_answers():
    async with polling() as running:
        mention = [{"type": "mention", "offset": 0, "length": 9}]
        named = {"media_group_id": "g1", "caption_entities": mention}
        running.telegram.post_photo(-5, 7, "@fake_bot look", extra=named)
        await running.telegram.wait_until_confirmed()
        running.telegram.post_photo(-5, 7, extra={"media_group_id": "g1"})
        await running.telegram.wait_until_confirmed()

    assert running.host.texts == ["@fake_bot look", ""]


async def test_albums_of_long_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(door, "ALBUMS", 1)
    async with polling() as running:
        mention = [{"type": "mention", "offset": 0, "length": 9}]
        for group in ("g1", "g2"):
            named = {"media_group_id": group, "caption_entities": mention}
            running.telegram.post_photo(-5, 7, "@fake_bot look", extra=named)
        running.telegram.post_photo(-5, 7, extra={"media_group_id": "g1"})
        await running.telegram.wait_until_confirmed()

    assert len(running.host.inbound) == 2


class TestHealth:
    """What operators see of polling, and when."""

    async def test_the_first_answer_after_a_trouble_shows_that_it_is_over(self):
        async with connected() as running:
            running.channel.poll_times = replace(QUICK_POLLS, wait_s=30)
            running.telegram.fail("getUpdates", misbehaviour.Drop(accepted=False))
            async with running.channel.receiving():
                await running.host.until_state("degraded")
                await running.host.until(lambda: running.host.states[-1] == ("connected", None))
                calls = await running.telegram.wait_for_calls("getUpdates", 3)

        assert [call.params["timeout"] for call in calls] == [30, 0, 30]

    @pytest.mark.proves("TG-4")
    async def test_tg_4_a_rival_is_over_only_when_a_whole_long_poll_was_ours(self):
        async with polling() as running:
            running.telegram.fail("getUpdates", faults.other_poller())
            calls = await running.telegram.wait_for_calls("getUpdates", 2)

        assert [call.params["timeout"] for call in calls] == [2, 2]

    @pytest.mark.proves("TG-12")
    async def test_tg_12_updates_that_pile_up_show_in_health_while_connected(self):
        async with connected() as running:
            for number in range(250):
                running.telegram.post_text(7, 7, f"{number}")
            async with running.channel.receiving():
                await running.host.until_state("connected", "150 updates wait at Telegram")
                await running.host.until(lambda: len(running.host.inbound) == 250)
                await running.host.until(lambda: running.host.states[-1] == ("connected", None))

    async def test_a_pile_that_cannot_be_counted_is_taken_all_the_same(self):
        async with connected() as running:
            running.telegram.fail("getWebhookInfo", misbehaviour.HtmlError(), times=None)
            for number in range(150):
                running.telegram.post_text(7, 7, f"{number}")
            async with running.channel.receiving():
                await running.host.until(lambda: len(running.host.inbound) == 150)

    async def test_a_store_that_takes_nothing_shows_until_it_does(self):
        async with polling() as running:
            running.host.failures = [Unavailable("the disk is full", retry_after_s=1)] * 3
            running.telegram.post_text(7, 7, "hello")
            await running.host.until_state("degraded", "the disk is full")
            await running.telegram.wait_until_confirmed()
            await running.host.until(lambda: running.host.states[-1] == ("connected", None))

        assert running.host.states.count(("connected", None)) <= 3
