"""Telegram and a daemon that restarts: every update is answered, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.testing import Hang, OpenAIServer, Silence, TelegramServer, WebhookRetry
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import (
    DESK,
    PATIENCE_S,
    SCRIPTED,
    calling,
    logged,
    on_telegram,
    over_endpoint,
)
from tests.stories.checks import findings

CHAT = 7


@asynccontextmanager
async def connected(
    folder: Path, *, model: str = SCRIPTED, receive: str = "webhook"
) -> AsyncIterator[tuple[GatewayProcess, TelegramServer]]:
    """A gateway that hears Telegram, and Telegram."""
    async with TelegramServer(retry=WebhookRetry(scale=0.01)) as telegram:
        config = model + DESK + on_telegram(telegram, receive=receive)
        async with GatewayProcess(folder, config=config) as gateway:
            await gateway.start()
            awaited = "setWebhook" if receive == "webhook" else "getUpdates"
            await telegram.wait_for_calls(awaited, timeout_s=PATIENCE_S)
            yield gateway, telegram


async def replies(telegram: TelegramServer, count: int) -> list[str]:
    sent = await telegram.wait_for_sent(count, chat=CHAT, timeout_s=PATIENCE_S)
    return [message.text for message in sent]


@pytest.mark.proves("C-3")
async def test_c_3_an_update_that_comes_ten_times_is_answered_once(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, telegram):
        update = telegram.post_text(CHAT, CHAT, "one")
        copies = await telegram.post_to_webhook(update, 9)
        await replies(telegram, 1)

        await gateway.stop()
        connections = len(telegram.calls_of("getWebhookInfo"))
        await gateway.start()
        await telegram.wait_for_calls("getWebhookInfo", connections + 1, timeout_s=PATIENCE_S)
        copies += await telegram.post_to_webhook(update, 10)
        telegram.post_text(CHAT, CHAT, "two")

        assert await replies(telegram, 2) == ["Heard: one", "Heard: two"]
        assert {copy.status for copy in copies} == {200}
        assert await findings(gateway) == []


async def test_callers_see_when_the_channel_last_heard_and_sent_something(
    tmp_path: Path,
) -> None:
    async with (
        connected(tmp_path) as (gateway, telegram),
        calling(gateway, await gateway.create_key()) as caller,
    ):
        before = await caller.get("/v1/channels/tg")
        telegram.post_text(CHAT, CHAT, "one")
        await replies(telegram, 1)
        after = await caller.get("/v1/channels/tg")

    assert (before["last_in_at"], before["last_out_at"]) == (None, None)
    assert after["last_in_at"] is not None
    assert after["last_in_at"] <= after["last_out_at"]


@pytest.mark.proves("C-3")
async def test_c_3_a_polled_update_that_comes_ten_times_is_answered_once(tmp_path: Path) -> None:
    async with connected(tmp_path, receive="polling") as (gateway, telegram):
        update = telegram.post_text(CHAT, CHAT, "one")
        telegram.redeliver(update, 9)
        await replies(telegram, 1)

        await gateway.stop()
        telegram.redeliver(update, 10)
        await gateway.start()
        telegram.post_text(CHAT, CHAT, "two")

        assert await replies(telegram, 2) == ["Heard: one", "Heard: two"]
        await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
        assert await findings(gateway) == []


@pytest.mark.proves("C-1")
@pytest.mark.parametrize("receive", ["webhook", "polling"])
async def test_c_1_a_kill_between_acknowledgement_and_reply_leaves_one_reply(
    tmp_path: Path, receive: str
) -> None:
    async with OpenAIServer() as model:
        model.enqueue(Silence(), "Here you are.", "Again.")
        async with connected(tmp_path, model=over_endpoint(model), receive=receive) as (
            gateway,
            telegram,
        ):
            telegram.post_text(CHAT, CHAT, "one")
            await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
            await model.wait_for_calls(1, timeout_s=PATIENCE_S)

            await gateway.kill()
            await gateway.start()

            assert await replies(telegram, 1) == ["Here you are."]
            telegram.post_text(CHAT, CHAT, "two")
            assert await replies(telegram, 2) == ["Here you are.", "Again."]
            assert len(model.calls) == 3
            assert await findings(gateway) == []


async def test_a_reply_whose_end_was_not_recorded_is_sent_twice_at_most(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, telegram):
        telegram.fail("sendMessage", Hang(accepted=True), times=2)
        telegram.post_text(CHAT, CHAT, "one")
        await replies(telegram, 1)

        await gateway.kill()
        await gateway.start()
        await replies(telegram, 2)
        await gateway.kill()
        await gateway.start()
        telegram.post_text(CHAT, CHAT, "two")

        assert await replies(telegram, 3) == ["Heard: one", "Heard: one", "Heard: two"]
        decided = logged(gateway, "delivery_doubt_decided")
        assert [(line["outcome"], line["attempts"]) for line in decided] == [
            ("pending", 1),
            ("held", 2),
        ]
        story = await gateway.run_json("explain", decided[0]["delivery_id"])
        assert "held after 2 tries" in story["turns"][0]["steps"][-1]["title"]
        assert await findings(gateway) == []


@pytest.mark.proves("TG-8", "C-2")
async def test_tg_8_c_2_a_wrong_webhook_secret_is_refused_and_stores_nothing(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path) as (gateway, telegram), aiohttp.ClientSession() as stranger:
        update = {"update_id": 5000, "message": {"text": "let me in"}}
        for headers in ({}, {"X-Telegram-Bot-Api-Secret-Token": "wrong"}):
            async with stranger.post(
                f"{gateway.url}/hooks/tg", json=update, headers=headers
            ) as answer:
                assert answer.status == 401
                assert await answer.read() == b""

        assert await gateway.run_json("sessions", "list") == []
        assert telegram.sent() == []


async def test_the_same_update_with_other_words_is_taken_and_not_answered(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, telegram):
        update = telegram.post_text(CHAT, CHAT, "one")
        await replies(telegram, 1)
        forged = {**update, "message": {**update["message"], "text": "forged"}}

        [attempt] = await telegram.post_to_webhook(forged)
        telegram.post_text(CHAT, CHAT, "two")

        assert attempt.status == 200
        assert await replies(telegram, 2) == ["Heard: one", "Heard: two"]
        assert len(logged(gateway, "inbox_digest_mismatch")) == 1
