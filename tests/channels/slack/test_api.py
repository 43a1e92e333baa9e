"""Calls of the Web API: one try each, told apart by who knows what happened, and no secret told."""

import asyncio
import logging
from collections.abc import AsyncGenerator

import pytest
from structlog.testing import capture_logs

from channels.slack.api import SlackApi, SlackError, SlackRefused, SlackSilence
from gateway.testing import Drop, Hang, HtmlError
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.slack.faults import SlackError as Answer
from gateway.testing.slack.faults import SlackFault, rate_limited

SAY = {"channel": "C1", "markdown_text": "Grüße 👋", "unfurl_links": False, "thread_ts": None}


async def test_what_is_none_is_left_out_and_the_rest_arrives_as_it_is() -> None:
    async with SlackServer() as slack, SlackApi(slack.api_url) as api:
        slack.channel("C1", user="U1")
        answer = await api.call("chat.postMessage", SAY, token=slack.bot_token)

        [message] = slack.sent()
        assert message.ts == answer["ts"]
        assert message.text == "Grüße 👋"
        assert "thread_ts" not in message.params
        assert slack.problems == []


async def test_methods_that_only_read_get_a_form() -> None:
    async with SlackServer() as slack, SlackApi(slack.api_url) as api:
        slack.post_message("C1", "U1", "Hello")
        params = {"channel": "C1", "limit": 5, "include_all_metadata": True}
        answer = await api.call("conversations.history", params, token=slack.bot_token)

        assert [message["text"] for message in answer["messages"]] == ["Hello"]
        assert slack.problems == []


@pytest.mark.proves("SL-46")
async def test_sl_46_ok_false_is_a_refusal_although_the_status_is_200() -> None:
    async with SlackServer() as slack, SlackApi(slack.api_url) as api:
        with pytest.raises(SlackRefused) as caught:
            await api.call("chat.postMessage", {**SAY, "channel": "C9"}, token="xoxb-nobody")

        assert (caught.value.error, caught.value.status) == ("invalid_auth", 200)


async def test_a_refusal_carries_what_slack_asks_for() -> None:
    async with SlackServer() as slack, SlackApi(slack.api_url) as api:
        slack.fail("auth.test", rate_limited(7), Answer("missing_scope", needed="chat:write"))
        with pytest.raises(SlackRefused) as throttled:
            await api.call("auth.test", token=slack.bot_token)
        with pytest.raises(SlackRefused) as unscoped:
            await api.call("auth.test", token=slack.bot_token)

        assert (throttled.value.status, throttled.value.retry_after_s) == (429, 7.0)
        assert unscoped.value.needed == "chat:write"
        assert str(unscoped.value) == "missing_scope, needs chat:write"


@pytest.mark.parametrize(
    ("fault", "is_silence"),
    [
        (Drop(accepted=False), True),
        (Drop(accepted=True), True),
        (HtmlError(200, "<html>who am I?</html>"), True),
        (HtmlError(503), False),
    ],
    ids=["cut before", "cut after", "nonsense", "a page of a proxy"],
)
async def test_one_call_is_one_try_however_it_fails(
    fault: Drop | HtmlError, is_silence: bool
) -> None:
    async with SlackServer() as slack, SlackApi(slack.api_url) as api:
        slack.channel("C1", user="U1")
        slack.fail("chat.postMessage", fault)
        with pytest.raises(SlackError) as caught:
            await api.call("chat.postMessage", SAY, token=slack.bot_token)

        assert isinstance(caught.value, SlackSilence) == is_silence
        if isinstance(caught.value, SlackSilence):
            assert caught.value.was_written
        assert len(slack.calls_of("chat.postMessage")) == 1


async def test_what_cannot_be_reached_was_never_written() -> None:
    async with SlackServer() as slack:
        url = slack.api_url
    async with SlackApi(url) as api:
        with pytest.raises(SlackSilence) as caught:
            await api.call("auth.test", token="xoxb-1")

        assert not caught.value.was_written


async def test_without_connections_nothing_is_written() -> None:
    with pytest.raises(SlackSilence) as caught:
        await SlackApi("http://127.0.0.1:9/api/").call("auth.test", token="xoxb-1")

    assert not caught.value.was_written


@pytest.mark.proves("C-10")
async def test_c_10_a_token_is_never_told_by_an_error_or_a_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    told = []
    with capture_logs() as logs:
        async with SlackServer() as slack, SlackApi(slack.api_url) as api:
            secret = slack.bot_token
            faults: list[SlackFault] = [
                Drop(accepted=True),
                HtmlError(502, f"<html>{secret}</html>"),
                Answer(f"denied for {secret}"),
                HtmlError(200, secret),
            ]
            for fault in faults:
                slack.fail("auth.test", fault)
                with pytest.raises(SlackError) as caught:
                    await api.call("auth.test", token=secret)
                told += [str(caught.value), repr(caught.value), repr(caught.value.__context__)]

    assert len(told) == 12
    assert all(secret not in text for text in (*told, repr(logs), caplog.text))


async def test_the_bytes_of_a_file_are_streamed_to_the_address_that_was_given() -> None:
    async with SlackServer() as slack, SlackApi(slack.api_url) as api:
        params = {"filename": "a.txt", "length": 6}
        given = await api.call("files.getUploadURLExternal", params, token=slack.bot_token)
        await api.upload(given["upload_url"], _in_two(b"abc", b"def"), size_bytes=6)

        assert slack.calls_of("upload")[0].body == b"abcdef"
        assert slack.problems == []


async def test_an_upload_that_is_refused_is_told() -> None:
    async with SlackServer() as slack, SlackApi(slack.api_url) as api:
        url = slack.api_url.removesuffix("/api/") + "/upload/v1/F404"
        with pytest.raises(SlackRefused) as caught:
            await api.upload(url, _in_two(b"abc", b"def"), size_bytes=6)

        assert caught.value.status == 404


async def test_a_call_that_is_cancelled_leaves_the_connections_usable() -> None:
    async with SlackServer() as slack, SlackApi(slack.api_url) as api:
        slack.fail("auth.test", Hang())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await api.call("auth.test", token=slack.bot_token)

        assert (await api.call("auth.test", token=slack.bot_token))["ok"] is True


async def _in_two(*pieces: bytes) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece
