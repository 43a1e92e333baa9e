"""A day without the gateway: what Telegram still holds is answered once and in order.

The wall clock of the gateway and the platform's own time go on together while the gateway is dead.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.testing import TelegramServer, WebhookRetry
from gateway.testing.faults.fault import CannotRun
from gateway.testing.faults.rows.clocks import WallClock
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, logged, on_telegram
from tests.stories.checks import findings

CHATS = (7, 8, 9, 10)
UPDATES = 20


class Days:
    """A gateway and a platform that live through the same days."""

    def __init__(self, gateway: GatewayProcess, telegram: TelegramServer, wall: WallClock) -> None:
        self.gateway = gateway
        self.telegram = telegram
        self._wall = wall

    def pass_hours(self, hours: float) -> None:
        seconds = int(hours * 3600)
        self._wall.jump(seconds)
        self.telegram.pass_time(seconds)

    async def answered(self, *counts: int) -> None:
        """Wait until each chat has got so many replies."""
        await asyncio.gather(
            *(
                self.telegram.wait_for_sent(count, chat=chat, timeout_s=PATIENCE_S)
                for chat, count in zip(CHATS, counts, strict=False)
            )
        )

    def replies(self, chat: int) -> list[str]:
        return [message.text for message in self.telegram.sent(chat)]


@asynccontextmanager
async def days(folder: Path, *, receive: str) -> AsyncIterator[Days]:
    """Both have lived through a first message, and the gateway has stopped."""
    try:
        wall = WallClock(folder)
    except CannotRun as error:
        pytest.skip(str(error))
    async with TelegramServer(retry=WebhookRetry(scale=0.01)) as telegram:
        config = SCRIPTED + DESK + on_telegram(telegram, receive=receive)
        async with GatewayProcess(folder, config=config, environment=wall.environment) as gateway:
            await gateway.start()
            telegram.post_text(CHATS[0], CHATS[0], "before")
            await telegram.wait_for_sent(1, timeout_s=PATIENCE_S)
            await gateway.stop()
            yield Days(gateway, telegram, wall)


@pytest.mark.proves("TG-6", "TG-1", "TG-9", "C-1", "C-3")
@pytest.mark.parametrize("receive", ["polling", "webhook"])
async def test_tg_6_tg_1_tg_9_c_1_c_3_a_day_of_downtime_is_played_back_once_and_in_order(
    tmp_path: Path, receive: str
) -> None:
    async with days(tmp_path, receive=receive) as world:
        said: dict[int, list[str]] = {chat: [] for chat in CHATS}
        for number in range(UPDATES):
            world.pass_hours(23.5 / UPDATES)
            chat = CHATS[number % len(CHATS)]
            world.telegram.post_text(chat, chat, f"number {number}")
            said[chat].append(f"Heard: number {number}")
        said[CHATS[0]].insert(0, "Heard: before")

        await world.gateway.start()
        await world.answered(*(len(texts) for texts in said.values()))
        await world.telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
        world.telegram.post_text(99, 99, "the last")
        await world.telegram.wait_for_sent(1, chat=99, timeout_s=PATIENCE_S)

        assert {chat: world.replies(chat) for chat in CHATS} == said
        assert logged(world.gateway, "updates_lost") == []
        assert await findings(world.gateway) == []


@pytest.mark.proves("TG-6")
async def test_tg_6_what_a_longer_downtime_lost_is_told_in_the_log(tmp_path: Path) -> None:
    async with days(tmp_path, receive="polling") as world:
        world.telegram.post_text(7, 7, "lost")
        world.pass_hours(26)
        world.telegram.post_text(7, 7, "kept")
        await world.gateway.start()
        await world.answered(2)

        assert world.replies(7) == ["Heard: before", "Heard: kept"]
        [gap] = logged(world.gateway, "updates_lost")
        assert gap["away_h"] == 26
