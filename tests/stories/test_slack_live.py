"""What people on Slack see while the answer is being written, through the whole daemon."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.testing import OpenAIServer, SlackServer
from gateway.testing.openai.replies import Reply
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, on_slack, over_endpoint
from gateway.testing.slack.faults import SlackError
from tests.stories.checks import findings

ANSWER = " ".join(f"word{number}" for number in range(24))
APPEND = "chat.appendStream"


@asynccontextmanager
async def writing(folder: Path) -> AsyncIterator[tuple[GatewayProcess, SlackServer]]:
    """A gateway whose model takes more than two seconds to say its answer, and Slack."""
    slowly = Reply(ANSWER, between_s=0.1)
    async with OpenAIServer(lambda _: slowly) as model, SlackServer() as slack:
        config = over_endpoint(model) + DESK + on_slack(slack)
        async with GatewayProcess(folder, config=config) as gateway:
            await gateway.start()
            slack.deliver_to(f"{gateway.url}/hooks/slack/events")
            yield gateway, slack


async def until_answered(slack: SlackServer) -> None:
    """Wait until the whole answer stands there, and nothing else of the app."""
    await slack.wait_until(
        lambda: [each.text for each in slack.sent("C1")] == [ANSWER], timeout_s=PATIENCE_S
    )


@pytest.mark.proves("SL-44", "SL-45")
async def test_sl_44_sl_45_a_kill_while_an_answer_grows_leaves_it_in_one_whole_message(
    tmp_path: Path,
) -> None:
    async with writing(tmp_path) as (gateway, slack):
        [told, _] = slack.mention("C1", "U1", "hello")
        await slack.wait_for_calls(APPEND, timeout_s=PATIENCE_S)
        await gateway.kill()
        await gateway.start()
        await until_answered(slack)

        [message] = slack.sent("C1")
        assert (message.thread_ts, message.is_streaming) == (told["event"]["ts"], False)
        assert slack.problems == []
        assert await findings(gateway) == []


@pytest.mark.proves("SL-44")
async def test_sl_44_an_append_that_fails_costs_the_growing_and_not_the_answer(
    tmp_path: Path,
) -> None:
    async with writing(tmp_path) as (gateway, slack):
        slack.fail(APPEND, SlackError("message_not_in_streaming_state"))
        slack.mention("C1", "U1", "hello")
        await until_answered(slack)

        assert len(slack.calls_of(APPEND)) == 1
        assert await findings(gateway) == []
