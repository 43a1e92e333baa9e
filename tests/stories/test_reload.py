"""A running gateway reads its configuration again: what changes, what stays, what waits."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from gateway.flow.gate import REFUSED
from gateway.testing import OpenAIServer, Reply, TelegramServer, ToolCall
from gateway.testing.process import GatewayProcess

WITHIN_S = 20

CONFIG = """
[log]
level = "info"

[models.demo]
provider = "scripted"

[[models.demo.rules]]
reply = "The old answer."

[[bots]]
slug = "support"
model = "demo"
greeting = "Hello."

[[bots.agents]]
name = "Desk"
"""

REMOTE = """
[models.remote]
provider = "openai"
base_url = "{base_url}"
model = "before"

[tools.get_outstanding_balance]
kind = "python"
function = "gateway.demo:get_outstanding_balance"

[[bots]]
slug = "support"
model = "remote"

[[bots.agents]]
name = "Desk"
tools = ["get_outstanding_balance"]
"""

CHANNEL = """
[[channels]]
name = "tg"
kind = "telegram"
bot = "support"
token = "{token}"
api_url = "{api_url}"
access = "allow"
allow = ["6"]
"""
OTHER_TOKEN = "654321:" + "B" * 35

TOOL = """
[tools.lookup]
kind = "python"
function = "lookup:find"

[[bots]]"""


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

        line = await caller.reload(("The old", "The new"), outcome="configuration_reloaded")

        assert line["changes"] == ["models.demo changed"]
        assert (before, await caller.answer("hello")) == ("The old answer.", "The new answer.")
        assert await caller.gateway.stop() == 0


async def test_a_running_turn_finishes_with_the_model_it_began_with(tmp_path: Path) -> None:
    balance = ToolCall("get_outstanding_balance", {})
    async with OpenAIServer(models=("before", "after")) as model:
        config = REMOTE.format(base_url=model.base_url)
        async with calling(tmp_path, config) as caller:
            model.enqueue(Reply(tool_calls=(balance,), delay_s=1.5), "As it began.", "Anew.")
            running = asyncio.create_task(caller.answer("what do I owe?"))
            await model.wait_for_calls(1)

            await caller.reload(('"before"', '"after"'), outcome="configuration_reloaded")
            is_running_on = not running.done()
            answers = [await running, await caller.answer("and now?")]

    assert is_running_on
    assert answers == ["As it began.", "Anew."]
    assert [call.model for call in model.calls] == ["before", "before", "after"]


async def test_a_changed_bot_gets_the_next_version(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        before = await caller.bot()

        await caller.reload(("Hello.", "Good day."), outcome="configuration_reloaded")
        after = await caller.bot()

    assert (before["version"], after["version"]) == (1, 2)
    assert (before["greeting"], after["greeting"]) == ("Hello.", "Good day.")


async def test_a_broken_file_changes_nothing_and_every_problem_is_logged(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        line = await caller.reload(
            ("The old", "The new"),
            ("greeting", "greting"),
            ('"scripted"', '"scriptde"'),
            outcome="reload_refused",
        )

        places = [problem.split(": ")[1] for problem in line["problems"]]
        assert places == ["models.demo.provider", "bots.greting"]
        assert await caller.answer("hello") == "The old answer."
        assert (await caller.bot())["version"] == 1


async def test_a_module_that_breaks_on_import_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "lookup.py").write_text("1 / 0")
    async with calling(tmp_path) as caller:
        line = await caller.reload(("\n[[bots]]", TOOL), outcome="reload_refused")

        assert "ZeroDivisionError" in str(line["problems"])
        assert await caller.answer("hello") == "The old answer."


async def test_a_mended_file_is_taken_after_a_broken_one(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        await caller.reload(("greeting", "greting"), outcome="reload_refused")

        line = await caller.reload(
            ('greting = "Hello."', 'greeting = "Hi."'), outcome="configuration_reloaded"
        )

    assert line["changes"] == ["bots.support changed"]


async def test_what_waits_for_a_restart_is_named(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        line = await caller.reload(
            ("[log]", "[surfaces]\ntalk = false\n\n[log]"), outcome="restart_needed"
        )

        assert line["waiting"] == ["surfaces.talk changed"]
        assert await caller.answer("hello") == "The old answer."


async def test_a_running_channel_follows_the_file_but_for_its_own_keys(tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        channel = CHANNEL.format(token=telegram.token, api_url=telegram.api_url)
        async with calling(tmp_path, CONFIG + channel) as caller:
            telegram.post_text(7, 7, "hello")
            await telegram.wait_for_sent(1, chat=7, timeout_s=WITHIN_S)

            line = await caller.reload(
                ('["6"]', '["7"]'), (telegram.token, OTHER_TOKEN), outcome="restart_needed"
            )
            telegram.post_text(7, 7, "hello again")
            sent = await telegram.wait_for_sent(2, chat=7, timeout_s=WITHIN_S)

    assert line["waiting"] == ["channels.tg.token changed"]
    assert [message.text for message in sent] == [REFUSED, "The old answer."]


async def test_the_level_of_the_log_changes_while_it_runs(tmp_path: Path) -> None:
    async with calling(tmp_path) as caller:
        await caller.answer("hello")
        before = caller.lines("inbound_accepted")

        await caller.reload(('"info"', '"debug"'), outcome="configuration_reloaded")
        await caller.answer("hello")

        assert before == []
        assert len(caller.lines("inbound_accepted")) == 1


async def test_a_terminal_that_goes_away_stops_the_gateway(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, config=CONFIG)
    ours, theirs = os.openpty()
    with gateway.log_path.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *("setsid", "--ctty", sys.executable, "-m", "gateway", "serve"),
            *("--config", str(gateway.config_path)),
            stdin=theirs,
            stdout=log,
            stderr=log,
        )
    os.close(theirs)
    try:
        await until(lambda: "gateway_ready" in gateway.log)

        os.close(ours)

        async with asyncio.timeout(WITHIN_S):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert "gateway_stopped" in gateway.log
