"""How an app is installed into workspaces of the fake Slack, and how its tokens rotate."""

import aiohttp
import pytest

from gateway.testing import SlackServer
from tests.testing.slack.app import client_of, official_client_of


@pytest.fixture
async def slack():
    async with SlackServer(echo=False, rotates=True) as server:
        server.add_workspace("T2", name="Second", installed=False)
        yield server


@pytest.fixture
async def client(slack):
    async with client_of(slack, "") as opened:
        yield opened


@pytest.fixture
def secrets(slack):
    return {"client_id": slack.client_id, "client_secret": slack.client_secret}


async def test_an_approved_app_gets_a_token_that_works(slack, client, secrets):
    code = slack.approve("U1", team="T2", redirect_uri="https://bot.example/oauth")
    granted = await client.ok(
        "oauth.v2.access", **secrets, code=code, redirect_uri="https://bot.example/oauth"
    )

    assert (granted["team"], granted["authed_user"]) == (
        {"id": "T2", "name": "Second"},
        {"id": "U1"},
    )
    async with client_of(slack, granted["access_token"]) as installed:
        assert (await installed.ok("auth.test"))["team_id"] == "T2"


async def test_the_official_client_exchanges_a_code(slack, secrets):
    async with official_client_of(slack) as client:
        granted = await client.oauth_v2_access(**secrets, code=slack.approve("U1"))

    assert granted["bot_user_id"] == slack.workspace.bot_user
    assert slack.problems == []


async def test_a_code_is_good_once_and_for_its_address(slack, client, secrets):
    code = slack.approve("U1", redirect_uri="https://bot.example/oauth")
    at = {"redirect_uri": "https://bot.example/oauth"}

    assert await client.error("oauth.v2.access", **secrets, code=code) == "bad_redirect_uri"
    await client.ok("oauth.v2.access", **secrets, code=code, **at)
    assert await client.error("oauth.v2.access", **secrets, code=code, **at) == "code_already_used"
    assert await client.error("oauth.v2.access", **secrets, code="no") == "invalid_code"


async def test_a_strange_app_gets_nothing(slack, client, secrets):
    code = slack.approve("U1")
    wrong_id, wrong_secret = {"client_id": "9.9"}, {"client_secret": "wrong"}

    assert await client.error("oauth.v2.access", **secrets | wrong_id, code=code) == (
        "invalid_client_id"
    )
    assert await client.error("oauth.v2.access", **secrets | wrong_secret, code=code) == (
        "bad_client_secret"
    )
    url = f"{slack.api_url}oauth.v2.access"
    broken = {"Authorization": "Basic %%%"}
    async with aiohttp.request("POST", url, data={"code": code}, headers=broken) as response:
        assert (await response.json())["error"] == "invalid_client_id"


async def test_a_refresh_token_gives_a_new_token_once(slack, client, secrets):
    granted = await client.ok("oauth.v2.access", **secrets, code=slack.approve("U1"))
    slack.expire_tokens()
    async with client_of(slack, granted["access_token"]) as expired:
        assert await expired.error("auth.test") == "token_expired"

    renew = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
    renewed = await client.ok("oauth.v2.access", **secrets, **renew)

    assert renewed["access_token"] != granted["access_token"]
    assert renewed["expires_in"] == 43_200
    async with client_of(slack, renewed["access_token"]) as fresh:
        await fresh.ok("auth.test")
    assert await client.error("oauth.v2.access", **secrets, **renew) == "invalid_refresh_token"


async def test_the_old_token_works_until_it_expires(slack, client, secrets):
    granted = await client.ok("oauth.v2.access", **secrets, code=slack.approve("U1"))
    renew = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
    await client.ok("oauth.v2.access", **secrets, **renew)

    async with client_of(slack, granted["access_token"]) as old:
        await old.ok("auth.test")


async def test_tokens_that_do_not_rotate_have_no_refresh_token():
    async with SlackServer() as slack, client_of(slack, "") as client:
        granted = await client.ok(
            "oauth.v2.access",
            client_id=slack.client_id,
            client_secret=slack.client_secret,
            code=slack.approve("U1"),
        )

    assert granted["access_token"].startswith("xoxb-")
    assert "refresh_token" not in granted
