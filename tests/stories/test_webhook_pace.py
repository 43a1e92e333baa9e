"""Webhooks are answered at once, however long the bots think."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from gateway.testing import TelegramServer
from gateway.testing.faults.props.measures import cpu_wait_s, percentile
from gateway.testing.faults.props.raw_webhook import RawWebhook
from gateway.testing.scene import DESK, PATIENCE_S, on_telegram, serving

AT_ONCE = 200
ROUNDS = 3
SLOW = """
[models.main]
provider = "scripted"

[[models.main.rules]]
reply = "At last."
delay_s = 20
"""


@pytest.mark.proves("C-4")
async def test_c_4_200_webhooks_at_once_are_answered_within_a_second_while_turns_take_20(
    tmp_path: Path,
) -> None:
    async with (
        TelegramServer() as telegram,
        serving(tmp_path, SLOW + DESK + on_telegram(telegram)) as (gateway, _),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client,
    ):
        await telegram.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
        webhook = RawWebhook(client, telegram)

        async def post(chat: int) -> float:
            body = webhook.text(chat, "Hello")
            began = time.perf_counter()
            answer = await webhook.post(body)
            assert answer.status == 200
            return time.perf_counter() - began

        took_s: list[float] = []
        for first in range(1, AT_ONCE * ROUNDS, AT_ONCE):
            began_s = cpu_wait_s(gateway.pid)
            round_s = await asyncio.gather(*(post(chat) for chat in range(first, first + AT_ONCE)))
            waited_s = cpu_wait_s(gateway.pid) - began_s  # for a processor others had
            took_s += [one_s - waited_s for one_s in round_s]
        status = await gateway.run_json("status", "--json")
        await gateway.kill()

    assert len(took_s) == AT_ONCE * ROUNDS
    assert telegram.sent() == []
    assert percentile(took_s, 0.99) < 1
    assert status["turns"]["running"] > 0
