"""Slack's views for agents: what a person is offered to ask first."""

import pytest

from gateway.testing.host import FakeHost
from gateway.testing.misbehaviour import HtmlError
from gateway.testing.slack.faults import SlackError
from tests.channels.slack.running import hooked, socketed

METHOD = "assistant.threads.setSuggestedPrompts"


def offering(*texts: str) -> FakeHost:
    host = FakeHost()
    host.offers = texts or ("What can you do?", "Where is my order?")
    return host


@pytest.mark.proves("SL-26")
@pytest.mark.parametrize("receive", [hooked, socketed], ids=["http", "socket"])
async def test_sl_26_the_assistants_thread_gets_suggestions(receive):
    async with receive(host=offering()) as running:
        opened = running.slack.open_assistant("U1")["event"]["assistant_thread"]
        [call] = await running.slack.wait_for_calls(METHOD)

        assert call.params["channel_id"] == opened["channel_id"]
        assert call.params["thread_ts"] == opened["thread_ts"]
        assert [one["message"] for one in call.params["prompts"]] == list(running.host.offers)
        assert running.slack.problems == []


@pytest.mark.proves("SL-26")
async def test_sl_26_the_messages_tab_of_an_agent_gets_them_without_a_thread():
    async with hooked(host=offering()) as running:
        running.slack.open_home("U1", tab="messages")
        [call] = await running.slack.wait_for_calls(METHOD)

        assert "thread_ts" not in call.params
        assert call.params["channel_id"] == "D1"
        assert running.slack.problems == []


@pytest.mark.proves("SL-26")
async def test_sl_26_neither_the_home_tab_nor_a_changed_context_asks_for_any():
    async with hooked(host=offering()) as running:
        running.slack.open_home("U1", tab="home")
        running.slack.post_event({"type": "assistant_thread_context_changed"})
        await running.slack.wait_until_acknowledged()
        running.slack.open_assistant("U1")
        await running.slack.wait_for_calls(METHOD)

        assert len(running.slack.calls_of(METHOD)) == 1


@pytest.mark.proves("SL-26")
async def test_sl_26_without_suggestions_slack_is_not_asked():
    async with hooked() as running:
        running.slack.open_assistant("U1")
        await running.slack.wait_until_acknowledged()

        assert running.slack.calls_of(METHOD) == []


@pytest.mark.proves("SL-26")
async def test_sl_26_there_are_four_at_most_and_long_ones_have_short_titles():
    async with hooked(host=offering("a" * 200, *"bcdef")) as running:
        running.slack.open_assistant("U1")
        [call] = await running.slack.wait_for_calls(METHOD)

        first, *others = call.params["prompts"]
        assert (len(first["title"]), len(first["message"]), len(others)) == (75, 200, 3)


@pytest.mark.proves("SL-26")
@pytest.mark.parametrize("fault", [SlackError("missing_scope"), HtmlError(502)], ids=["no", "away"])
async def test_sl_26_a_failure_is_nobodys_trouble(fault):
    async with hooked(host=offering()) as running:
        running.slack.fail(METHOD, fault)
        running.slack.open_assistant("U1")
        await running.slack.wait_for_calls(METHOD)
        running.slack.post_message("D1", "U1", "hello")
        await running.heard()

        assert running.host.texts == ["hello"]
        assert {attempt.status for attempt in running.slack.attempts} == {200}
