"""Several workspaces: installed by OAuth, tokens that rotate, workspaces that leave."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from structlog.testing import capture_logs

from channels.slack.api import SlackApi
from channels.slack.installations import RENEW_BEFORE_S, Installation, Installations
from channels.slack.installing import STATE_LIVES_S, States
from gateway.contract import Json, OutboundMessage
from gateway.errors import DeliveryLater, DeliveryRefused, StoreError
from gateway.testing.host import FakeHost
from gateway.testing.misbehaviour import Garbled
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.slack.faults import SlackError
from tests.channels.slack.running import (
    QUICK_RETRY,
    Running,
    by_oauth,
    channel_for,
    hooked,
    served,
)

TEAM = "T0FAKETEAM"


class Stumbling(FakeHost):
    """A gateway whose notes cannot be reached while it `stumbles`, or only not be written."""

    stumbles = False
    is_read_only = False

    async def note(self, key: str) -> Json | None:
        self._check()
        return await super().note(key)

    async def keep_note(self, key: str, value: Json | None, *, is_secret: bool = False) -> None:
        self._check()
        if self.is_read_only:
            raise StoreError("read only")
        await super().keep_note(key, value, is_secret=is_secret)

    def _check(self) -> None:
        if self.stumbles:
            raise StoreError("disk full")


@asynccontextmanager
async def open_to_all(
    *, rotates: bool = False, host: FakeHost | None = None, **changed: Any
) -> AsyncIterator[Running]:
    """An app that can be installed, and is in no workspace yet."""
    slack = SlackServer(retry=QUICK_RETRY, rotates=rotates)
    async with hooked(slack, host=host, oauth=True, **changed) as running:
        yield running


@asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody's browser; it keeps cookies and follows nothing by itself."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        yield client


async def asked(client: aiohttp.ClientSession, running: Running) -> dict[str, str]:
    """What the install page asks of Slack."""
    async with client.get(f"{running.url}/install", allow_redirects=False) as answer:
        assert answer.status == 302
        query = parse_qs(urlsplit(answer.headers["Location"]).query)
        return {name: values[0] for name, values in query.items()}


async def returned(client: aiohttp.ClientSession, running: Running, **query: str) -> int:
    """The browser comes back from Slack; gives what it is answered."""
    async with client.get(f"{running.url}/oauth", params=query) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status


async def install(running: Running, *, team: str = TEAM) -> int:
    """Somebody lets the app into their workspace."""
    async with browser() as client:
        query = await asked(client, running)
        code = running.slack.approve("U1", team=team, redirect_uri=query["redirect_uri"])
        return await returned(client, running, code=code, state=query["state"])


async def say(running: Running, text: str, *, chat: str = "D1", team: str = TEAM) -> None:
    """The bot says something there."""
    address = replace(running.address(chat), chat=f"{team}:{chat}")
    [part] = running.channel.render(OutboundMessage(address=address, text=text))
    await running.channel.deliver(address, part, delivery_id="dlv_1")


# --- the install page


@pytest.mark.proves("SL-28")
async def test_sl_28_the_install_page_asks_slack_for_what_the_app_needs():
    async with open_to_all(scopes=["chat:write", "im:history"]) as running, browser() as client:
        query = await asked(client, running)

        assert query["client_id"] == running.slack.client_id
        assert query["scope"] == "chat:write,im:history"
        assert query["redirect_uri"] == f"{running.url}/oauth"


@pytest.mark.proves("SL-28")
async def test_sl_28_an_install_is_kept_as_a_secret_and_used_at_once():
    async with open_to_all() as running:
        assert await install(running) == 200

        running.slack.post_message("D1", "U1", "hello")
        [heard] = await running.heard()
        await say(running, "hi")
        assert heard.account == TEAM
        assert [said.text for said in running.slack.sent("D1")] == ["hi"]
        assert running.host.secret_notes == {f"installation:{TEAM}"}
        assert running.slack.problems == []


@pytest.mark.proves("SL-28")
async def test_sl_28_another_process_finds_the_installation():
    host = FakeHost()
    async with open_to_all(host=host) as running:
        await install(running)
        again = channel_for(running.slack, by_oauth(running.slack))
        async with again.connected(host):
            other = Running(again, host, running.slack)
            running.slack.channel("D1", user="U1")
            await say(other, "still here")

        assert [said.text for said in running.slack.sent("D1")] == ["still here"]


@pytest.mark.proves("SL-28")
async def test_sl_28_each_workspace_has_its_own_token():
    async with open_to_all() as running:
        running.slack.add_workspace("T2", installed=False)
        await install(running)
        await install(running, team="T2")
        running.slack.channel("D1", user="U1")
        running.slack.channel("D22", user="U2", team="T2")
        await say(running, "one")
        await say(running, "two", chat="D22", team="T2")

        first, second = running.slack.calls_of("chat.postMessage")
        assert (first.team, second.team) == (TEAM, "T2")
        assert running.slack.problems == []


@pytest.mark.proves("SL-28")
async def test_sl_28_a_state_is_good_once_and_in_its_own_browser():
    async with open_to_all() as running, browser() as client, browser() as stranger:
        query = await asked(client, running)
        code = running.slack.approve("U1", redirect_uri=query["redirect_uri"])
        back = {"code": code, "state": query["state"]}
        assert await returned(stranger, running, **back) == 400
        assert await returned(client, running, **{**back, "state": "made-up"}) == 400
        assert await returned(client, running, **back) == 200
        assert await returned(client, running, **back) == 400

        assert len(running.slack.calls_of("oauth.v2.access")) == 1


@pytest.mark.proves("SL-28")
def test_sl_28_a_state_ends_and_cannot_be_made_by_others():
    now = 1_000_000.0
    states = States(b"key", clock=lambda: now)
    old, fresh = states.new(), states.new()
    foreign = States(b"another key", clock=lambda: now).new()

    assert states.take(fresh, cookie=fresh)
    assert not states.take(fresh, cookie=fresh)
    assert not states.take(foreign, cookie=foreign)
    assert not states.take(old, cookie="")
    for broken in ("", ".", "..", "a.b.c", old[:-1], "x" + old, "ü.1.2"):
        assert not states.take(broken, cookie=broken)
    now += STATE_LIVES_S + 1
    assert not states.take(old, cookie=old)


@pytest.mark.proves("SL-28")
@pytest.mark.parametrize("error", ["access_denied", "<script>"])
async def test_sl_28_somebody_who_says_no_installs_nothing(error):
    async with open_to_all() as running, browser() as client:
        async with client.get(f"{running.url}/oauth", params={"error": error}) as answer:
            assert answer.status == 400
            assert "<script>" not in await answer.text()

        assert running.slack.calls_of("oauth.v2.access") == []


@pytest.mark.proves("SL-28")
async def test_sl_28_a_code_that_slack_does_not_know_installs_nothing():
    async with open_to_all() as running, browser() as client:
        query = await asked(client, running)

        assert await returned(client, running, code="made-up", state=query["state"]) == 502
        assert running.host.notes == {}


@pytest.mark.proves("SL-28")
async def test_sl_28_an_install_that_cannot_be_stored_is_no_install():
    host = Stumbling()
    async with open_to_all(host=host) as running:
        host.is_read_only = True

        assert await install(running) == 503
        assert host.notes == {}


@pytest.mark.proves("SL-28")
async def test_sl_28_an_install_without_a_bots_token_is_no_install():
    async with open_to_all() as running, browser() as client:
        query = await asked(client, running)
        answer = {"ok": True, "token_type": "user", "access_token": "xoxp-1"}
        running.slack.fail("oauth.v2.access", Garbled(json.dumps(answer), 200))

        assert await returned(client, running, code="c", state=query["state"]) == 502
        assert running.host.notes == {}


async def test_a_probe_of_an_app_for_all_tells_where_it_is_installed_from():
    async with open_to_all() as running:
        assert f"{running.url}/install" in await running.channel.probe()


async def test_without_a_connection_nothing_is_installed():
    async with SlackServer() as slack:
        channel = channel_for(slack, by_oauth(slack))
        async with served(channel) as url, browser() as client:
            running = Running(channel, FakeHost(), slack, url)
            query = await asked(client, running)

            assert await returned(client, running, code="c", state=query["state"]) == 503


@pytest.mark.proves("SL-28")
async def test_sl_28_an_app_of_one_workspace_has_no_install_page():
    async with SlackServer() as slack:
        paths = [route.path for route in channel_for(slack).routes()]

    assert not [path for path in paths if path.endswith(("/install", "/oauth"))]


# --- workspaces that the app is not in


@pytest.mark.proves("SL-28")
async def test_sl_28_an_event_without_an_installation_is_acknowledged_and_logged():
    async with open_to_all() as running:
        with capture_logs() as logs:
            running.slack.post_message("D1", "U1", "hello")
            await running.slack.wait_until_acknowledged()

        assert running.host.batches == []
        assert [attempt.status for attempt in running.slack.attempts] == [200]
        [line] = [line for line in logs if line["event"] == "slack_event_without_installation"]
        assert line["teams"] == [TEAM]


@pytest.mark.proves("SL-28")
async def test_sl_28_nothing_is_sent_where_the_app_is_not_installed():
    async with open_to_all() as running:
        with pytest.raises(DeliveryRefused) as caught:
            await say(running, "hi")

        assert caught.value.scope == "address"
        assert running.slack.calls_of("chat.postMessage") == []


@pytest.mark.proves("SL-28")
@pytest.mark.parametrize("leave", ["uninstall", "revoke_tokens"])
async def test_sl_28_a_workspace_that_leaves_is_forgotten(leave):
    async with open_to_all() as running:
        await install(running)
        getattr(running.slack, leave)()
        await running.slack.wait_until_acknowledged()

        assert running.host.notes == {}
        with pytest.raises(DeliveryRefused) as caught:
            await say(running, "hi")
        assert caught.value.scope == "address"


@pytest.mark.proves("SL-28")
async def test_sl_28_it_can_come_back_and_old_news_of_its_leaving_does_not_count():
    async with open_to_all() as running:
        await install(running)
        told = running.slack.uninstall()
        await running.slack.wait_until_acknowledged()
        assert await install(running) == 200
        for event in told:
            old = {**event, "event_time": int(time.time()) - 60}
            await running.slack.post_to_webhook(old)

        running.slack.post_message("D1", "U1", "hello again")
        [heard] = await running.heard()
        assert heard.text == "hello again"


@pytest.mark.proves("SL-28")
async def test_sl_28_the_only_workspace_that_leaves_stops_the_channel_with_its_reason():
    async with hooked() as running:
        running.slack.uninstall()
        await running.slack.wait_until_acknowledged()

        await running.host.until_state("stopped", TEAM)
        with pytest.raises(DeliveryRefused) as caught:
            await say(running, "hi")
        assert caught.value.scope == "account"


@pytest.mark.proves("SL-28")
async def test_sl_28_a_store_that_cannot_forget_asks_for_the_news_again():
    host = Stumbling()
    async with open_to_all(host=host) as running:
        await install(running)
        host.stumbles = True
        running.slack.uninstall()
        await running.slack.wait_until(lambda: bool(running.slack.attempts))
        host.stumbles = False
        await running.slack.wait_until_acknowledged()

        assert running.slack.attempts[0].status == 503
        assert running.host.notes == {}


# --- tokens


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def holding(
    *, rotates: bool = True
) -> AsyncIterator[tuple[SlackServer, Installations, Stumbling, Clock]]:
    """An installation whose token rotates."""
    host, clock = Stumbling(), Clock()
    async with SlackServer(rotates=rotates) as slack, SlackApi(slack.api_url) as api:
        held = Installations(host, api, settings=by_oauth(slack), clock=clock)
        code = slack.approve("U1", redirect_uri="https://x/oauth")
        await held.install(code, redirect_uri="https://x/oauth")
        yield slack, held, host, clock


@pytest.mark.proves("SL-28")
async def test_sl_28_a_token_is_exchanged_before_it_ends_and_kept():
    async with holding() as (slack, held, host, clock):
        first = await held.token(TEAM)
        clock.now += 43_200 - RENEW_BEFORE_S - 10
        assert await held.token(TEAM) == first
        clock.now += 20
        second = await held.token(TEAM)

        assert second != first
        assert slack.workspace.tokens[second] == ""
        assert host.notes[f"installation:{TEAM}"]["token"] == second
        assert host.secret_notes == {f"installation:{TEAM}"}


@pytest.mark.proves("SL-28")
async def test_sl_28_many_who_need_a_token_at_once_exchange_it_once():
    async with holding() as (slack, held, _, clock):
        clock.now += 43_200
        tokens = await asyncio.gather(*(held.token(TEAM) for _ in range(10)))

        assert len(set(tokens)) == 1
        assert len(slack.calls_of("oauth.v2.access")) == 2


@pytest.mark.proves("SL-28")
async def test_sl_28_a_token_that_another_process_exchanged_is_used_and_not_exchanged_again():
    async with holding() as (slack, held, host, clock), SlackApi(slack.api_url) as api:
        other = Installations(host, api, settings=by_oauth(slack), clock=clock)
        first = await other.token(TEAM)
        clock.now += 43_200
        fresh = await held.token(TEAM)
        asked = len(slack.calls_of("oauth.v2.access"))

        assert await other.token(TEAM) == fresh
        assert await other.after_refusal(TEAM, token=first, error="token_revoked") == fresh
        assert len(slack.calls_of("oauth.v2.access")) == asked


@pytest.mark.proves("SL-28")
async def test_sl_28_while_the_old_token_lives_a_failed_exchange_is_no_harm():
    async with holding() as (slack, held, _, clock):
        first = await held.token(TEAM)
        clock.now += 43_200 - 60
        slack.fail("oauth.v2.access", SlackError("internal_error"))
        assert await held.token(TEAM) == first
        assert await held.token(TEAM) != first


@pytest.mark.proves("SL-28")
async def test_sl_28_a_fresh_token_that_cannot_be_stored_is_used_and_stored_later():
    async with holding() as (slack, held, host, clock):
        clock.now += 43_200
        host.is_read_only = True
        fresh = await held.token(TEAM)
        assert slack.workspace.tokens[fresh] == ""
        host.is_read_only = False

        assert await held.token(TEAM) == fresh
        assert host.notes[f"installation:{TEAM}"]["token"] == fresh


@pytest.mark.proves("SL-28")
async def test_sl_28_a_dead_token_that_cannot_be_exchanged_is_told():
    async with holding() as (slack, held, host, clock):
        clock.now += 43_200
        slack.fail("oauth.v2.access", SlackError("invalid_refresh_token"), times=None)
        with pytest.raises(DeliveryRefused):
            await held.token(TEAM)

        await host.until_state("degraded", "invalid_refresh_token")


@pytest.mark.proves("SL-28")
async def test_sl_28_a_slack_that_is_away_is_asked_again_later():
    async with holding() as (slack, held, _, clock):
        clock.now += 43_200
        await slack.__aexit__(None, None, None)
        with pytest.raises(DeliveryLater):
            await held.token(TEAM)


@pytest.mark.proves("SL-28")
async def test_sl_28_a_token_that_ended_early_is_exchanged_when_slack_says_so():
    async with holding() as (slack, held, _, _clock):
        first = await held.token(TEAM)
        slack.expire_tokens()
        other = await held.after_refusal(TEAM, token=first, error="token_expired")

        assert other is not None
        assert slack.workspace.tokens[other] == ""
        assert await held.after_refusal(TEAM, token=first, error="token_expired") == other


@pytest.mark.proves("SL-28")
@pytest.mark.parametrize("error", ["account_inactive", "token_revoked", "app_uninstalled"])
async def test_sl_28_a_token_that_ended_for_good_ends_the_installation(error):
    async with holding(rotates=False) as (_, held, host, _clock):
        token = await held.token(TEAM)

        assert await held.after_refusal(TEAM, token=token, error=error) is None
        assert host.notes == {}
        await host.until_state("degraded", error)


@pytest.mark.proves("SL-28", "SL-20")
async def test_sl_28_an_enterprise_installs_for_all_its_workspaces_at_once():
    async with open_to_all() as running:
        running.slack.workspace.enterprise = "E1"
        assert await install(running) == 200
        running.slack.post_message("D1", "U1", "hello")
        [heard] = await running.heard()
        await say(running, "hi", team="E1")

        assert (heard.account, heard.address.chat) == ("E1", "E1:D1")
        assert heard.sender.external_id == "E1:U1"
        assert set(running.host.notes) == {"installation:E1"}


@pytest.mark.proves("SL-20")
async def test_sl_20_a_token_of_a_whole_enterprise_is_known_by_it():
    slack = SlackServer(retry=QUICK_RETRY)
    slack.workspace.enterprise = "E1"
    async with hooked(slack) as running:
        slack.post_message("D1", "U1", "hello")
        [heard] = await running.heard()

        assert heard.account == "E1"


@pytest.mark.proves("C-10")
def test_c_10_an_installation_does_not_show_its_tokens():
    made = Installation(
        team="T1", bot_user="U0", installed_at=0, token="xoxb-1", refresh_token="xoxe-1"
    )

    assert "xox" not in repr(made)


@pytest.mark.proves("C-10")
async def test_c_10_no_secret_is_logged_from_install_to_removal():
    with capture_logs() as logs:
        async with open_to_all(rotates=True) as running:
            await install(running)
            running.slack.post_message("D1", "U1", "hello")
            await running.heard()
            await say(running, "hi")
            secrets = [*running.slack.workspace.tokens, running.slack.client_secret]
            secrets += [running.slack.workspace.refresh_token, running.slack.signing_secret]
            running.slack.uninstall()
            await running.slack.wait_until_acknowledged()

    told = json.dumps(logs, default=repr)
    assert not [secret for secret in secrets if secret in told]


async def test_a_store_that_is_away_puts_the_delivery_off():
    host = Stumbling()
    async with open_to_all(host=host) as running:
        host.stumbles = True

        with pytest.raises(DeliveryLater):
            await say(running, "hi")
