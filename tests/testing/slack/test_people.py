"""What people do in the fake Slack, and what the app is told of it."""

import pytest

from gateway.testing import SlackServer
from gateway.testing.slack.faults import Refused
from tests.testing.slack.app import post_menu


@pytest.fixture
async def slack():
    async with SlackServer(echo=False) as server:
        yield server


async def test_a_reply_stands_in_its_thread(slack):
    asked = slack.post_message("C1", "U1", "one")["event"]
    reply = slack.post_message("C1", "U2", "two", thread_ts=asked["ts"])["event"]

    assert reply["thread_ts"] == asked["ts"]
    assert [message.text for message in slack.messages("C1")] == ["one", "two"]


async def test_nobody_replies_to_what_is_not_there(slack):
    with pytest.raises(Refused, match="thread_not_found"):
        slack.post_message("C1", "U1", "one", thread_ts="1.0")


async def test_timestamps_are_unique_and_grow(slack):
    stamps = [slack.post_message("C1", "U1", "x")["event"]["ts"] for _ in range(50)]

    assert sorted(set(stamps)) == stamps


async def test_an_edit_shows_both_texts(slack):
    told = slack.post_message("D1", "U1", "one")
    slack.edit_message(told, "two")
    again = slack.edit_message(slack.edit_message(told, "three"), "four")["event"]

    assert (again["subtype"], again["hidden"]) == ("message_changed", True)
    assert (again["previous_message"]["text"], again["message"]["text"]) == ("three", "four")
    assert slack.messages("D1")[0].edits == ("one", "two", "three")


async def test_a_link_preview_is_a_change_without_another_text(slack):
    told = slack.post_message("D1", "U1", "https://example.com")
    event = slack.edit_message(told, "https://example.com")["event"]

    assert event["message"]["text"] == event["previous_message"]["text"]
    assert slack.messages("D1")[0].edits == ()


async def test_a_deleted_message_is_gone(slack):
    told = slack.post_message("D1", "U1", "one")
    event = slack.delete_message(told)["event"]

    assert (event["subtype"], event["deleted_ts"]) == ("message_deleted", told["event"]["ts"])
    assert slack.messages("D1") == []


async def test_another_bot_is_known_by_its_bot_id(slack):
    event = slack.post_bot_message("C1", "beep")["event"]

    assert (event["subtype"], event["bot_id"]) == ("bot_message", "B0OTHERBOT")


async def test_a_shared_file_is_described(slack):
    event = slack.post_file("D1", "U1", "look", name="cat.png", size_bytes=99)["event"]
    [file] = event["files"]

    assert event["subtype"] == "file_share"
    assert (file["name"], file["mimetype"], file["size"]) == ("cat.png", "image/png", 99)


async def test_the_kind_of_a_channel_is_told(slack):
    slack.channel("G2").kind = "mpim"
    kinds = [
        slack.post_message(channel, "U1", "x")["event"]["channel_type"]
        for channel in ("C1", "G1", "D1", "G2")
    ]

    assert kinds == ["channel", "group", "im", "mpim"]


async def test_a_channel_belongs_to_its_workspace(slack):
    other = slack.add_workspace("T2")
    slack.channel("C9", team="T2")

    assert slack.post_message("C9", "U9", "hello")["team_id"] == "T2"
    assert slack.post_message("C1", "U1", "hello")["team_id"] == slack.workspace.id
    assert slack.mention("C9", "U9", "you")[0]["event"]["text"] == f"<@{other.bot_user}> you"


async def test_opening_the_app_is_told(slack):
    home = slack.open_home("U1", tab="messages")["event"]
    thread = slack.open_assistant("U1")["event"]["assistant_thread"]

    assert (home["type"], home["tab"], home["channel"]) == ("app_home_opened", "messages", "D1")
    assert (thread["user_id"], thread["channel_id"]) == ("U1", "D1")
    assert slack.sent("D1") == []


async def test_a_removed_app_has_no_token_left(slack):
    token = slack.bot_token
    kinds = [told["event"]["type"] for told in slack.uninstall()]

    assert kinds == ["tokens_revoked", "app_uninstalled"]
    assert (slack.bot_token, slack.workspace.tokens[token]) == ("", "account_inactive")


async def test_nobody_presses_a_button_that_is_not_there(slack):
    await post_menu(slack)

    with pytest.raises(LookupError, match="no button maybe"):
        slack.press(slack.sent("C1")[0], "U2", action_id="maybe")


async def test_a_press_and_a_command_carry_where_to_answer(slack):
    await post_menu(slack)
    pressed = slack.press(slack.sent("C1")[0], "U2", action_id="yes")
    typed = slack.command("C1", "U2", "/ask", "why")

    assert (pressed["type"], pressed["actions"][0]["value"]) == ("block_actions", "1")
    assert pressed["container"]["message_ts"] == slack.sent("C1")[0].ts
    assert (typed["command"], typed["text"], typed["user_id"]) == ("/ask", "why", "U2")
    assert pressed["response_url"] != typed["response_url"]


async def test_held_back_events_are_told_without_an_inner_event(slack):
    told = slack.limit_events()

    assert (told["type"], "event" in told) == ("app_rate_limited", False)


async def test_any_event_can_be_told(slack):
    told = slack.post_event({"type": "brand_new", "x": 1})

    assert (told["type"], told["event"]) == ("event_callback", {"type": "brand_new", "x": 1})
