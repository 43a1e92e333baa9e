"""Connecting and probing: the rest of the contract, over real sockets."""

import asyncio

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from channels.telegram.adapter import TelegramChannel
from gateway.contract import Address
from gateway.errors import DeliveryLater, DeliveryRefused
from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.host import FakeHost
from gateway.testing.telegram import faults
from tests.channels.telegram.running import (
    channel_for,
    connected,
    hooked,
    polling,
)

HERE = Address("tg", "7")


@pytest.mark.parametrize("fault", [faults.unauthorized(), faults.ApiError(404, "Not Found")])
async def test_a_refused_token_stops_the_channel(fault):
    async with TelegramServer() as telegram:
        telegram.fail("getMe", fault)
        with pytest.raises(DeliveryRefused) as refused:
            async with channel_for(telegram).connected(FakeHost()):
                pass

    assert refused.value.scope == "account"


@pytest.mark.parametrize(
    "fault",
    [
        misbehaviour.HtmlError(),
        misbehaviour.HtmlError(200, "<html>hotel login</html>"),
        misbehaviour.Drop(),
        faults.flood(3),
        faults.ApiError(400, "Bad Request"),
        faults.ApiError(403, "Forbidden"),
    ],
)
async def test_a_platform_in_trouble_is_connected_to_later(fault):
    async with TelegramServer() as telegram:
        telegram.fail("getMe", fault)
        with pytest.raises(DeliveryLater):
            async with channel_for(telegram).connected(FakeHost()):
                pass


async def test_a_platform_that_is_away_is_connected_to_later(unused_tcp_port):
    async with TelegramServer() as telegram:
        channel = channel_for(telegram, api_url=f"http://127.0.0.1:{unused_tcp_port}")
        with pytest.raises(DeliveryLater):
            async with channel.connected(FakeHost()):
                pass


async def test_probing_names_the_bot_and_where_its_updates_go():
    async with hooked() as running:
        sentence = await running.channel.probe()

    assert sentence == f"@fake_bot (123456789) by webhook; updates go to {running.url}; 0 wait"


async def test_probing_needs_no_connection():
    async with TelegramServer() as telegram:
        sentence = await channel_for(telegram).probe()

    assert sentence == "@fake_bot (123456789) by polling; no webhook is set; 0 updates wait"


async def test_probing_with_a_refused_token_raises_as_connecting_does():
    async with TelegramServer() as telegram:
        with pytest.raises(DeliveryRefused):
            await channel_for(telegram, token="1:wrong").probe()


class WrongSettings(BaseModel):
    """Another channel's."""


async def test_probing_a_platform_that_fails_halfway_raises_as_connecting_does():
    async with TelegramServer() as telegram:
        telegram.fail("getWebhookInfo", misbehaviour.HtmlError())
        with pytest.raises(DeliveryLater):
            await channel_for(telegram).probe()


async def test_constructing_a_channel_takes_its_own_settings_only():
    with pytest.raises(TypeError):
        TelegramChannel("tg", WrongSettings(), public_url="http://x")


async def test_what_the_gateway_is_told_about_the_channel():
    async with TelegramServer() as telegram:
        capabilities = channel_for(telegram).capabilities

    assert capabilities.delivers
    assert capabilities.live == "preview"
    assert not capabilities.can_ask
    assert (capabilities.pace.account_per_s, capabilities.pace.address_per_s) == (30, 1)


async def test_an_error_of_ours_while_listening_ends_the_block_so_that_it_is_noticed():
    async with connected() as running:
        running.host.cursors = {f"updates:{running.telegram.bot.id}": "not a number"}
        with pytest.raises(ExceptionGroup) as failed:
            async with running.channel.receiving():
                await asyncio.Event().wait()

        assert failed.group_contains(ValueError)


async def test_connecting_again_after_leaving_works():
    async with TelegramServer() as telegram:
        channel = channel_for(telegram)
        for _ in range(2):
            async with channel.connected(FakeHost()):
                part = {"text": "hello", "entities": []}
                await channel.deliver(HERE, part, delivery_id="dlv_1")

        assert len(telegram.sent()) == 2


async def test_leaving_the_channel_cancels_unanswered_presses():
    async with polling() as running:
        running.telegram.fail("answerCallbackQuery", misbehaviour.Hang(), times=None)
        await running.send("choose")
        running.telegram.press(running.telegram.sent()[0], 7, "yes")
        await running.telegram.wait_for_calls("answerCallbackQuery")
        before = asyncio.get_running_loop().time()

    assert asyncio.get_running_loop().time() - before < 2


@pytest.mark.proves("TG-23")
@pytest.mark.parametrize(("groups", "is_told"), [("all", True), ("mention", False)])
async def test_tg_23_privacy_mode_is_told_at_start_where_it_keeps_groups_silent(groups, is_told):
    with capture_logs() as logs:
        async with connected(groups=groups):
            pass

    [line] = [line for line in logs if line["event"] == "telegram_connected"]
    assert line["reads_all_group_messages"] is False
    assert any(line["event"] == "privacy_mode_is_on" for line in logs) is is_told
