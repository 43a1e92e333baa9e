"""Socket Mode over real WebSockets: acknowledged after the commit, and never silent for long."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.slack.socket_mode import SocketTimes
from gateway.contract import HealthState
from gateway.errors import Unavailable
from gateway.testing.host import FakeHost
from gateway.testing.misbehaviour import Garbled
from gateway.testing.slack.deliveries import EventRetry
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.slack.faults import SlackError, rate_limited
from tests.channels.slack.running import (
    QUICK_RETRY,
    channel_for,
    socketed,
)

BUSY = Unavailable("busy", retry_after_s=1)


def words(running: Any) -> list[str]:
    """The texts that were heard, each once."""
    return list(dict.fromkeys(running.host.texts))


@pytest.mark.proves("SL-10")
async def test_sl_10_the_socket_is_opened_with_the_app_token_and_used_once():
    async with socketed() as running:
        [call] = running.slack.calls_of("apps.connections.open")

        assert call.token == running.slack.app_token
        assert call.headers["authorization"] == f"Bearer {running.slack.app_token}"
        assert call.params == {}
        assert running.slack.problems == []


@pytest.mark.proves("SL-10")
@pytest.mark.parametrize("error", ["invalid_auth", "not_allowed_token_type", "missing_scope"])
async def test_sl_10_a_refused_app_token_stops_hearing_with_its_reason(error):
    async with SlackServer() as slack:
        slack.fail("apps.connections.open", SlackError(error), times=None)
        async with socketed(nullcontext(slack), waits=False) as running:
            await running.host.until_state("stopped", error)

            assert len(slack.calls_of("apps.connections.open")) == 1


@pytest.mark.proves("SL-11", "C-1")
async def test_sl_11_c_1_an_envelope_is_acknowledged_only_when_it_is_stored():
    async with socketed() as running:
        running.host.failures = [BUSY] * 3
        running.slack.post_message("D1", "U1", "hello")
        await running.host.until(lambda: running.host.refused == 1)
        assert [connection.acknowledged for connection in running.slack.sockets.live] == [[]]

        await running.slack.wait_until_acknowledged()
        assert running.host.texts == ["hello"]


@pytest.mark.proves("SL-11")
async def test_sl_11_what_could_not_be_stored_in_time_comes_again():
    async with socketed(SlackServer(retry=EventRetry(scale=0.001))) as running:
        running.host.failures = [BUSY] * 5
        running.slack.post_message("D1", "U1", "hello")
        await running.slack.wait_until_acknowledged(timeout_s=20)

        [first, second] = running.slack.attempts
        assert (first.failure, second.failure) == ("timeout", "")
        assert running.host.texts == ["hello"]


@pytest.mark.proves("SL-11")
async def test_sl_11_an_error_nobody_expected_leaves_the_connection_hearing():
    async with socketed(host=Stumbling()) as running:
        running.slack.post_event({"type": "team_join"})
        running.slack.post_message("D1", "U1", "hello")
        await running.slack.wait_until_acknowledged(timeout_s=20)

        assert running.host.texts == ["hello"]
        assert len(running.slack.calls_of("apps.connections.open")) == 1


@pytest.mark.proves("SL-11", "SL-25")
async def test_sl_11_every_kind_of_envelope_is_acknowledged_without_a_payload():
    async with socketed() as running:
        running.slack.post_message("D1", "U1", "hello")
        running.slack.command("D1", "U1", "/new")
        running.slack.post_event({"type": "invention_of_tomorrow"})
        await running.slack.wait_until_acknowledged()

        assert {attempt.body for attempt in running.slack.attempts} == {""}
        assert running.slack.problems == []


@pytest.mark.proves("SL-11", "C-9")
@pytest.mark.parametrize(
    "frame",
    [
        {"type": "invention", "envelope_id": "e1", "payload": {}},
        {"type": "events_api", "envelope_id": "e1", "payload": 7},
        {"type": "events_api", "payload": {}},
        {"envelope_id": 7},
        {},
    ],
    ids=range(5),
)
async def test_sl_11_c_9_frames_of_no_known_kind_do_no_harm(frame):
    async with socketed() as running:
        [connection] = running.slack.sockets.live
        await connection.send(frame)
        await connection.socket.send_str("{nonsense")
        await connection.socket.send_bytes(b"\x00")
        running.slack.post_message("D1", "U1", "hello")
        await running.slack.wait_until_acknowledged()

        assert running.host.texts == ["hello"]


@pytest.mark.proves("SL-7", "C-5")
async def test_sl_7_c_5_the_envelopes_of_a_connection_are_taken_in_order():
    async with socketed() as running:
        said = [f"number {number}" for number in range(60)]
        for text in said:
            running.slack.post_message("D1", "U1", text)
        await running.slack.wait_until_acknowledged()

        assert running.host.texts == said


@pytest.mark.proves("SL-7")
async def test_sl_7_what_waits_for_the_store_goes_before_what_comes_later():
    async with socketed() as running:
        running.host.failures = [BUSY, BUSY]
        for number in range(3):
            running.slack.post_message("D1", "U1", f"number {number}")
        await running.slack.wait_until_acknowledged()

        assert running.host.texts == ["number 0", "number 1", "number 2"]


@pytest.mark.proves("SL-12")
@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_sl_12_the_next_connection_is_there_before_the_old_one_ends(reason):
    async with socketed() as running:
        slack = running.slack
        await slack.sockets.disconnect(reason, close_after_s=0.3)
        await slack.wait_for_sockets(2)
        assert [connection.is_draining for connection in slack.sockets.live] == [True, False]

        slack.post_message("D1", "U1", "meanwhile")
        await slack.wait_until_acknowledged()
        await slack.wait_until(lambda: len(slack.sockets.live) == 1)
        slack.post_message("D1", "U1", "afterwards")
        await slack.wait_until_acknowledged()

        assert running.host.texts == ["meanwhile", "afterwards"]
        assert [state for state, _ in running.host.states if state != "connected"] == []


@pytest.mark.proves("SL-12")
async def test_sl_12_the_old_connection_still_hears_while_it_drains():
    async with socketed() as running:
        slack = running.slack
        slack.hold_events()
        slack.post_message("D1", "U1", "on its way")
        [old] = slack.sockets.live
        await old.send({"type": "disconnect", "reason": "warning"})
        slack.release_events()
        await slack.wait_until_acknowledged()

        assert len(old.acknowledged) == 1


@pytest.mark.proves("SL-12")
async def test_sl_12_a_switched_off_socket_mode_stops_with_an_alarm():
    async with socketed() as running:
        await running.slack.sockets.disconnect("link_disabled", close_after_s=0)
        await running.host.until_state("stopped", "switched off")

        assert len(running.slack.calls_of("apps.connections.open")) == 1


@pytest.mark.proves("SL-12")
async def test_sl_12_too_many_sockets_are_waited_for():
    times = SocketTimes(silent_s=0.4, first_pause_s=0.01, longest_pause_s=0.02, crowded_s=0.3)
    async with (
        SlackServer() as slack,
        socketed(nullcontext(slack), times=times, waits=False) as running,
    ):
        await slack.wait_for_sockets()
        [connection] = slack.sockets.live
        await connection.send({"type": "disconnect", "reason": "too_many_websockets"})
        await running.host.until_state("degraded", "over 10 sockets")
        assert len(slack.calls_of("apps.connections.open")) == 1

        await slack.wait_for_sockets(2)
        first, second = slack.calls_of("apps.connections.open")
        assert second.at - first.at >= 0.3


@pytest.mark.proves("SL-12")
async def test_sl_12_a_cut_connection_is_replaced_and_nothing_is_lost():
    async with socketed() as running:
        for number in range(5):
            running.slack.post_message("D1", "U1", f"number {number}")
            running.slack.sockets.cut()
        await running.slack.wait_until_acknowledged()

        assert sorted(words(running)) == [f"number {number}" for number in range(5)]


async def test_a_connection_that_fell_silent_is_found_out_and_replaced():
    async with socketed() as running:
        running.slack.sockets.stall()
        running.slack.post_message("D1", "U1", "are you there?")
        await running.slack.wait_until_acknowledged(timeout_s=15)

        assert running.host.texts == ["are you there?"]
        assert running.slack.sockets.opened >= 2


async def test_a_quiet_connection_is_left_alone():
    async with socketed() as running:
        [connection] = running.slack.sockets.live
        await running.slack.wait_until(lambda: connection.pings == 3)

        assert running.slack.sockets.live == [connection]


async def test_slack_that_is_away_shows_in_the_health_until_it_is_back():
    async with SlackServer() as slack:
        rule = slack.fail("apps.connections.open", SlackError("internal_error"), times=None)
        async with socketed(nullcontext(slack), waits=False) as running:
            await running.host.until_state("degraded", "internal_error")
            rule.stop()
            await slack.wait_for_sockets()
            await running.host.until(lambda: running.host.states[-1][0] == "connected")


async def test_it_does_not_ask_before_slack_wants_to_be_asked_again():
    async with SlackServer() as slack:
        slack.fail("apps.connections.open", rate_limited(1))
        async with socketed(nullcontext(slack), waits=False):
            await slack.wait_for_sockets()

        assert slack.early == []


@pytest.mark.proves("SL-13")
async def test_sl_13_several_connections_share_what_comes():
    async with (
        SlackServer(retry=QUICK_RETRY) as slack,
        socketed(nullcontext(slack)) as one,
        socketed(nullcontext(slack)) as other,
    ):
        await slack.wait_for_sockets(2)
        for number in range(10):
            slack.post_message("D1", "U1", f"number {number}")
        await slack.wait_until_acknowledged()

        heard = [*one.host.inbound, *other.host.inbound]
        assert len({message.external_id for message in heard}) == 10
        assert one.host.inbound
        assert other.host.inbound
        assert {message.account for message in heard} == {slack.workspace.id}


@pytest.mark.proves("SL-14")
async def test_sl_14_an_app_hears_one_way_or_the_other():
    async with SlackServer() as slack:
        by_socket = channel_for(slack, receive="socket")
        by_http = channel_for(slack, receive="events")

    assert by_socket.routes() == []
    assert [route.path for route in by_http.routes()] == [
        "/hooks/slack/events",
        "/hooks/slack/interactivity",
        "/hooks/slack/commands",
    ]


class Broken(FakeHost):
    """A gateway with a bug."""

    def health(self, state: HealthState, *, reason: str | None = None) -> None:
        if state == "degraded":
            raise RuntimeError("a bug")


class Stumbling(FakeHost):
    """A gateway with a bug that shows once."""

    has_stumbled = False

    def ignored(self, kind: str) -> None:
        if not self.has_stumbled:
            self.has_stumbled = True
            raise RuntimeError("a bug")


@pytest.mark.parametrize("url", ["", None, "no address", "http://127.0.0.1:1/"], ids=repr)
async def test_an_address_that_cannot_be_used_is_asked_for_again(url):
    async with SlackServer() as slack:
        slack.fail("apps.connections.open", Garbled(json.dumps({"ok": True, "url": url}), 200))
        async with socketed(nullcontext(slack), waits=False) as running:
            await running.host.until_state("degraded", "no socket to Slack")
            await slack.wait_for_sockets()


async def test_an_error_nobody_expected_ends_hearing_so_that_it_begins_anew():
    async with SlackServer() as slack:
        slack.fail("apps.connections.open", SlackError("internal_error"), times=None)
        with pytest.raises(ExceptionGroup) as caught:
            async with socketed(nullcontext(slack), host=Broken(), waits=False):
                await asyncio.Event().wait()

    assert caught.group_contains(RuntimeError, match="a bug")


@pytest.mark.proves("SL-12")
async def test_sl_12_a_socket_mode_that_is_switched_off_already_stops_at_once():
    async with SlackServer() as slack:
        slack.sockets.is_enabled = False
        async with socketed(nullcontext(slack), waits=False) as running:
            await running.host.until_state("stopped", "switched off")


async def test_a_socket_that_says_nothing_is_given_up_and_another_one_opened():
    times = SocketTimes(first_pause_s=0.01, longest_pause_s=0.02, hello_s=0.1)
    async with SlackServer() as slack, mute() as url:
        answer = Garbled(json.dumps({"ok": True, "url": url}), 200)
        slack.fail("apps.connections.open", answer)
        async with socketed(nullcontext(slack), times=times, waits=False) as running:
            await running.host.until_state("degraded", "did not say hello")
            await slack.wait_for_sockets()


@asynccontextmanager
async def mute() -> AsyncIterator[str]:
    """A WebSocket that takes whoever comes and never says a word."""

    async def take(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        return socket

    app = web.Application()
    app.add_routes([web.get("/", take)])
    async with TestServer(app) as server:
        yield str(server.make_url("/")).replace("http", "ws", 1)
