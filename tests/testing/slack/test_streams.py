"""Messages that grow in the fake Slack."""

import pytest

from gateway.testing import SlackServer
from tests.testing.slack.app import client_of

METADATA = {"event_type": "reply", "event_payload": {"outbox_id": "o1"}}


@pytest.fixture
async def slack():
    async with SlackServer(echo=False) as server:
        yield server


@pytest.fixture
async def client(slack):
    async with client_of(slack) as opened:
        yield opened


@pytest.fixture
def place(slack):
    """A thread in a direct message."""
    return {"channel": "D1", "thread_ts": slack.post_message("D1", "U1", "Tell me")["event"]["ts"]}


@pytest.fixture
async def stream(client, place):
    """An open stream in it."""
    started = await client.ok("chat.startStream", **place, markdown_text="Good")
    return {"channel": "D1", "ts": started["ts"]}


async def test_text_is_appended_and_ends_with_metadata(slack, client, stream):
    await client.ok("chat.appendStream", **stream, markdown_text=" mor")
    chunks = [{"type": "markdown_text", "text": "ning"}]
    await client.ok("chat.stopStream", **stream, chunks=chunks, metadata=METADATA)

    [reply] = slack.sent("D1")
    assert (reply.text, reply.is_streaming, reply.metadata) == ("Good morning", False, METADATA)
    assert slack.problems == []


@pytest.mark.parametrize("missing", ["recipient_team_id", "recipient_user_id"])
async def test_in_a_channel_a_stream_has_a_recipient(slack, client, missing):
    asked = slack.post_message("C1", "U1", "Tell me")["event"]["ts"]
    params = {"recipient_team_id": slack.workspace.id, "recipient_user_id": "U1"}
    del params[missing]

    error = await client.error("chat.startStream", channel="C1", thread_ts=asked, **params)

    assert error == f"missing_{missing}"
    assert slack.problems == [f"chat.startStream: missing_{missing}"]


async def test_the_recipient_must_be_there(slack, client):
    asked = slack.post_message("C1", "U1", "Tell me")["event"]["ts"]
    place = {"channel": "C1", "thread_ts": asked}
    wrong_user = {"recipient_team_id": slack.workspace.id, "recipient_user_id": "U404"}
    wrong_team = {"recipient_team_id": "T404", "recipient_user_id": "U1"}

    assert await client.error("chat.startStream", **place, **wrong_user) == "user_not_found"
    assert await client.error("chat.startStream", **place, **wrong_team) == "team_not_found"


async def test_in_a_direct_message_a_stream_has_a_thread(slack, client):
    slack.post_message("D1", "U1", "Tell me")

    assert await client.error("chat.startStream", channel="D1") == "invalid_arguments"


async def test_an_open_stream_is_neither_updated_nor_deleted(client, stream):
    assert await client.error("chat.update", **stream, text="x") == "streaming_state_conflict"
    assert await client.error("chat.delete", **stream) == "cant_delete_message"


async def test_a_stopped_stream_takes_nothing_more_but_can_be_updated(slack, client, stream):
    await client.ok("chat.stopStream", **stream)
    for method in ("chat.appendStream", "chat.stopStream"):
        error = await client.error(method, **stream, markdown_text="x")
        assert error == "message_not_in_streaming_state"
    await client.ok("chat.update", **stream, markdown_text="Better")

    assert slack.sent("D1")[0].text == "Better"
    assert slack.problems == []


async def test_a_stream_that_nobody_stops_ends_by_itself():
    async with SlackServer(echo=False, stream_lasts_s=0) as slack, client_of(slack) as client:
        asked = slack.post_message("D1", "U1", "Tell me")["event"]["ts"]
        started = await client.ok(
            "chat.startStream", channel="D1", thread_ts=asked, markdown_text="a"
        )
        error = await client.error(
            "chat.appendStream", channel="D1", ts=started["ts"], markdown_text="b"
        )
        [reply] = slack.sent("D1")

    assert error == "message_not_in_streaming_state"
    assert (reply.text, reply.is_streaming) == ("a", False)


async def test_only_messages_of_the_app_are_streams(slack, client, place):
    error = await client.error(
        "chat.appendStream", channel="D1", ts=place["thread_ts"], markdown_text="x"
    )

    assert error == "message_not_owned_by_app"


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"chunks": [{"type": "markdown_text", "text": "x" * 12_001}]}, "msg_too_long"),
        ({"chunks": [{"type": "unheard of"}]}, "invalid_chunks"),
        ({"chunks": "x"}, "invalid_chunks"),
        (
            {"markdown_text": "x", "chunks": [{"type": "markdown_text", "text": "y"}]},
            "cannot_provide_both_markdown_text_and_chunks",
        ),
        ({}, "no_text"),
    ],
    ids=["long", "long chunk", "no kind", "no list", "both", "nothing"],
)
async def test_a_wrong_piece_is_refused(client, stream, params, error):
    assert await client.error("chat.appendStream", **stream, **params) == error


async def test_a_stream_counts_as_sent_when_it_is_whole(slack, client, stream):
    with pytest.raises(TimeoutError):
        await slack.wait_for_sent(1, timeout_s=0.01)
    await client.ok("chat.stopStream", **stream)

    assert len(await slack.wait_for_sent(1)) == 1
