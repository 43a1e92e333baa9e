"""An operator's bad days: replies that were given up, a store that was lost while it was in use."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from gateway.testing import Slow, TelegramServer, WebhookRetry
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import (
    DESK,
    PATIENCE_S,
    SCRIPTED,
    logged,
    on_telegram,
    serving,
)
from gateway.testing.telegram.faults import chat_not_found
from tests.stories.checks import findings

CHAT = 7
LATER_S = 30.0
"""Longer than the rest of a story takes."""


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[tuple[GatewayProcess, TelegramServer]]:
    """A gateway that hears Telegram, and Telegram."""
    async with TelegramServer(retry=WebhookRetry(scale=0.01)) as telegram:
        config = SCRIPTED + DESK + on_telegram(telegram)
        async with GatewayProcess(folder, config=config) as gateway:
            await gateway.start()
            await telegram.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
            yield gateway, telegram


async def replies(telegram: TelegramServer, count: int) -> list[str]:
    sent = await telegram.wait_for_sent(count, chat=CHAT, timeout_s=PATIENCE_S)
    return [message.text for message in sent]


async def dead_letters(gateway: GatewayProcess, count: int) -> list[str]:
    """The ids of the dead letters, as soon as there are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            listed = await gateway.run_json("dlq", "list")
            if len(listed) >= count:
                return [str(letter["id"]) for letter in listed]


async def test_a_running_daemon_sends_what_is_replayed(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, telegram):
        telegram.fail("sendMessage", chat_not_found())
        telegram.post_text(CHAT, CHAT, "one")
        (letter,) = await dead_letters(gateway, 1)

        (outcome,) = await gateway.run_json("dlq", "replay", letter)

        assert outcome["outcome"] == "replayed"
        assert await replies(telegram, 1) == ["Heard: one"]
        assert await findings(gateway) == []


async def test_a_restored_store_does_not_send_again_what_was_on_its_way(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, telegram):
        telegram.fail("sendMessage", Slow(LATER_S))
        telegram.post_text(CHAT, CHAT, "one")
        await replies(telegram, 1)
        await gateway.run_json("backup", str(tmp_path / "backup.db"))
        await gateway.kill()

        restored = await gateway.run_json("restore", str(tmp_path / "backup.db"))
        await gateway.start()
        telegram.post_text(CHAT, CHAT, "two")

        assert restored["held"] == 1
        assert await replies(telegram, 2) == ["Heard: one", "Heard: two"]
        assert len(await dead_letters(gateway, 1)) == 1
        assert await findings(gateway) == []


async def test_a_database_that_breaks_in_use_ends_the_daemon_for_good(tmp_path: Path) -> None:
    async with serving(tmp_path) as (gateway, caller):
        for number in range(20):
            await caller.say(f"message {number}")
        await gateway.stop()
        await gateway.start()
        ruin(tmp_path / "data" / "gateway.db")

        async with asyncio.timeout(PATIENCE_S):
            while gateway.is_running:
                try:
                    await caller.call("GET", "/v1/sessions?limit=100")
                except aiohttp.ClientError:
                    await gateway.wait_for_end()

        assert await gateway.wait_for_end() == 78
        assert logged(gateway, "store_lost")[0]["code"] == "store_corrupt"
        assert "bot-gateway restore" in gateway.log.splitlines()[-1]


def ruin(database: Path) -> None:
    """Write nonsense over all that is not in use at this moment."""
    with database.open("r+b") as file:
        for page in range(4, database.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(os.urandom(4096))
