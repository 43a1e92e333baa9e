"""What the app reads from the fake Slack, and who may call at all."""

import aiohttp
import pytest

from gateway.testing import SlackServer
from tests.testing.slack.app import client_of


@pytest.fixture
async def slack():
    async with SlackServer(echo=False) as server:
        yield server


@pytest.fixture
async def client(slack):
    async with client_of(slack) as opened:
        yield opened


def texts(page: dict) -> list[str]:
    return [message["text"] for message in page["messages"]]


async def test_the_history_shows_no_replies_but_those_sent_to_the_channel(slack, client):
    parent = slack.post_message("C1", "U1", "parent")["event"]["ts"]
    slack.post_message("C1", "U1", "reply", thread_ts=parent)
    await client.ok(
        "chat.postMessage", channel="C1", text="both", thread_ts=parent, reply_broadcast=True
    )

    assert texts(await client.ok("conversations.history", channel="C1")) == ["both", "parent"]
    page = await client.ok("conversations.replies", channel="C1", ts=parent)
    assert texts(page) == ["parent", "reply", "both"]


async def test_a_window_of_time_leaves_its_bounds_out_unless_told(slack, client):
    stamps = [slack.post_message("C1", "U1", text)["event"]["ts"] for text in "abcd"]
    window = {"channel": "C1", "oldest": stamps[0], "latest": stamps[2]}

    assert texts(await client.ok("conversations.history", **window)) == ["b"]
    assert texts(await client.ok("conversations.history", **window, inclusive="true")) == [
        "c",
        "b",
        "a",
    ]


async def test_metadata_is_shown_only_when_asked_for(slack, client):
    slack.channel("C1")
    metadata = {"event_type": "reply", "event_payload": {"id": 1}}
    await client.ok("chat.postMessage", channel="C1", text="a", metadata=metadata)

    [plain] = (await client.ok("conversations.history", channel="C1"))["messages"]
    [full] = (await client.ok("conversations.history", channel="C1", include_all_metadata="1"))[
        "messages"
    ]
    assert "metadata" not in plain
    assert full["metadata"] == metadata


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"limit": "0x"}, "invalid_limit"),
        ({"limit": "1000"}, "invalid_limit"),
        ({"cursor": "no"}, "invalid_cursor"),
        ({"oldest": "monday"}, "invalid_ts_oldest"),
        ({"latest": "monday"}, "invalid_ts_latest"),
    ],
    ids=["no number", "too many", "cursor", "oldest", "latest"],
)
async def test_a_page_that_cannot_be_is_refused(slack, client, params, error):
    slack.post_message("C1", "U1", "a")

    assert await client.error("conversations.history", channel="C1", **params) == error


async def test_the_history_of_other_places_is_closed(slack, client):
    slack.channel("C2").has_bot = False

    assert await client.error("conversations.history", channel="C2") == "not_in_channel"
    assert await client.error("conversations.replies", channel="C404", ts="1.0") == (
        "channel_not_found"
    )


async def test_a_thread_that_is_not_there_cannot_be_read(slack, client):
    slack.channel("C1")

    assert await client.error("conversations.replies", channel="C1", ts="1.0") == "thread_not_found"


async def test_channels_and_people_describe_themselves(slack, client):
    slack.post_message("D1", "U1", "hello")
    channel = (await client.ok("conversations.info", channel="D1"))["channel"]
    user = (await client.ok("users.info", user="U1"))["user"]

    assert (channel["is_im"], channel["user"]) == (True, "U1")
    assert (user["id"], user["is_bot"], user["team_id"]) == ("U1", False, slack.workspace.id)
    assert await client.error("users.info", user="U404") == "user_not_found"


async def test_a_direct_message_is_opened(slack, client):
    slack.post_message("C1", "U1", "hello")
    opened = await client.ok("conversations.open", users="U1")
    again = await client.ok("conversations.open", users="U1", return_im=True)

    assert opened["channel"] == {"id": "D1"}
    assert again["channel"]["user"] == "U1"
    assert await client.error("conversations.open", users="U404") == "user_not_found"
    assert await client.error("conversations.open", users=slack.workspace.bot_user) == (
        "cannot_dm_bot"
    )


