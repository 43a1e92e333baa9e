"""A running gateway is told to read its configuration again: what changes, what stays, what waits."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from gateway.testing.process import GatewayProcess

WITHIN_S = 20

CONFIG = """
[log]
level = "info"

[models.demo]
provider = "scripted"

[[models.demo.rules]]
text = "slow"
reply = "one two old"
chunk_delay_s = 0.4

[[models.demo.rules]]
reply = "The old answer."

[[bots]]
slug = "support"
model = "demo"
greeting = "Hello."

[[bots.agents]]
name = "Desk"
"""


class Caller:
    """Somebody who talks to a running gateway, and its operator who edits its file."""

    def __init__(self, gateway: GatewayProcess, http: aiohttp.ClientSession) -> None:
        self.gateway = gateway
        self._http = http

    async def answer(self, text: str) -> str:
        """What the bot says to that."""
        reply = await self._json("POST", "/v1/chat", {"bot": "support", "input": text})
        return str(reply["output_text"])

    async def bot(self) -> dict[str, Any]:
        """The bot, as callers see it."""
        listing = await self._json("GET", "/v1/bots")
        return dict(listing["data"][0])

    async def reload(self, *changes: tuple[str, str], outcome: str) -> dict[str, Any]:
        """Change texts of the file, send SIGHUP, and wait for that line of the log."""
        path, before = self.gateway.config_path, len(self.lines(outcome))
        text = path.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        os.kill(self.gateway.pid, signal.SIGHUP)
        await until(lambda: len(self.lines(outcome)) > before)
        return self.lines(outcome)[-1]

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log about that event, the finished ones."""
        *whole, _ = self.gateway.log.split("\n")
        read = [json.loads(line) for line in whole if line.startswith("{")]
        return [line for line in read if line["event"] == event]

    async def _json(self, method: str, path: str, body: object = None) -> Any:
        async with self._http.request(method, f"{self.gateway.url}{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


@asynccontextmanager
async def calling(folder: Path, config: str = CONFIG) -> AsyncIterator[Caller]:
    """A caller with a key, at a gateway that is ready."""
    async with GatewayProcess(folder, config=config) as gateway:
        await gateway.start()
        headers = {"Authorization": f"Bearer {await gateway.create_key()}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            yield Caller(gateway, http)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)


async def test_the_next_turn_answers_as_the_file_says_now(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        before = await caller.answer("hello")

        line = await caller.reload(
            ("The old answer.", "The new answer."), outcome="configuration_reloaded"
        )

        assert line["changes"] == ["models.demo changed"]
        assert (before, await caller.answer("hello")) == ("The old answer.", "The new answer.")
        assert await caller.gateway.stop() == 0
