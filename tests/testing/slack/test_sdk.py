"""slack_sdk and slack_bolt take the fake for the real Slack."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.models.metadata import Metadata
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from gateway.testing import SlackServer, rate_limited
from tests.testing.slack.app import official_client_of


@pytest.fixture
async def slack():
    async with SlackServer(echo=False) as server:
        yield server


async def test_the_client_knows_itself(slack):
    async with official_client_of(slack) as client:
        me = await client.auth_test()

    assert (me["team_id"], me["user_id"]) == (slack.workspace.id, slack.workspace.bot_user)


async def test_a_posted_message_is_found_by_its_metadata(slack):
    slack.channel("C1")
    async with official_client_of(slack) as client:
        posted = await client.chat_postMessage(
            channel="C1",
            markdown_text="**Good** morning.",
            metadata=Metadata(event_type="reply", event_payload={"outbox_id": "o1"}),
            unfurl_links=False,
        )
        found = await client.conversations_history(channel="C1", include_all_metadata=True)

    assert found["messages"][0]["ts"] == posted["ts"]
    assert found["messages"][0]["metadata"]["event_payload"] == {"outbox_id": "o1"}
    assert slack.problems == []


async def test_a_message_is_updated_and_deleted(slack):
    slack.channel("C1")
    async with official_client_of(slack) as client:
        posted = await client.chat_postMessage(channel="C1", text="One")
        await client.chat_update(channel="C1", ts=posted["ts"], text="Two")
        [standing] = slack.sent("C1")
        await client.chat_delete(channel="C1", ts=posted["ts"])

    assert (standing.text, standing.edits) == ("Two", ("One",))
    assert slack.sent("C1") == []
    assert slack.problems == []


async def test_the_cursor_leads_through_the_whole_history(slack):
    for number in range(7):
        slack.post_message("C1", "U1", str(number))
    async with official_client_of(slack) as client:
        pages = [
            [message["text"] for message in page["messages"]]
            async for page in await client.conversations_history(channel="C1", limit=3)
        ]

    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


async def test_a_stream_grows_into_one_message(slack):
    asked = slack.post_message("C1", "U1", "Tell me")["event"]
    async with official_client_of(slack) as client:
        stream = await client.chat_stream(
            channel="C1",
            thread_ts=asked["ts"],
            recipient_team_id=slack.workspace.id,
            recipient_user_id="U1",
            buffer_size=1,
        )
        await stream.append(markdown_text="Good ")
        [growing] = slack.sent("C1")
        await stream.append(markdown_text="morn")
        await stream.stop(markdown_text="ing.")

    [reply] = await slack.wait_for_sent(1)
    assert (growing.text, growing.is_streaming) == ("Good ", True)
    assert (reply.text, reply.is_streaming, reply.edits) == ("Good morning.", False, ())
    assert reply.thread_ts == asked["ts"]
    assert slack.problems == []


async def test_a_file_is_uploaded_into_a_thread(slack):
    asked = slack.post_message("D1", "U1", "Send it")["event"]
    async with official_client_of(slack) as client:
        await client.files_upload_v2(
            content="a,b\n1,2\n",
            filename="table.csv",
            channel="D1",
            thread_ts=asked["ts"],
            initial_comment="Here",
        )

    [share] = slack.sent("D1")
    assert (share.text, share.thread_ts) == ("Here", asked["ts"])
    assert share.files[0]["name"] == "table.csv"
    assert slack.problems == []


async def test_a_refusal_is_an_error_of_the_client(slack):
    async with official_client_of(slack) as client:
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel="C404", text="Hello")

    assert caught.value.response["error"] == "channel_not_found"


async def test_the_client_waits_as_long_as_a_429_says(slack):
    slack.channel("C1")
    slack.fail("chat.postMessage", rate_limited(1))
    async with official_client_of(slack, retries=1) as client:
        await client.chat_postMessage(channel="C1", text="Hello")

    refused, passed = slack.calls_of("chat.postMessage")
    assert refused.status == 429
    assert passed.at - refused.at >= 1
    assert slack.early == []


async def test_the_webhook_client_answers_a_response_url(slack):
    pressed = slack.command("C1", "U1", "/ask", "what")
    webhook = AsyncWebhookClient(pressed["response_url"])

    answer = await webhook.send(text="This")

    assert (answer.status_code, answer.body) == (200, "ok")
    assert [(shown.user, shown.text) for shown in slack.ephemerals] == [("U1", "This")]


@asynccontextmanager
async def socket_client_of(slack, *, acknowledge=True):
    """The official Socket Mode client and what it got."""
    got = []

    async def listen(client, request):
        got.append(request)
        if acknowledge:
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))

    client = SocketModeClient(
        app_token=slack.app_token,
        web_client=AsyncWebClient(token=slack.app_token, base_url=slack.api_url),
        ping_interval=0.1,
    )
    client.socket_mode_request_listeners.append(listen)
    await client.connect()
    try:
        yield got
    finally:
        await client.close()


async def test_socket_mode_carries_events_and_interactions(slack):
    async with socket_client_of(slack) as got:
        slack.mention("C1", "U1", "hello")
        slack.command("C1", "U1", "/ask")
        await slack.wait_until_acknowledged()

    assert sorted(request.type for request in got) == ["events_api", "events_api", "slash_commands"]
    assert slack.problems == []


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_the_socket_client_reconnects_when_it_is_told_to(slack, reason):
    async with socket_client_of(slack) as got:
        await slack.sockets.disconnect(reason, close_after_s=5)
        await slack.wait_until(lambda: slack.sockets.opened >= 2)
        slack.post_message("D1", "U1", "hello")
        await slack.wait_until_acknowledged()

    assert [request.payload["event"]["text"] for request in got] == ["hello"]


async def test_the_socket_client_reconnects_after_an_abrupt_end(slack):
    async with socket_client_of(slack) as got:
        slack.sockets.cut()
        slack.post_message("D1", "U1", "hello")
        await slack.wait_until_acknowledged(timeout_s=10)

    assert [request.payload["event"]["text"] for request in got] == ["hello"]


async def test_the_socket_client_leaves_a_silent_connection(slack):
    async with socket_client_of(slack) as got:
        slack.sockets.stall()
        await slack.wait_until(lambda: slack.sockets.opened >= 2, timeout_s=10)
        slack.post_message("D1", "U1", "hello")
        await slack.wait_until_acknowledged(timeout_s=10)

    assert [request.payload["event"]["text"] for request in got] == ["hello"]


async def test_bolt_accepts_what_is_signed(slack):
    said: asyncio.Queue[str] = asyncio.Queue()
    app = AsyncApp(
        signing_secret=slack.signing_secret,
        client=AsyncWebClient(token=slack.bot_token, base_url=slack.api_url),
        process_before_response=True,
    )

    @app.event("message")
    async def listen(event):
        await said.put(event["text"])

    @app.command("/ask")
    async def answer(ack, command):
        await ack(f"{command['text']}?")

    async def serve(request: web.Request) -> web.Response:
        response = await app.async_dispatch(await to_bolt_request(request))
        return await to_aiohttp_response(response)

    site = web.Application()
    site.router.add_post("/slack", serve)
    async with TestServer(site) as server:
        slack.deliver_to(str(server.make_url("/slack")))
        assert await slack.verify_url()
        slack.post_message("D1", "U1", "hé")
        slack.command("D1", "U1", "/ask", "why")
        await slack.wait_until_acknowledged()

    assert said.get_nowait() == "hé"
    assert "why?" in [attempt.body for attempt in slack.attempts]
