"""The token is part of every address: none of it may reach a log, an error or an operator."""

import asyncio
import logging
from contextlib import suppress

import pytest

from gateway.contract import Address, Attachment, Json, OutboundMessage
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, GatewayError
from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.host import FakeHost
from gateway.testing.telegram import faults
from gateway.testing.telegram.faults import TelegramFault
from tests.channels.telegram.running import (
    SECRET,
    Running,
    channel_for,
    connected,
    hooked,
    polling,
    settings_for,
)

HERE = Address("tg", "7")
TROUBLE: list[TelegramFault] = [
    misbehaviour.HtmlError(200, "no json"),
    misbehaviour.HtmlError(502),
    misbehaviour.Drop(accepted=False),
    misbehaviour.Drop(accepted=True),
    faults.ApiError(400, "Bad Request: nonsense"),
    faults.flood(1),
    faults.unauthorized(),
]
METHODS = ("sendMessage", "sendRichMessage", "sendDocument", "sendMessageDraft", "sendChatAction")


def parts(running: Running) -> list[Json]:
    file = Attachment("document", "file_1", "a.pdf", "application/pdf")
    running.host.files["file_1"] = b"pdf!"
    return [
        *running.parts("**hello**"),
        *running.channel.render(OutboundMessage(address=HERE, text="", attachments=(file,))),
        {"text": "Title", "entities": [], "rich": "<h1>Title</h1>"},
    ]


async def do_everything(running: Running) -> None:
    """Send, show and fetch all that there is; whatever fails, fails."""
    for part in parts(running):
        with suppress(GatewayError):
            await running.channel.deliver(HERE, part, delivery_id="dlv_1")
    for where in (HERE, Address("tg", "-5")):
        with suppress(GatewayError):
            async with running.channel.live(where, None) as output:
                assert output is not None
                await output.working("thinking")
                await output.show("Half an answer")
    with suppress(GatewayError):
        sent = Attachment("document", running.telegram.add_file(b"bytes"))
        async for _ in running.channel.fetch(sent):
            pass
    with suppress(GatewayError):
        await running.channel.probe()


@pytest.mark.proves("C-10")
@pytest.mark.parametrize("receiving", [polling, hooked], ids=["polling", "webhook"])
async def test_c_10_no_log_of_any_library_holds_the_token_even_at_debug_level(
    receiving, caplog, capsys
):
    caplog.set_level(logging.DEBUG)
    for name in ("aiohttp", "aiohttp.client", "asyncio", "httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0
    loop.set_debug(True)
    async with receiving() as running:
        telegram = running.telegram
        telegram.post_text(7, 7, "hello")
        await running.host.until(lambda: running.host.texts == ["hello"])
        await do_everything(running)
        for method in METHODS:
            telegram.fail(method, *TROUBLE)
        for _ in TROUBLE:
            await do_everything(running)
        token = telegram.token
    loop.set_debug(False)

    secret = token.partition(":")[2]
    printed = capsys.readouterr()
    assert len(caplog.records) > 50
    assert secret not in caplog.text
    assert secret not in printed.out + printed.err


@pytest.mark.proves("C-10")
@pytest.mark.parametrize("status", [200, 302, 400, 401, 404, 500])
async def test_c_10_a_page_that_echoes_the_address_does_not_leak_it(status):
    async with connected() as running:
        token = running.telegram.token
        page = f'{{"ok":false,"description":"Cannot POST /bot{token}/sendMessage"}}'
        running.telegram.fail("sendMessage", misbehaviour.HtmlError(status, page))
        with pytest.raises((DeliveryUnknown, DeliveryRefused, DeliveryLater)) as failed:
            await running.send("hello")

    assert not any(token in text for text in every_text(failed.value))


@pytest.mark.proves("C-10")
async def test_c_10_a_refused_token_is_not_named():
    async with TelegramServer() as telegram:
        with pytest.raises(DeliveryRefused) as refused:
            async with channel_for(telegram, token="1:wrong-secret").connected(FakeHost()):
                pass

    assert not any("wrong-secret" in text for text in every_text(refused.value))


@pytest.mark.proves("C-10")
async def test_c_10_settings_do_not_show_their_secrets():
    async with TelegramServer() as telegram:
        settings = settings_for(telegram, receive="webhook", webhook_secret=SECRET)

    assert telegram.token not in repr(settings)
    assert SECRET not in f"{settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.proves("C-10")
async def test_c_10_health_does_not_hold_the_token():
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
