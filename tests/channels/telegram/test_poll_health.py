"""What operators see of polling: rivals, refusals, silence, piles, and that they pass."""

from dataclasses import replace

import pytest

from channels.telegram.polling import PollTimes
from gateway.errors import Unavailable
from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.host import FakeHost
from gateway.testing.telegram import faults
from gateway.testing.telegram.queue import MAX_POLL_S
from tests.channels.telegram.running import QUICK_POLLS, channel_for, connected, polling


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


@pytest.mark.proves("TG-2")
async def test_tg_2_an_idle_poll_lasts_its_whole_time_and_is_no_trouble():
    async with connected() as running:
        running.channel.poll_times = replace(QUICK_POLLS, wait_s=1)
        async with running.channel.receiving():
            await running.telegram.wait_for_calls("getUpdates", 3)

    assert {state for state, _ in running.host.states} == {"connected"}
    assert all(call.params["timeout"] == 1 for call in running.telegram.calls_of("getUpdates"))
    assert PollTimes().wait_s <= MAX_POLL_S


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
            running.telegram.fail("getUpdates", misbehaviour.HtmlError(), faults.other_poller())
            calls = await running.telegram.wait_for_calls("getUpdates", 3)

        assert [call.params["timeout"] for call in calls][-1] == 2

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
