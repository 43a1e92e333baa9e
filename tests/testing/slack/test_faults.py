"""How calls to the fake Slack go wrong, and how fast they may come."""

import asyncio
import json
import sys
import time

import aiohttp
import pytest

from gateway.testing import (
    Drop,
    Garbled,
    Hang,
    HtmlError,
    SlackError,
    SlackRates,
    SlackServer,
    Slow,
    Window,
    rate_limited,
)
from tests.testing.slack.app import client_of


@pytest.fixture
async def slack():
    async with SlackServer(echo=False) as server:
        server.channel("C1")
        server.channel("C2")
        yield server


@pytest.fixture
async def client(slack):
    async with client_of(slack) as opened:
        yield opened


async def post(client, channel="C1", text="hello"):
    return await client.call("chat.postMessage", channel=channel, text=text)


async def test_faults_come_in_turn_and_end(slack, client):
    rule = slack.fail("chat.postMessage", SlackError("internal_error"), rate_limited(1))
    answers = [await post(client) for _ in range(3)]

    assert [answer.get("error") for answer in answers] == ["internal_error", "ratelimited", None]
    assert rule.used == 2
    assert len(slack.sent()) == 1
    assert slack.problems == []


async def test_a_fault_may_stay_until_it_is_stopped(slack, client):
    rule = slack.fail("*", SlackError("invalid_auth"), times=None)
    first, second = await post(client), await client.call("auth.test")
    rule.stop()

    assert [first["error"], second["error"]] == ["invalid_auth", "invalid_auth"]
    assert (await post(client))["ok"]


async def test_a_fault_may_choose_its_calls(slack, client):
    slack.fail("chat.postMessage", SlackError("fatal_error"), when=lambda c: c.channel == "C2")

    assert (await post(client, "C1"))["ok"]
    assert (await post(client, "C2"))["error"] == "fatal_error"


async def test_faults_can_be_forgotten(slack, client):
    slack.fail("*", SlackError("fatal_error"), times=None)
    slack.forget_faults()

    assert (await post(client))["ok"]


@pytest.mark.parametrize(("accepted", "count"), [(True, 1), (False, 0)])
async def test_a_dropped_call_took_effect_or_not(slack, client, accepted, count):
    slack.fail("chat.postMessage", Drop(accepted=accepted))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await post(client)

    assert len(slack.sent()) == count
    assert [call.status for call in slack.calls] == [None]


@pytest.mark.parametrize(("accepted", "count"), [(True, 1), (False, 0)])
async def test_a_hanging_call_took_effect_or_not(slack, client, accepted, count):
    slack.fail("chat.postMessage", Hang(accepted=accepted))
    posting = asyncio.create_task(post(client))

    await slack.wait_until(
        lambda: bool(slack.calls_of("chat.postMessage")) and len(slack.sent()) == count
    )
    assert not posting.done()
    posting.cancel()


async def test_a_slow_call_takes_effect_at_once(slack, client):
    slack.fail("chat.postMessage", Slow(0.2))
    start = time.monotonic()
    posting = asyncio.create_task(post(client))
    await slack.wait_for_sent(1)
    assert not posting.done()
    assert (await posting)["ok"]

    assert time.monotonic() - start >= 0.2


async def test_an_answer_can_be_garbled_after_the_post(slack, client):
    slack.fail("chat.postMessage", Garbled(status=200))
    with pytest.raises(json.JSONDecodeError):
        await post(client)

    assert len(slack.sent()) == 1


async def test_an_error_page_is_no_answer_of_slack(slack, client):
    slack.fail("chat.postMessage", HtmlError(503))
    with pytest.raises(aiohttp.ContentTypeError):
        await post(client)

    assert slack.sent() == []
    assert slack.calls[0].status == 503


async def test_other_addresses_can_fail_too(slack, client):
    [file] = slack.post_file("C1", "U1")["event"]["files"]
    slack.fail("download", HtmlError(500))
    async with client.session.get(file["url_private"], headers=client.headers) as response:
        assert response.status == 500


async def test_a_429_says_how_long_and_who_does_not_wait_is_early(slack, client):
    slack.fail("chat.postMessage", rate_limited(60))
    url = f"{slack.api_url}chat.postMessage"
    document = {"channel": "C1", "text": "a"}
    async with client.session.post(url, json=document, headers=client.headers) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "60")
    await post(client, "C2")
    await client.ok("auth.test")
    await post(client, "C1")

    [early] = slack.early
    assert early.startswith("chat.postMessage to C1 came ")


async def test_a_channel_takes_a_short_burst_and_no_more():
    rates = SlackRates(per_channel=Window(3, 60))
    async with SlackServer(rates=rates, echo=False) as slack, client_of(slack) as client:
        slack.channel("C1")
        slack.channel("C2")
        passed = [(await post(client))["ok"] for _ in range(4)]
        elsewhere = await post(client, "C2")

    assert passed == [True, True, True, False]
    assert elsewhere["ok"]


async def test_other_methods_are_limited_each_for_itself_by_tier():
    rates = SlackRates(tiers={2: Window(9, 1), 3: Window(1, 60), 4: Window(9, 1)})
    async with SlackServer(rates=rates, echo=False) as slack, client_of(slack) as client:
        slack.post_message("C1", "U1", "hello")
        await client.ok("conversations.history", channel="C1")

        assert await client.error("conversations.history", channel="C1") == "ratelimited"
        await client.ok("conversations.info", channel="C1")


async def test_calls_can_be_waited_for(slack, client):
    posting = asyncio.create_task(post(client))
    [call] = await slack.wait_for_calls("chat.postMessage")
    await posting

    assert (call.channel, call.text, call.team) == ("C1", "hello", slack.workspace.id)
    with pytest.raises(TimeoutError, match="1 of 2 calls"):
        await slack.wait_for_calls("chat.postMessage", 2, timeout_s=0.01)


async def test_it_runs_as_a_process_of_its_own():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "gateway.testing.slack.server", "--user", "U5"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(20):
        secrets = json.loads(await process.stdout.readline())
        process.stdin.write(b"hello\n")
        await process.stdin.drain()
        headers = {"Authorization": f"Bearer {secrets['bot_token']}"}
        url = f"{secrets['api_url']}chat.postMessage"
        async with aiohttp.ClientSession(headers=headers) as session:
            answer = {"error": "channel_not_found"}
            while answer.get("error") == "channel_not_found":
                async with session.post(url, json={"channel": "D5", "text": "Hi"}) as response:
                    answer = await response.json()
        line = json.loads(await process.stdout.readline())
        process.terminate()
        await process.wait()

    assert (line["channel"], line["text"]) == ("D5", "Hi")
