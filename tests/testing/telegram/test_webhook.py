"""Webhook deliveries of the fake Telegram: secret, order, persistence."""

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.testing import TelegramServer, WebhookRetry
from gateway.testing.loopback import Changes
from tests.testing.telegram.client import client_of

FAST = WebhookRetry(scale=0.001)


class Hook:
    """A webhook that answers what it is told and keeps what it got."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.got: list[dict] = []
        self.secrets: list[str | None] = []
        self.changes = Changes()
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append(await request.json())
        self.changes.tell()
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        await self.gate.wait()
        return self.answers.pop(0) if self.answers else web.Response()

    async def wait_for(self, count):
        await self.changes.until(
            lambda: len(self.got) >= count, timeout_s=5, otherwise=lambda: str(self.got)
        )

    @property
    def texts(self):
        return [update["message"]["text"] for update in self.got]


@asynccontextmanager
async def hooked(telegram: TelegramServer, **settings):
    hook = Hook()
    app = web.Application()
    app.router.add_post("/hook", hook.answer)
    async with TestServer(app) as server, client_of(telegram) as client:
        hook.url = str(server.make_url("/hook"))
        await client.result("setWebhook", url=hook.url, **settings)
        try:
            yield hook, client
        finally:
            hook.gate.set()


async def test_updates_are_posted_with_the_secret_and_confirmed_by_200():
    async with (
        TelegramServer() as telegram,
        hooked(telegram, secret_token="s3cret-_") as (hook, _),
    ):
        update = telegram.post_text(7, 7, "hello")
        await telegram.wait_until_confirmed()

    assert hook.got == [update]
    assert hook.secrets == ["s3cret-_"]
    assert [attempt.status for attempt in telegram.attempts] == [200]


async def test_what_was_pending_is_delivered_when_a_webhook_is_set():
    async with TelegramServer() as telegram:
        telegram.post_text(7, 7, "early")
        async with hooked(telegram) as (hook, _):
            await telegram.wait_until_confirmed()

    assert hook.texts == ["early"]


async def test_a_failed_delivery_is_tried_again_until_it_succeeds():
    async with TelegramServer(retry=FAST) as telegram, hooked(telegram) as (hook, _):
        hook.answers = [
            web.Response(status=500),
            web.Response(status=302),
            web.Response(status=204),
        ]
        telegram.post_text(7, 7, "hello")
        await telegram.wait_until_confirmed()

    assert [attempt.status for attempt in telegram.attempts] == [500, 302, 204]
    assert hook.texts == ["hello"] * 3


async def test_the_pauses_between_failed_deliveries_grow():
    async with (
        TelegramServer(retry=WebhookRetry(scale=0.03)) as telegram,
        hooked(telegram) as (hook, _),
    ):
        hook.answers = [web.Response(status=500) for _ in range(4)]
        telegram.post_text(7, 7, "hello")
        await telegram.wait_until_confirmed()

    times = [attempt.at for attempt in telegram.attempts]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] < pauses[1]
    assert (pauses[1] >= 0.06, pauses[2] >= 0.12, pauses[3] >= 0.24) == (True, True, True)


async def test_a_retry_after_of_the_webhook_is_obeyed():
    async with (
        TelegramServer(retry=WebhookRetry(scale=0.01)) as telegram,
        hooked(telegram) as (hook, _),
    ):
        hook.answers = [web.Response(status=503, headers={"Retry-After": "10"})]
        telegram.post_text(7, 7, "hello")
        await telegram.wait_until_confirmed()
        first, second = telegram.attempts

    assert second.at - first.at >= 0.1


async def test_a_lost_connection_is_tried_again():
    async with TelegramServer(retry=FAST) as telegram, client_of(telegram) as client:
        async with hooked(telegram) as (_, _):
            pass
        telegram.post_text(7, 7, "nobody listens")
        await telegram.wait_until(lambda: len(telegram.attempts) >= 3)
        info = await client.result("getWebhookInfo")

    assert {attempt.status for attempt in telegram.attempts} == {None}
    assert info["pending_update_count"] == 1
    assert info["last_error_message"] == "Webhook connection closed"


async def test_updates_of_one_chat_wait_for_each_other_and_those_of_others_do_not():
    async with TelegramServer() as telegram, hooked(telegram) as (hook, _):
        hook.gate.clear()
        telegram.post_text(7, 7, "first of 7")
        telegram.post_text(7, 7, "second of 7")
        telegram.post_text(8, 8, "first of 8")
        await hook.wait_for(2)
        before = sorted(hook.texts)
        hook.gate.set()
        await telegram.wait_until_confirmed()

    assert before == ["first of 7", "first of 8"]
    assert hook.texts[-1] == "second of 7"


async def test_an_update_can_be_posted_many_times_in_order_or_at_once():
    async with TelegramServer() as telegram, hooked(telegram) as (hook, _):
        update = telegram.post_text(7, 7, "hello")
        telegram.redeliver(update, times=4)
        await telegram.wait_until(lambda: len(telegram.attempts) == 5)
        attempts = await telegram.post_to_webhook(update, times=5)

    assert hook.got == [update] * 10
    assert all(attempt.is_success for attempt in attempts)


async def test_updates_kept_back_are_delivered_in_the_order_asked_for():
    async with TelegramServer() as telegram, hooked(telegram) as (hook, _):
        telegram.hold_updates()
        for text in ("first", "second", "third"):
            telegram.post_text(7, 7, text)
        await telegram.post_to_webhook({"update_id": 1, "message": {"text": "meanwhile"}})
        telegram.release_updates(reverse=True)
        telegram.post_text(7, 7, "fourth")
        await telegram.wait_until_confirmed()

    assert hook.texts == ["meanwhile", "third", "second", "first", "fourth"]
    assert [update["update_id"] for update in hook.got] == [1, 1002, 1001, 1000, 1003]


async def test_posting_to_no_webhook_is_a_mistake_of_the_test():
    async with TelegramServer() as telegram:
        with pytest.raises(RuntimeError, match="no webhook"):
            await telegram.post_to_webhook({"update_id": 1})


async def test_without_retries_each_update_is_posted_once():
    async with (
        TelegramServer(retry=WebhookRetry(enabled=False)) as telegram,
        hooked(telegram) as (hook, _),
    ):
        hook.answers = [web.Response(status=500)]
        telegram.post_text(7, 7, "hello")
        await telegram.wait_until_confirmed()

    assert len(telegram.attempts) == 1


async def test_webhook_info_tells_what_was_set():
    async with TelegramServer() as telegram:
        async with client_of(telegram) as client:
            before = await client.result("getWebhookInfo")
        async with hooked(telegram, allowed_updates=["message"], max_connections=3) as (hook, c):
            info = await c.result("getWebhookInfo")

    assert (before["url"], before["pending_update_count"]) == ("", 0)
    assert info["url"] == hook.url
    assert info["max_connections"] == 3
    assert info["allowed_updates"] == ["message"]


async def test_deleting_the_webhook_keeps_or_drops_what_is_pending():
    async with TelegramServer(retry=FAST) as telegram, client_of(telegram) as client:
        await client.result("setWebhook", url=f"{telegram.api_url}/nobody")
        telegram.post_text(7, 7, "hello")
        await client.result("deleteWebhook", drop_pending_updates=False)
        kept = len(telegram.pending)
        await client.result("deleteWebhook", drop_pending_updates=True)

    assert (kept, telegram.pending) == (1, [])


async def test_an_empty_url_removes_the_webhook():
    async with TelegramServer() as telegram, hooked(telegram) as (_, client):
        await client.result("setWebhook", url="")

        assert await client.result("getUpdates") == []


async def test_updates_without_a_chat_are_delivered_in_the_order_of_their_sender():
    query = {"id": "1", "from": {"id": 7}, "query": "cats", "offset": ""}

    async with TelegramServer() as telegram, hooked(telegram) as (hook, _):
        telegram.post({"inline_query": query})
        telegram.post({"poll_answer": {"poll_id": "1", "option_ids": [0]}})
        telegram.post({"stopped": True})
        await telegram.wait_until_confirmed()

    assert sorted(update["update_id"] for update in hook.got) == [1000, 1001, 1002]


async def test_an_update_that_waited_for_a_day_is_not_delivered_any_more():
    async with TelegramServer(retry=FAST) as telegram, hooked(telegram) as (hook, _):
        hook.answers = [web.Response(status=500) for _ in range(8)]
        telegram.post_text(7, 7, "late")
        await hook.wait_for(2)
        telegram.pass_time(25 * 3600)
        telegram.post_text(7, 7, "next")
        await telegram.wait_until(lambda: telegram.attempts[-1].is_success, timeout_s=15)

    assert hook.texts[-1] == "next"
    assert telegram.attempts[-1].update_id == telegram.attempts[0].update_id + 1
