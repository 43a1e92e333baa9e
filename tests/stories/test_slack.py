"""Slack and a daemon that restarts: every mention is answered once, in its thread."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from gateway.testing import EventRetry, OpenAIServer, Silence, SlackServer
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, logged, on_slack, over_endpoint
from gateway.testing.slack.messages import SlackMessage
from tests.stories.checks import findings

RECEIVE = pytest.mark.parametrize("receive", ["events", "socket"])
OAUTH = """
[log]
level = "debug"

[[channels]]
name = "slack"
kind = "slack"
bot = "support"
client_id = "{slack.client_id}"
client_secret = "{slack.client_secret}"
signing_secret = "{slack.signing_secret}"
api_url = "{slack.api_url}"
"""


@asynccontextmanager
async def connected(
    folder: Path, *, model: str = SCRIPTED, receive: str
) -> AsyncIterator[tuple[GatewayProcess, SlackServer]]:
    """A gateway that hears Slack, and Slack."""
    async with SlackServer(retry=EventRetry(scale=0.01)) as slack:
        config = model + DESK + on_slack(slack, receive=receive)
        async with GatewayProcess(folder, config=config) as gateway:
            await gateway.start()
            await hearing(gateway, slack, receive=receive)
            yield gateway, slack


async def hearing(gateway: GatewayProcess, slack: SlackServer, *, receive: str) -> None:
    if receive == "socket":
        await slack.wait_for_sockets(timeout_s=PATIENCE_S)
    else:
        base = f"{gateway.url}/hooks/slack"
        slack.deliver_to(
            f"{base}/events", interactivity=f"{base}/interactivity", commands=f"{base}/commands"
        )


async def replies(slack: SlackServer, count: int, channel: str = "C1") -> list[SlackMessage]:
    return await slack.wait_for_sent(count, channel=channel, timeout_s=PATIENCE_S)


@RECEIVE
@pytest.mark.proves("SL-6", "C-3")
async def test_sl_6_c_3_a_mention_is_answered_once_in_its_thread(
    tmp_path: Path, receive: str
) -> None:
    async with connected(tmp_path, receive=receive) as (gateway, slack):
        told = slack.mention("C1", "U1", "one")
        for event in told:
            slack.redeliver(event, 3)
        [reply] = await replies(slack, 1)
        await slack.wait_until_acknowledged(timeout_s=PATIENCE_S)
        thread = told[0]["event"]["ts"]
        slack.post_message("C1", "U2", "not for the bot")
        root = slack.post_message("C2", "U1", "not for the bot either")["event"]["ts"]
        slack.post_message("C2", "U2", "nor is the answer", thread_ts=root)
        slack.post_message("C1", "U1", "two", thread_ts=thread)
        first, second = await replies(slack, 2)

        assert (first, reply.thread_ts) == (reply, thread)
        assert [first.text, second.text] == ["Heard: one", "Heard: two"]
        assert second.thread_ts == thread
        assert len(slack.sent()) == 2
        assert slack.problems == []
        assert await findings(gateway) == []


@RECEIVE
@pytest.mark.proves("C-1")
async def test_c_1_a_kill_between_acknowledgement_and_reply_leaves_one_reply(
    tmp_path: Path, receive: str
) -> None:
    async with OpenAIServer() as model:
        model.enqueue(Silence(), "Here you are.", "Again.")
        async with connected(tmp_path, model=over_endpoint(model), receive=receive) as (
            gateway,
            slack,
        ):
            told = slack.mention("C1", "U1", "one")
            await slack.wait_until_acknowledged(timeout_s=PATIENCE_S)
            await model.wait_for_calls(1, timeout_s=PATIENCE_S)

            await gateway.kill()
            await gateway.start()
            await hearing(gateway, slack, receive=receive)
            for event in told:
                slack.redeliver(event)

            [reply] = await replies(slack, 1)
            assert (reply.text, reply.thread_ts) == ("Here you are.", told[0]["event"]["ts"])
            slack.post_message("C1", "U1", "two", thread_ts=reply.thread_ts)
            assert [one.text for one in await replies(slack, 2)] == ["Here you are.", "Again."]
            assert await findings(gateway) == []


@RECEIVE
@pytest.mark.proves("SL-25")
async def test_sl_25_a_slash_command_starts_afresh(tmp_path: Path, receive: str) -> None:
    async with connected(tmp_path, receive=receive) as (_, slack):
        slack.post_message("D1", "U1", "one")
        await replies(slack, 1, "D1")
        slack.command("D1", "U1", "/bot", "new")
        _, answer = await replies(slack, 2, "D1")

        assert "afresh" in answer.text


async def test_what_was_said_while_the_daemon_was_down_is_answered_once_and_in_order(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path, receive="events") as (gateway, slack):
        slack.post_message("D1", "U1", "before")
        await replies(slack, 1, "D1")
        await gateway.kill()
        for number in range(3):
            slack.post_message("D1", "U1", f"number {number}")
        await slack.wait_until(lambda: not slack.pending, timeout_s=PATIENCE_S)
        await gateway.start()
        said = [one.text for one in await replies(slack, 4, "D1")]

        assert said == [f"Heard: {text}" for text in ("before", "number 0", "number 1", "number 2")]
        assert await findings(gateway) == []


@pytest.mark.proves("SL-28", "C-10")
async def test_sl_28_an_install_survives_a_restart_and_stands_encrypted_on_disk(
    tmp_path: Path,
) -> None:
    async with SlackServer(retry=EventRetry(scale=0.01)) as slack:
        config = SCRIPTED + DESK + OAUTH.format(slack=slack)
        async with GatewayProcess(tmp_path, config=config) as gateway:
            await gateway.start()
            token = await install(gateway, slack)
            await gateway.kill()
            await gateway.start()
            await hearing(gateway, slack, receive="events")
            slack.post_message("D1", "U1", "one")
            [reply] = await replies(slack, 1, "D1")
            slack.uninstall()
            await slack.wait_until_acknowledged(timeout_s=PATIENCE_S)

            assert reply.text == "Heard: one"
            assert slack.calls_of("chat.postMessage")[0].token == token
            assert logged(gateway, "slack_installation_removed")
        files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
        for secret in (token, slack.client_secret, slack.signing_secret):
            assert secret not in gateway.log
        assert not any(token.encode() in content for content in files)


async def install(gateway: GatewayProcess, slack: SlackServer) -> str:
    """Somebody lets the app in, with a browser; gives the token that Slack gave for it."""
    base = f"{gateway.url}/hooks/slack"
    async with asyncio.timeout(PATIENCE_S):
        while not logged(gateway, "slack_connected"):  # noqa: ASYNC110 - another process logs it
            await asyncio.sleep(0.05)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        async with browser.get(f"{base}/install", allow_redirects=False) as asked:
            state = URL(asked.headers["Location"]).query["state"]
        code = slack.approve("U1", redirect_uri=f"{base}/oauth")
        async with browser.get(f"{base}/oauth", params={"code": code, "state": state}) as done:
            assert done.status == 200, await done.text()
    return slack.bot_token
