"""Slack and a daemon that is killed: one message stands there in the end, and none is "typing"."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.flow.crash_points import ENVIRONMENT
from gateway.testing import Drop, OpenAIServer, SlackServer
from gateway.testing.openai.endpoint import ModelCall
from gateway.testing.openai.replies import Reply
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, logged, over_endpoint
from tests.stories.checks import findings

ANSWER = "One two three four five six seven eight."


def on_slack(slack: SlackServer, *, more: str = "") -> str:
    """A channel at the fake Slack, over HTTP; each direct message is a thread."""
    return f"""
[[channels]]
name = "slack"
kind = "slack"
bot = "support"
bot_token = "{slack.bot_token}"
signing_secret = "{slack.signing_secret}"
api_url = "{slack.api_url}"
dm_sessions = "thread"
{more}
"""


def slowly(call: ModelCall) -> Reply:
    """Word by word, so that there is something to see before the end."""
    return Reply(ANSWER, between_s=0.25)


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[tuple[GatewayProcess, SlackServer]]:
    """A gateway on Slack that is not started, and Slack."""
    async with OpenAIServer(slowly) as model, SlackServer() as slack:
        config = over_endpoint(model) + DESK + on_slack(slack)
        async with GatewayProcess(folder, config=config) as gateway:
            slack.deliver_to(f"{gateway.url}/hooks/slack/events")
            slack.hold_events()
            yield gateway, slack


def standing(slack: SlackServer) -> list[tuple[str, bool]]:
    """What the app's messages show, and whether they still grow."""
    return [(message.text, message.is_streaming) for message in slack.sent()]


@pytest.mark.proves("SL-44")
async def test_sl_44_a_reply_grows_in_the_thread_and_is_one_message(tmp_path: Path) -> None:
    async with connected(tmp_path) as (gateway, slack):
        await gateway.start()
        slack.release_events()
        told = slack.post_message("D1", "U1", "Hello")
        await slack.wait_for_sent(1, timeout_s=PATIENCE_S)
        await gateway.stop()

        [message] = slack.sent()
        assert (message.text, message.thread_ts) == (ANSWER, told["event"]["ts"])
        assert len(slack.calls_of("chat.appendStream")) >= 1
        assert slack.calls_of("chat.postMessage") == []
        assert slack.status_of("D1", told["event"]["ts"]) == ""
        assert slack.problems == []
        assert await findings(gateway) == []


@pytest.mark.proves("SL-44", "SL-20")
async def test_sl_44_a_mention_in_a_channel_is_streamed_for_the_person_who_asked(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path) as (gateway, slack):
        await gateway.start()
        slack.release_events()
        [told, _] = slack.mention("C1", "U1", "Hello")
        await slack.wait_for_sent(1, timeout_s=PATIENCE_S)
        await gateway.stop()

        [start] = slack.calls_of("chat.startStream")
        assert start.params["recipient_user_id"] == "U1"
        assert start.params["thread_ts"] == told["event"]["ts"]
        assert standing(slack) == [(ANSWER, False)]
        assert slack.problems == []


@pytest.mark.proves("SL-45")
@pytest.mark.parametrize("point", ["after_t2b", "after_opening", "mid_llm"])
async def test_sl_45_a_kill_around_the_opening_leaves_one_finished_message(
    tmp_path: Path, point: str
) -> None:
    async with connected(tmp_path) as (gateway, slack):
        await gateway.start(environment={ENVIRONMENT: point})
        slack.release_events()
        slack.post_message("D1", "U1", "Hello")
        await gateway.wait_for_end()
        await gateway.start()
        await slack.wait_for_sent(1, timeout_s=PATIENCE_S)
        await settled(slack)
        await gateway.stop()

        assert standing(slack) == [(ANSWER, False)]
        assert slack.problems == []
        assert await findings(gateway) == []


@pytest.mark.proves("C-7")
async def test_c_7_a_reply_whose_answer_was_not_stored_is_found_and_not_sent_again(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path) as (gateway, slack):
        slack.fail("chat.startStream", Drop(accepted=False), times=None)
        await gateway.start(environment={ENVIRONMENT: "after_send"})
        slack.release_events()
        slack.post_message("D1", "U1", "Hello")
        await gateway.wait_for_end()
        await gateway.start()
        slack.post_message("D1", "U1", "Again", thread_ts=slack.sent()[0].thread_ts)
        await slack.wait_for_sent(2, timeout_s=PATIENCE_S)
        await gateway.stop()

        assert standing(slack) == [(ANSWER, False), (ANSWER, False)]
        [decided] = logged(gateway, "delivery_doubt_decided")
        assert decided["outcome"] == "sent"
        assert slack.problems == []
        assert await findings(gateway) == []


async def settled(slack: SlackServer) -> None:
    """Return when nothing is still being written."""
    await slack.wait_until(
        lambda: all(message.is_whole for message in slack.sent()), timeout_s=PATIENCE_S
    )