async def test_one_person_is_needed_for_a_direct_message(slack, client):
    slack.post_message("D1", "U1", "hello")

    assert (await client.ok("conversations.open", channel="D1"))["channel"]["id"] == "D1"
    assert await client.error("conversations.open") == "users_list_not_supplied"
    assert await client.error("conversations.open", users="U1,U2") == "not_enough_users"


async def test_the_same_person_has_a_direct_message_in_each_workspace(slack, client):
    slack.add_workspace("T2")
    first = slack.open_home("U1")["event"]["channel"]
    second = slack.open_home("U1", team="T2")["event"]["channel"]

    assert first != second
    assert await client.error("conversations.info", channel=second) == "channel_not_found"


async def test_who_calls_without_a_good_token_is_refused(slack):
    slack.add_workspace("T2")
    errors = []
    for token in ("", "xoxb-wrong", slack.app_token):
        async with client_of(slack, token) as client:
            errors.append(await client.error("auth.test"))

    assert errors == ["not_authed", "invalid_auth", "not_allowed_token_type"]


async def test_each_workspace_has_its_own_token(slack):
    other = slack.add_workspace("T2")
    async with client_of(slack, other.bot_token) as client:
        me = await client.ok("auth.test")

    assert (me["team_id"], me["user_id"]) == ("T2", other.bot_user)


async def test_tokens_end(slack, client):
    slack.revoke_tokens()
    assert await client.error("auth.test") == "token_revoked"

    async with SlackServer() as removed, client_of(removed) as other:
        removed.uninstall()
        assert await other.error("auth.test") == "account_inactive"


async def test_a_missing_scope_is_named(slack, client):
    slack.workspace.scopes = frozenset({"users:read"})
    slack.channel("C1")
    answer = await client.call("chat.postMessage", channel="C1", text="a")

    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")
    assert answer["provided"] == "users:read"


async def test_a_token_in_a_form_is_taken_and_one_in_the_address_is_not(slack, client):
    url = f"{slack.api_url}auth.test"
    async with client.session.post(url, data={"token": slack.bot_token}) as response:
        assert (await response.json())["ok"]
    async with client.session.post(url, params={"token": slack.bot_token}) as response:
        assert (await response.json())["error"] == "not_authed"

    assert "the token stands in the address" in slack.problems[0]


async def test_methods_that_read_take_no_json(slack, client):
    slack.post_message("C1", "U1", "hello")
    url = f"{slack.api_url}conversations.history"
    async with client.session.post(url, json={"channel": "C1"}, headers=client.headers) as response:
        assert (await response.json())["error"] == "invalid_arguments"


async def test_forms_of_every_kind_are_read(slack, client):
    slack.channel("C1")
    url = f"{slack.api_url}chat.postMessage"
    multipart = aiohttp.FormData({"channel": "C1", "text": "a"}, default_to_multipart=True)
    blocks = '[{"type": "divider"}]'
    urlencoded = {"channel": "C1", "text": "b", "blocks": blocks, "reply_broadcast": "0"}
    for data in (multipart, urlencoded):
        async with client.session.post(url, data=data, headers=client.headers) as response:
            assert (await response.json())["ok"]
    wrong = {
        "text/html": "invalid_post_type",
        "multipart/form-data; boundary=x": "invalid_form_data",
    }
    for content_type, error in wrong.items():
        headers = {"Content-Type": content_type} | client.headers
        async with client.session.post(url, data=b"a", headers=headers) as response:
            assert (await response.json())["error"] == error

    assert [message.text for message in slack.sent("C1")] == ["a", "b"]
    assert slack.sent("C1")[1].blocks == ({"type": "divider"},)


async def test_other_addresses_are_not_there(slack, client):
    async with client.session.get(slack.api_url.replace("/api/", "/nowhere")) as response:
        assert response.status == 404


async def test_unknown_methods_and_unreadable_bodies_are_problems(slack, client):
    url = f"{slack.api_url}chat.postMessage"
    json_type = {"Content-Type": "application/json"} | client.headers
    bodies = {"{": "invalid_json", "[]": "json_not_object"}
    for body, error in bodies.items():
        async with client.session.post(url, data=body, headers=json_type) as response:
            assert (await response.json())["error"] == error

    assert await client.error("chat.shout") == "unknown_method"
    assert slack.problems == [
        "chat.postMessage: invalid_json",
        "chat.postMessage: json_not_object",
        "chat.shout: unknown_method",
    ]
