"""Socket Mode of the fake Slack, seen without any library in between."""

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from gateway.testing import EventRetry, SlackServer
from tests.testing.slack.app import client_of

PATIENT = EventRetry(scale=0.0001, answer_within_s=20)
HASTY = EventRetry(scale=0.0001, answer_within_s=0.1)


@pytest.fixture
async def slack():
    async with SlackServer(retry=PATIENT, echo=False) as server:
        yield server


@pytest.fixture
async def hasty():
    """A Slack that does not wait long for an acknowledgement."""
    async with SlackServer(retry=HASTY, echo=False) as server:
        yield server


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


class Socket:
    """One connection of an app."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def read(self) -> dict:
        return json.loads((await self.socket.receive(timeout=5)).data)

    async def acknowledge(self, envelope: dict, **more) -> None:
        await self.socket.send_json({"envelope_id": envelope["envelope_id"], **more})


async def address(slack) -> str:
    async with client_of(slack, slack.app_token) as client:
        return (await client.ok("apps.connections.open"))["url"]


@asynccontextmanager
async def connected(slack, session):
    """A connection that was greeted."""
    async with session.ws_connect(await address(slack), timeout=quick_close()) as socket:
        connection = Socket(socket)
        hello = await connection.read()
        assert hello["type"] == "hello"
        yield connection


def quick_close() -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_close=0.1)


async def test_hello_tells_how_many_connections_there_are(slack, session):
    async with (
        connected(slack, session),
        session.ws_connect(await address(slack)) as second,
    ):
        hello = await Socket(second).read()

    assert hello["num_connections"] == 2
    assert hello["debug_info"]["approximate_connection_time"] > 0


async def test_an_address_works_once(slack, session):
    used = await address(slack)
    async with session.ws_connect(used):
        pass

    with pytest.raises(aiohttp.WSServerHandshakeError):
        await session.ws_connect(used)
    assert slack.problems == ["socket: a WebSocket address was used twice, or never given out"]


@pytest.mark.parametrize(
    ("kind", "error"),
    [("bot", "not_allowed_token_type"), ("wrong", "invalid_auth"), ("none", "not_authed")],
)
async def test_only_the_app_token_opens_connections(slack, kind, error):
    token = {"bot": slack.bot_token, "wrong": "xapp-wrong", "none": ""}[kind]
    async with client_of(slack, token) as client:
        assert await client.error("apps.connections.open") == error


async def test_an_event_is_an_envelope_until_it_is_acknowledged(slack, session):
    async with connected(slack, session) as socket:
        told = slack.post_message("D1", "U1", "hello")
        envelope = await socket.read()
        assert len(slack.pending) == 1
        await socket.acknowledge(envelope)
        await slack.wait_until_acknowledged()

    assert envelope == {
        "envelope_id": envelope["envelope_id"],
        "type": "events_api",
        "accepts_response_payload": False,
        "payload": told,
        "retry_attempt": 0,
        "retry_reason": "",
    }


async def test_what_is_not_acknowledged_in_time_comes_again(hasty, session):
    async with connected(hasty, session) as socket:
        hasty.post_message("D1", "U1", "hello")
        first = await socket.read()
        second = await socket.read()
        await socket.acknowledge(second)
        await hasty.wait_until_acknowledged()

    assert (second["retry_attempt"], second["retry_reason"]) == (1, "timeout")
    assert first["payload"] == second["payload"]
    assert first["envelope_id"] != second["envelope_id"]


async def test_what_is_never_acknowledged_is_given_up_after_four_tries(hasty, session):
    async with connected(hasty, session) as socket:
        hasty.post_message("D1", "U1", "hello")
        tries = [await socket.read() for _ in range(4)]
        await hasty.wait_until_acknowledged()

    assert [envelope["retry_attempt"] for envelope in tries] == [0, 1, 2, 3]
    assert len(hasty.given_up) == 1


async def test_each_envelope_goes_to_one_connection_in_turn(slack, session):
    async with connected(slack, session) as one, connected(slack, session) as two:
        for text in ("a", "b"):
            slack.post_message("D1", "U1", text)
        texts = {(await socket.read())["payload"]["event"]["text"] for socket in (one, two)}

    assert texts == {"a", "b"}


async def test_the_retry_goes_to_another_connection(hasty, session):
    async with connected(hasty, session) as one, connected(hasty, session) as two:
        hasty.post_message("D1", "U1", "hello")
        await hasty.wait_until(lambda: len(hasty.attempts) == 1)
        first, second = await one.read(), await two.read()
        await one.acknowledge(first)
        await two.acknowledge(second)
        await hasty.wait_until_acknowledged()

    assert {first["retry_attempt"], second["retry_attempt"]} == {0, 1}


async def test_a_cut_connection_hands_its_envelopes_to_the_next(slack, session):
    async with connected(slack, session) as socket:
        told = slack.post_message("D1", "U1", "hello")
        await socket.read()
        assert slack.sockets.cut() == 1
        async with connected(slack, session) as fresh:
            envelope = await fresh.read()
            await fresh.acknowledge(envelope)
            await slack.wait_until_acknowledged()

    assert envelope["payload"] == told
    assert [attempt.failure for attempt in slack.attempts] == ["connection_failed", ""]


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_a_connection_that_is_to_go_is_closed_later_and_gets_nothing_new(
    slack, session, reason
):
    async with connected(slack, session) as old:
        await slack.sockets.disconnect(reason, close_after_s=0.2)
        goodbye = await old.read()
        async with connected(slack, session) as new:
            slack.post_message("D1", "U1", "hello")
            envelope = await new.read()
            await new.acknowledge(envelope)
            end = await old.socket.receive(timeout=5)

    assert (goodbye["type"], goodbye["reason"]) == ("disconnect", reason)
    assert end.type is aiohttp.WSMsgType.CLOSE


async def test_a_draining_connection_may_still_acknowledge(slack, session):
    async with connected(slack, session) as socket:
        slack.post_message("D1", "U1", "hello")
        envelope = await socket.read()
        await slack.sockets.disconnect("refresh_requested", close_after_s=5)
        await socket.acknowledge(envelope)
        await slack.wait_until_acknowledged()

    assert [attempt.is_success for attempt in slack.attempts] == [True]


async def test_switched_off_socket_mode_opens_no_connection(slack, session):
    async with connected(slack, session) as socket, client_of(slack, slack.app_token) as client:
        await slack.sockets.disconnect("link_disabled", close_after_s=0)

        assert (await socket.read())["reason"] == "link_disabled"
        assert await client.error("apps.connections.open") == "socket_mode_disabled"


async def test_the_eleventh_connection_is_one_too_many(slack, session):
    sockets = [await session.ws_connect(await address(slack)) for _ in range(10)]
    await slack.wait_for_sockets(10)
    async with session.ws_connect(await address(slack)) as eleventh:
        refusal = await Socket(eleventh).read()
    for socket in sockets:
        await socket.close()

    assert (refusal["type"], refusal["reason"]) == ("disconnect", "too_many_websockets")


async def test_a_stalled_connection_answers_no_ping_and_gets_nothing(slack, session):
    async with session.ws_connect(
        await address(slack), heartbeat=0.2, timeout=quick_close()
    ) as socket:
        await Socket(socket).read()
        slack.sockets.stall()
        slack.post_message("D1", "U1", "hello")
        end = await socket.receive(timeout=5)

    assert end.type in {aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED}


async def test_a_healthy_connection_answers_pings(slack, session):
    async with session.ws_connect(await address(slack), autoping=False) as socket:
        await Socket(socket).read()
        await socket.ping(b"are you there")
        pong = await socket.receive(timeout=5)

    assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"are you there")


async def test_an_interaction_may_be_answered_in_its_acknowledgement(slack, session):
    async with connected(slack, session) as socket:
        slack.command("D1", "U1", "/ask")
        envelope = await socket.read()
        await socket.acknowledge(envelope, payload={"text": "yes"})
        await slack.wait_until_acknowledged()

    assert (envelope["type"], envelope["accepts_response_payload"]) == ("slash_commands", True)
    assert slack.attempts[0].body == '{"text": "yes"}'
    assert slack.problems == []


async def test_a_click_that_was_lost_does_not_come_again(hasty, session):
    async with connected(hasty, session):
        hasty.command("D1", "U1", "/ask")
        await hasty.wait_until_acknowledged()

    assert len(hasty.attempts) == len(hasty.given_up) == 1


async def test_wrong_answers_are_problems(slack, session):
    async with connected(slack, session) as socket:
        slack.post_message("D1", "U1", "hello")
        envelope = await socket.read()
        await socket.socket.send_str("pong")
        await socket.socket.send_json({"envelope_id": "nobody's"})
        await socket.acknowledge(envelope, payload={"text": "no"})
        await slack.wait_until_acknowledged()

    assert slack.problems == [
        "socket: an answer to no envelope: pong",
        'socket: an answer to no envelope: {"envelope_id": "nobody\'s"}',
        "socket: a payload in the answer to an event, which accepts none",
    ]


async def test_a_frame_that_is_not_text_is_a_problem(slack, session):
    async with connected(slack, session) as socket:
        await socket.socket.send_bytes(b"{}")
        await slack.wait_until(lambda: bool(slack.problems) or not slack.sockets.live)

    assert slack.problems == ["socket: a frame that is not text"]


async def test_nothing_is_lost_while_connections_are_cut_again_and_again(session):
    seen: dict[str, int] = {}

    async def stay_connected(slack):
        while True:
            with contextlib.suppress(aiohttp.ClientError, TypeError):
                async with connected(slack, session) as socket:
                    while True:
                        envelope = await socket.read()
                        event_id = envelope["payload"]["event_id"]
                        seen[event_id] = seen.get(event_id, 0) + 1
                        await socket.acknowledge(envelope)

    async with SlackServer(retry=PATIENT, echo=False) as slack:
        app = asyncio.create_task(stay_connected(slack))
        told = []
        for round_number in range(5):
            await slack.wait_for_sockets()
            told += [slack.post_message("D1", "U1", f"{round_number}.{n}") for n in range(20)]
            slack.redeliver(told[-1])
            slack.sockets.cut()
        await slack.wait_until_acknowledged(timeout_s=20)
        app.cancel()
        await asyncio.gather(app, return_exceptions=True)

    assert sorted(seen) == [event["event_id"] for event in told]
    assert slack.given_up == []


async def test_what_happens_without_a_connection_waits_for_one(slack, session):
    told = slack.post_message("D1", "U1", "early")
    async with connected(slack, session) as socket:
        envelope = await socket.read()

    assert envelope["payload"] == told
