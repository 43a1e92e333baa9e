"""Connecting, probing, keeping secrets: the rest of the contract, over real sockets."""

import asyncio
import logging

import pytest
from pydantic import BaseModel

from channels.telegram.adapter import TelegramChannel
from gateway.contract import Address
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown
from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.host import FakeHost
from gateway.testing.telegram import faults
from tests.channels.telegram.running import (
    SECRET,
    channel_for,
    connected,
    hooked,
    polling,
    settings_for,
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


class TestSecrets:
    """The token is part of every address; none of it may reach a log or an error."""

    async def test_no_log_holds_the_token_even_at_debug_level(self, caplog, capsys):
        caplog.set_level(logging.DEBUG)
        async with polling() as running:
            running.telegram.post_text(7, 7, "hello")
            await running.host.until(lambda: running.host.texts == ["hello"])
            await running.send("hello")
            running.telegram.fail("sendMessage", misbehaviour.HtmlError(200, "no json"))
            with pytest.raises(DeliveryUnknown):
                await running.send("hello")
            token = running.telegram.token

        assert token not in caplog.text
        assert token not in capsys.readouterr().out

    @pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 500])
    async def test_a_page_that_echoes_the_address_does_not_leak_it(self, status):
        async with connected() as running:
            token = running.telegram.token
            page = f'{{"ok":false,"description":"Cannot POST /bot{token}/sendMessage"}}'
            running.telegram.fail("sendMessage", misbehaviour.HtmlError(status, page))
            with pytest.raises((DeliveryUnknown, DeliveryRefused, DeliveryLater)) as failed:
                await running.send("hello")

        assert not any(token in text for text in every_text(failed.value))

    async def test_a_refused_token_is_not_named(self):
        async with TelegramServer() as telegram:
            with pytest.raises(DeliveryRefused) as refused:
                async with channel_for(telegram, token="1:wrong-secret").connected(FakeHost()):
                    pass

        assert not any("wrong-secret" in text for text in every_text(refused.value))

    async def test_settings_do_not_show_their_secrets(self):
        async with TelegramServer() as telegram:
            settings = settings_for(telegram, receive="webhook", webhook_secret=SECRET)

        assert telegram.token not in repr(settings)
        assert SECRET not in f"{settings} {settings.model_dump()} {settings.model_dump_json()}"

    async def test_health_does_not_hold_the_token(self):
        async with polling() as running:
            page = f"Cannot POST /bot{running.telegram.token}/getUpdates"
            running.telegram.fail("getUpdates", faults.ApiError(400, page))
            await running.host.until_state("degraded")

        assert running.telegram.token not in str(running.host.states)


def every_text(error: BaseException | None) -> list[str]:
    """The texts of an error and of all that a traceback would show with it."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), *map(str, error.args)]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return texts


async def test_leaving_the_channel_cancels_unanswered_presses():
    async with polling() as running:
        running.telegram.fail("answerCallbackQuery", misbehaviour.Hang(), times=None)
        await running.send("choose")
        running.telegram.press(running.telegram.sent()[0], 7, "yes")
        await running.telegram.wait_for_calls("answerCallbackQuery")
        before = asyncio.get_running_loop().time()

    assert asyncio.get_running_loop().time() - before < 2
