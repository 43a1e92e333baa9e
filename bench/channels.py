"""Rows 10 and 11: from a platform's webhook to the reply at the platform, beside its own library.

Ours is durable and answers through sessions, a bot and the outbox; the library echoes from memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from bench.gateways import gateway
from bench.platforms import SECRET, TOKEN, Platform, Slack, Telegram
from bench.processes import SERVER_CPU, child, cpu_s
from bench.row import Row
from gateway.testing.process import free_port

ROUNDS = 6
REPLIES = 640
WARM_UP = 320

TELEGRAM = """
[[channels]]
name = "tg"
kind = "telegram"
bot = "bench"
token = "{token}"
receive = "webhook"
webhook_secret = "{secret}"
api_url = "{url}"
live = "off"
"""
SLACK = """
[[channels]]
name = "slack"
kind = "slack"
bot = "bench"
bot_token = "xoxb-1"
signing_secret = "{secret}"
api_url = "{url}/api/"
live = "off"
"""


@dataclass(slots=True)
class Runs:
    """One server under load: processor time and pace, run by run."""

    platform: Platform
    webhook: str
    pid: int
    cpu_ms: list[float]
    replies_per_s: list[float]

    async def run(self) -> None:
        """`REPLIES` messages, each answered."""
        before = cpu_s(self.pid)
        elapsed_s = await self.platform.converse(self.webhook, messages=REPLIES)
        self.cpu_ms.append((cpu_s(self.pid) - before) / REPLIES * 1000)
        self.replies_per_s.append(REPLIES / elapsed_s)

    def __str__(self) -> str:
        return f"{median(self.replies_per_s):.0f} replies/s, {median(self.cpu_ms):.2f} ms CPU"


async def telegram() -> list[Row]:
    """Row 10: against python-telegram-bot's own echo in aiohttp."""
    async with _both(Telegram, config=TELEGRAM, hook="/hooks/tg") as (library, ours):
        value = await _compare(library, ours)
    return [_row("10", "Telegram webhook to reply", library, ours, value=value, must=1, goal=4)]


async def slack() -> list[Row]:
    """Row 11: against slack-bolt's own echo on aiohttp."""
    async with _both(Slack, config=SLACK, hook="/hooks/slack/events") as (library, ours):
        value = await _compare(library, ours)
    return [_row("11", "Slack event to reply", library, ours, value=value, must=0.7, goal=2)]


async def _compare(library: Runs, ours: Runs) -> float:
    """Replies a second of ours against the library's; the median, run by run."""
    for runs in (library, ours):
        await runs.platform.converse(runs.webhook, messages=WARM_UP)
    for _ in range(ROUNDS):
        await library.run()
        await ours.run()
    pairs = zip(ours.replies_per_s, library.replies_per_s, strict=True)
    return median(mine / theirs for mine, theirs in pairs)


@asynccontextmanager
async def _both(
    kind: type[Platform], *, config: str, hook: str
) -> AsyncIterator[tuple[Runs, Runs]]:
    name, port = kind.__name__.lower(), free_port()
    echoed, answered = kind(), kind()
    async with echoed.serving(), answered.serving():
        channel = config.format(token=TOKEN, secret=SECRET, url=answered.url)
        arguments = ("-m", "bench.echoes", name, "--port", str(port), "--api-url", echoed.url)
        async with (
            child(*arguments, cpu=SERVER_CPU, port=port, is_quiet=True) as pid,
            gateway(None, channels=channel, is_paced=False) as server,
        ):
            yield (
                Runs(echoed, f"http://127.0.0.1:{port}/hook", pid, [], []),
                Runs(answered, f"{server.url}{hook}", server.pid, [], []),
            )


def _row(
    number: str, what: str, library: Runs, ours: Runs, *, value: float, must: float, goal: float
) -> Row:
    return Row(
        number=number,
        what=f"{what}, 16 chats, durable",
        measured=str(ours),
        compared=f"its library's echo: {library}",
        value=value,
        must=must,
        goal=goal,
        at_least=True,
    )
