"""The webhook over real sockets: proven first, stored second, answered last."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from channels.telegram.reading import ALLOWED_UPDATES
from channels.telegram.webhook import SECRET_HEADER
from gateway.contract import Unreadable
from gateway.contract.raw_body import MAX_BODY_BYTES
from gateway.errors import Forbidden, Gone, NotFound, StoreError, Unavailable
from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.host import FakeHost
from gateway.testing.telegram import faults
from gateway.testing.telegram.webhook import WebhookRetry
from tests.channels.telegram.running import SECRET, channel_for, connected, hooked, served

QUICK = WebhookRetry(scale=0.001)


def text_update(text: str = "hello", number: int = 5) -> bytes:
    person = {"id": 7, "is_bot": False, "first_name": "Ada"}
    chat = {"id": 7, "type": "private"}
    message = {"message_id": 1, "from": person, "chat": chat, "date": 1_700_000_000, "text": text}
    return json.dumps({"update_id": number, "message": message}).encode()


async def test_an_update_posted_to_the_webhook_reaches_the_gateway():
    async with hooked() as running:
        running.telegram.post_text(7, 7, "hello")
        await running.telegram.wait_until_confirmed()

        assert running.host.texts == ["hello"]
        assert [attempt.status for attempt in running.telegram.attempts] == [200]


@pytest.mark.proves("TG-8", "C-2")
@pytest.mark.parametrize("secret", ["wrong", "", None, SECRET + "x", "ünïcode"])
async def test_tg_8_c_2_without_the_secret_nothing_is_stored(secret):
    async with hooked() as running:
        status, _ = await running.call(text_update(), secret=secret)

        assert status == 401
        assert running.host.inbound == []


@pytest.mark.proves("C-2")
async def test_c_2_a_wrong_secret_is_refused_before_the_body_is_read():
    async with hooked() as running:
        status, _ = await running.call(b"x" * (MAX_BODY_BYTES + 1), secret="wrong")

        assert status == 401


@pytest.mark.proves("TG-9", "C-1")
@pytest.mark.parametrize(
    ("failure", "retry_after"),
    [
        (Unavailable("busy", retry_after_s=7.2), "8"),
        (StoreError("disk full", code="store_full"), "5"),
    ],
)
async def test_tg_9_c_1_what_cannot_be_stored_now_is_asked_for_again(failure, retry_after):
    async with hooked() as running:
        running.host.failures = [failure]

        assert await running.call(text_update()) == (503, retry_after)
        assert await running.call(text_update()) == (200, "")
        assert running.host.texts == ["hello"]


async def test_telegram_delivers_again_what_was_not_stored():
    async with hooked(TelegramServer(retry=QUICK)) as running:
        running.host.failures = [Unavailable("busy", retry_after_s=1)] * 2
        running.telegram.post_text(7, 7, "hello")
        await running.telegram.wait_until_confirmed()

        assert [attempt.status for attempt in running.telegram.attempts] == [503, 503, 200]
        assert running.host.texts == ["hello"]


async def test_an_error_nobody_expected_is_never_answered_500():
    async with hooked() as running:
        running.host.failures = [RuntimeError("a bug")] * 3

        assert await running.call(text_update()) == (503, "5")


@pytest.mark.proves("TG-10")
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"[1]", b'"text"', b'{"update_id": "x"}'],
    ids=["empty", "cut", "no utf-8", "deep", "null", "list", "text", "no id"],
)
async def test_tg_10_what_cannot_be_read_is_kept_raw_and_acknowledged(body):
    async with hooked() as running:
        status, _ = await running.call(body)

        assert status == 200
        [event] = running.host.inbound
        assert isinstance(event, Unreadable)
        assert event.external_id == f"sha256:{event.digest.hex()}"


@pytest.mark.proves("C-9")
@pytest.mark.parametrize("kind", ["telepathy", "poll_answer", "message_reaction", "channel_post"])
async def test_c_9_a_kind_we_do_not_handle_is_acknowledged_and_counted(kind):
    async with hooked() as running:
        status, _ = await running.call(json.dumps({"update_id": 5, kind: {"a": 1}}).encode())

        assert status == 200
        assert running.host.inbound == []
        assert running.host.ignored_kinds == {kind: 1}


async def test_the_same_unreadable_body_has_the_same_id():
    async with hooked() as running:
        for _ in range(2):
            await running.call(b"{broken")

        first, second = running.host.inbound
        assert first.external_id == second.external_id
        assert first.raw == b"{broken"


async def test_a_body_over_the_limit_is_refused():
    async with hooked() as running:
        status, _ = await running.call(b" " * (MAX_BODY_BYTES + 1))

        assert status == 413
        assert running.host.inbound == []


@pytest.mark.proves("TG-10")
async def test_tg_10_an_update_the_store_can_never_take_is_kept_raw_and_acknowledged():
    async with hooked() as running:
        running.host.poison = lambda event: getattr(event, "text", "") == "poison"

        assert (await running.call(text_update("poison")))[0] == 200
        [event] = running.host.inbound
        assert isinstance(event, Unreadable)
        assert b"poison" in event.raw


@pytest.mark.proves("TG-11")
@pytest.mark.parametrize(
    "failure",
    [Gone("gone"), NotFound("no"), Forbidden("no"), StoreError("full"), KeyError("a bug")],
    ids=lambda failure: type(failure).__name__,
)
async def test_tg_11_whatever_goes_wrong_inside_is_answered_503(failure):
    async with hooked() as running:
        running.host.failures = [failure] * 3

        assert (await running.call(text_update()))[0] == 503


@pytest.mark.proves("C-4")
async def test_c_4_a_press_is_acknowledged_without_waiting_for_a_call_of_ours():
    async with hooked() as running:
        running.telegram.fail("answerCallbackQuery", misbehaviour.Hang(), times=None)
        await running.send("choose")
        running.telegram.press(running.telegram.sent()[0], 7, "yes")
        await running.telegram.wait_until_confirmed()

        assert [event.value for event in running.host.inbound] == ["yes"]
        [attempt] = running.telegram.attempts
        assert attempt.seconds < 1


@pytest.mark.proves("TG-12")
async def test_tg_12_updates_that_pile_up_show_in_health_while_connected():
    async with hooked(TelegramServer(retry=WebhookRetry(enabled=False))) as running:
        running.telegram.hold_updates()
        answer = {
            "url": running.url,
            "has_custom_certificate": False,
            "pending_update_count": 120,
            "allowed_updates": list(ALLOWED_UPDATES),
            "last_error_date": 1_700_000_000,
            "last_error_message": "Connection timed out",
        }
        body = json.dumps({"ok": True, "result": answer})
        running.telegram.fail("getWebhookInfo", misbehaviour.HtmlError(200, body), times=None)

        await running.host.until_state("connected", "120 updates wait at Telegram")
        await running.host.until_state("connected", "Connection timed out")


@pytest.mark.proves("TG-12")
async def test_tg_12_a_server_that_does_not_know_all_kinds_is_told_once():
    async with hooked() as running:
        running.telegram._queue.allow(["message", "callback_query"])
        await running.telegram.wait_for_calls("getWebhookInfo", 4)

        assert len(running.telegram.calls_of("setWebhook")) == 1


async def test_calls_before_the_channel_is_connected_are_put_off():
    async with hooked() as running:
        idle = channel_for(running.telegram, receive="webhook", webhook_secret=SECRET)
        async with served(idle) as url:
            running.url = url

            assert (await running.call(text_update()))[0] == 503


@pytest.mark.proves("TG-12", "TG-14")
async def test_tg_12_tg_14_the_webhook_is_registered_with_secret_and_kinds_and_keeps_what_waits():
    async with hooked() as running:
        [call] = running.telegram.calls_of("setWebhook")

    assert call.params["url"] == running.url
    assert call.params["secret_token"] == SECRET
    assert "my_chat_member" in call.params["allowed_updates"]
    assert not call.params.get("drop_pending_updates")


@pytest.mark.proves("TG-12")
async def test_tg_12_a_registered_webhook_is_not_registered_again():
    async with hooked() as running:
        async with running.channel.receiving():
            await running.telegram.wait_for_calls("getWebhookInfo", 4)

        assert len(running.telegram.calls_of("setWebhook")) == 1


async def test_a_new_secret_is_registered_at_the_same_address():
    async with hooked() as running:
        await running.host.until_state("connected")
        other = channel_for(
            running.telegram,
            receive="webhook",
            webhook_secret="another-secret",
            public_url=running.channel.public_url,
        )
        async with other.connected(running.host), other.receiving():
            calls = await running.telegram.wait_for_calls("setWebhook", 2)

    assert calls[-1].params["secret_token"] == "another-secret"


async def test_a_webhook_somebody_removed_is_registered_again():
    async with hooked() as running:
        bot_url = f"{running.telegram.api_url}/bot{running.telegram.token}"
        await running.session.post(f"{bot_url}/deleteWebhook")

        await running.telegram.wait_for_calls("setWebhook", 2)


@pytest.mark.proves("TG-12")
async def test_tg_12_trouble_that_telegram_has_with_our_address_shows_in_health():
    async with hooked(TelegramServer(retry=QUICK)) as running:
        running.host.failures = [Unavailable("busy", retry_after_s=1)]
        running.telegram.post_text(7, 7, "hello")

        await running.host.until_state("degraded", "Wrong response from the webhook: 503")


@pytest.mark.proves("TG-13")
async def test_tg_13_a_refused_address_shows_in_health_and_is_tried_again():
    whys = ["HTTPS url must be provided", "can be set up only on ports 80, 88, 443 or 8443"]
    async with TelegramServer() as telegram:
        host = FakeHost()
        channel = channel_for(telegram, receive="webhook", webhook_secret=SECRET)
        refusals = [faults.ApiError(400, f"Bad Request: bad webhook: {why}") for why in whys]
        telegram.fail("setWebhook", *refusals)
        async with channel.connected(host), channel.receiving():
            for why in whys:
                await host.until_state("degraded", why)
            await telegram.wait_for_calls("setWebhook", 3)


async def test_a_revoked_token_ends_the_checks_and_nothing_else():
    async with hooked() as running:
        running.telegram.fail("getWebhookInfo", faults.unauthorized(), times=None)
        await running.host.until_state("stopped", "refuses the token")

        assert (await running.call(text_update()))[0] == 200


async def test_a_platform_that_is_away_shows_in_health_and_passes():
    async with hooked() as running:
        running.telegram.fail("getWebhookInfo", misbehaviour.Drop())
        await running.host.until_state("degraded", "no answer")
        await running.host.until(lambda: running.host.states[-1] == ("connected", None))


async def test_a_compressed_body_that_is_broken_is_no_error_of_ours():
    async with hooked() as running:
        headers = {SECRET_HEADER: SECRET, "Content-Encoding": "gzip"}
        async with running.session.post(running.url, data=b"not gzip", headers=headers) as response:
            assert response.status == 400


async def test_a_body_of_unknown_length_over_the_limit_is_refused():
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 100_000

    async with hooked() as running:
        headers = {SECRET_HEADER: SECRET}
        async with running.session.post(running.url, data=endless(), headers=headers) as response:
            assert response.status == 413


async def test_a_polling_channel_has_no_webhook():
    async with connected() as running:
        assert running.channel.routes() == []


async def test_ten_chats_at_once_are_all_stored():
    async with hooked() as running:
        answers = await asyncio.gather(
            *(running.call(text_update(f"text {n}", n)) for n in range(10))
        )

    assert {status for status, _ in answers} == {200}
    assert sorted(running.host.texts) == sorted(f"text {n}" for n in range(10))
