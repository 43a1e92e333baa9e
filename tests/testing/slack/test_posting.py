"""What the app posts into the fake Slack, and what is refused there."""

import pytest

from gateway.testing import SlackServer
from tests.testing.slack.app import client_of

METADATA = {"event_type": "reply", "event_payload": {"outbox_id": "o1"}}


@pytest.fixture
async def slack():
    async with SlackServer(echo=False) as server:
        server.channel("C1")
        yield server


@pytest.fixture
async def client(slack):
    async with client_of(slack) as opened:
        yield opened


async def test_a_message_stands_as_it_was_sent(slack, client):
    asked = slack.post_message("C1", "U1", "hello")["event"]
    answer = await client.ok(
        "chat.postMessage",
        channel="C1",
        thread_ts=asked["ts"],
        markdown_text="**Good**",
        metadata=METADATA,
    )

    [reply] = slack.sent("C1")
    assert (reply.ts, reply.channel) == (answer["ts"], answer["channel"])
    assert (reply.text, reply.is_markdown) == ("**Good**", True)
    assert (reply.thread_ts, reply.metadata) == (asked["ts"], METADATA)
    assert slack.problems == []


async def test_a_person_can_be_named_instead_of_a_direct_message(slack, client):
    slack.post_message("D7", "U1", "hello")
    answer = await client.ok("chat.postMessage", channel="U1", text="Hello")

    assert answer["channel"] == "D7"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({}, "no_text"),
        ({"text": "  "}, "no_text"),
        ({"text": "a", "markdown_text": "b"}, "markdown_text_conflict"),
        ({"blocks": [{"type": "divider"}], "markdown_text": "b"}, "markdown_text_conflict"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"text": "a", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks"),
        ({"text": "a", "blocks": [{"type": "section"}]}, "invalid_blocks"),
        ({"text": "a", "blocks": "no"}, "invalid_blocks_format"),
        ({"text": "a", "metadata": "no"}, "invalid_metadata_format"),
        ({"text": "a", "metadata": {"event_type": "x"}}, "invalid_metadata_schema"),
        ({"text": 5}, "invalid_arguments"),
        ({"text": "a", "thread_ts": 1.5}, "invalid_arguments"),
    ],
    ids=[
        *("nothing", "blank", "text and Markdown", "blocks and Markdown", "long", "51 blocks"),
        *("empty section", "no blocks", "no metadata", "no payload", "a number", "a number as ts"),
    ],
)
async def test_a_wrong_message_is_refused_and_a_problem(slack, client, params, error):
    assert await client.error("chat.postMessage", channel="C1", **params) == error
    assert slack.messages("C1") == []
    assert slack.problems[0].startswith(f"chat.postMessage: {error}")


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ([("section", 3_001)], "invalid_blocks"),
        ([("section", 3_000)] * 5, "msg_blocks_too_long"),
        ([("markdown", 7_000)] * 2, "msg_too_long"),
    ],
    ids=["long section", "many sections", "long Markdown"],
)
async def test_long_blocks_are_refused(client, blocks, error):
    documents = [
        {"type": kind, "text": {"type": "mrkdwn", "text": "x" * length}}
        if kind == "section"
        else {"type": kind, "text": "x" * length}
        for kind, length in blocks
    ]

    assert await client.error("chat.postMessage", channel="C1", text="a", blocks=documents) == error


@pytest.mark.parametrize(
    "elements",
    [
        [],
        [{}],
        [{"type": "button"}],
        [{"type": "button", "text": {"type": "plain_text", "text": "x" * 76}}],
        [{"type": "button", "text": {"type": "plain_text", "text": "x"}, "value": "x" * 2_001}],
        [{"type": "button", "text": {"type": "plain_text", "text": "x"}}] * 26,
    ],
    ids=["none", "no type", "no text", "long text", "long value", "too many"],
)
async def test_buttons_that_cannot_be_shown_are_refused(client, elements):
    blocks = [{"type": "actions", "elements": elements}]

    assert await client.error("chat.postMessage", channel="C1", text="a", blocks=blocks) == (
        "invalid_blocks"
    )


async def test_the_longest_allowed_texts_pass(slack, client):
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_000}}
    await client.ok("chat.postMessage", channel="C1", markdown_text="x" * 12_000)
    await client.ok("chat.postMessage", channel="C1", text="a", blocks=[section])

    assert slack.problems == []


async def test_a_text_over_forty_thousand_is_cut_with_a_warning(slack, client):
    answer = await client.ok("chat.postMessage", channel="C1", text="x" * 40_001)

    assert answer["warning"] == "message_truncated"
    assert len(slack.sent("C1")[0].text) == 40_000
    assert slack.problems == ["chat.postMessage: text of 40001 characters was cut"]


async def test_what_slack_lets_pass_is_a_problem_all_the_same(slack, client):
    parent = slack.post_message("C1", "U1", "one")["event"]
    reply = slack.post_message("C1", "U1", "two", thread_ts=parent["ts"])["event"]
    await client.ok("chat.postMessage", channel="C1", blocks=[{"type": "divider"}])
    await client.ok("chat.postMessage", channel="C1", text="a", thread=parent["ts"])
    await client.ok("chat.postMessage", channel="C1", text="a", thread_ts=reply["ts"])

    assert slack.problems == [
        "chat.postMessage: blocks without a text for notifications",
        "chat.postMessage: there is no argument thread",
        "chat.postMessage: thread_ts is that of a reply, not of its parent",
    ]


async def test_places_that_cannot_be_posted_in_are_no_problem_of_the_app(slack, client):
    slack.channel("C2").has_bot = False
    slack.channel("C3").is_archived = True
    slack.add_workspace("T2")
    slack.channel("C9", team="T2")
    errors = [
        await client.error("chat.postMessage", channel=channel, text="a")
        for channel in ("C404", "C9", "C2", "C3")
    ]

    assert errors == ["channel_not_found", "channel_not_found", "not_in_channel", "is_archived"]
    assert slack.problems == []


async def test_a_thread_must_be_there(client):
    answer = await client.error("chat.postMessage", channel="C1", text="a", thread_ts="1.000001")

    assert answer == "thread_not_found"


async def test_only_messages_of_the_app_can_be_changed(slack, client):
    said = slack.post_message("C1", "U1", "mine")["event"]["ts"]

    assert await client.error("chat.update", channel="C1", ts=said, text="a") == (
        "cant_update_message"
    )
    assert await client.error("chat.delete", channel="C1", ts=said) == "cant_delete_message"
    assert await client.error("chat.update", channel="C1", ts="1.0", text="a") == (
        "message_not_found"
    )


async def test_an_update_keeps_the_metadata_it_does_not_name(slack, client):
    posted = await client.ok("chat.postMessage", channel="C1", text="one", metadata=METADATA)
    await client.ok("chat.update", channel="C1", ts=posted["ts"], markdown_text="two")

    [message] = slack.sent("C1")
    assert (message.text, message.metadata) == ("two", METADATA)


async def test_a_whisper_is_seen_by_one_and_in_no_history(slack, client):
    slack.post_message("C1", "U1", "hello")
    await client.ok("chat.postEphemeral", channel="C1", user="U1", text="Psst")

    [shown] = slack.ephemerals
    assert (shown.channel, shown.user, shown.text) == ("C1", "U1", "Psst")
    assert slack.sent("C1") == []
    assert await client.error("chat.postEphemeral", channel="C1", user="U404", text="a") == (
        "user_not_in_channel"
    )


async def test_a_reaction_is_given_once(slack, client):
    said = slack.post_message("C1", "U1", "hello")["event"]["ts"]
    await client.ok("reactions.add", channel="C1", timestamp=said, name="eyes")

    assert slack.messages("C1")[0].reactions == ("eyes",)
    assert await client.error("reactions.add", channel="C1", timestamp=said, name="eyes") == (
        "already_reacted"
    )


async def test_a_status_lasts_until_the_reply(slack, client):
    asked = slack.post_message("D1", "U1", "hello")["event"]["ts"]
    place = {"channel_id": "D1", "thread_ts": asked}
    await client.ok("assistant.threads.setStatus", **place, status="is thinking...")
    shown = slack.status_of("D1", asked)
    await client.ok("chat.postMessage", channel="D1", thread_ts=asked, text="Hi")

    assert (shown, slack.status_of("D1", asked)) == ("is thinking...", "")


async def test_an_empty_status_clears(slack, client):
    asked = slack.post_message("D1", "U1", "hello")["event"]["ts"]
    place = {"channel_id": "D1", "thread_ts": asked}
    await client.ok("assistant.threads.setStatus", **place, status="is thinking...")
    await client.ok("assistant.threads.setStatus", **place, status="")

    assert slack.status_of("D1", asked) == ""


async def test_an_assistant_thread_gets_title_and_prompts(slack, client):
    thread = slack.open_assistant("U1")["event"]["assistant_thread"]
    place = {"channel_id": thread["channel_id"], "thread_ts": thread["thread_ts"]}
    prompts = [{"title": "Hello", "message": "Say hello"}]
    await client.ok("assistant.threads.setTitle", **place, title="About me")
    await client.ok("assistant.threads.setSuggestedPrompts", **place, prompts=prompts)

    assert slack.problems == []
    assert (
        await client.error("assistant.threads.setSuggestedPrompts", **place, prompts=prompts * 5)
        == "invalid_arguments"
    )
    assert (
        await client.error(
            "assistant.threads.setSuggestedPrompts", **place, prompts=[{"title": "x"}]
        )
        == "invalid_arguments"
    )


async def test_a_home_is_published_for_a_person(slack, client):
    slack.open_home("U1")
    view = {"type": "home", "blocks": []}
    await client.ok("views.publish", user_id="U1", view=view)

    assert slack.workspace.homes == {"U1": view}
    assert await client.error("views.publish", user_id="U1", view={"type": "modal"}) == (
        "invalid_arguments"
    )
    assert await client.error("views.publish", user_id="U404", view=view) == "user_not_found"


async def test_the_app_is_told_of_its_own_messages_too():
    async with SlackServer() as slack, client_of(slack) as client:
        slack.channel("C1")
        posted = await client.ok("chat.postMessage", channel="C1", text="one")
        await client.ok("chat.update", channel="C1", ts=posted["ts"], text="two")
        await client.ok("chat.delete", channel="C1", ts=posted["ts"])
        told = [delivery.payload["event"] for delivery in slack.pending]

    assert [event.get("subtype") for event in told] == [None, "message_changed", "message_deleted"]
    assert told[0]["bot_id"] == slack.workspace.bot_id
