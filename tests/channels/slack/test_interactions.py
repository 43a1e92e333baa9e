"""Buttons and slash commands, from the fake Slack through a real port."""

from datetime import UTC, datetime

import pytest

from channels.slack.api import SlackApi
from channels.slack.interactions import commanded, pressed
from channels.slack.reading import Reading
from gateway.contract import ActionPressed, InboundMessage, Unreadable
from gateway.testing.slack.messages import SlackMessage
from tests.channels.slack.running import Running, hooked, socketed

NOW = datetime(2026, 11, 20, tzinfo=UTC)
READING = Reading(channel="slack", team="T1", bot_user="U0BOT")


async def asked(running: Running, *, thread: str | None = None) -> SlackMessage:
    """Something with a button, as the app shows it."""
    button = {"type": "button", "action_id": "yes", "value": "approve:1"}
    block = {
        "type": "actions",
        "elements": [{**button, "text": {"type": "plain_text", "text": "Yes"}}],
    }
    params = {"channel": "D1", "thread_ts": thread, "text": "Shall I?", "blocks": [block]}
    running.slack.channel("D1", user="U1")
    async with SlackApi(running.slack.api_url) as api:
        answer = await api.call("chat.postMessage", params, token=running.slack.bot_token)
    return next(one for one in running.slack.sent("D1") if one.ts == answer["ts"])


@pytest.mark.proves("SL-25")
@pytest.mark.parametrize("receive", [hooked, socketed], ids=["http", "socket"])
async def test_sl_25_a_button_says_what_it_carries(receive):
    async with receive() as running:
        shown = await asked(running)
        running.slack.press(shown, "U1", action_id="yes")
        [heard] = await running.heard()

        assert isinstance(heard, ActionPressed)
        assert (heard.value, heard.message_ref) == ("approve:1", shown.ts)
        assert heard.address == running.address("D1")
        assert heard.sender.external_id == f"{running.slack.workspace.id}:U1"


@pytest.mark.proves("SL-25")
async def test_sl_25_a_button_in_a_thread_is_pressed_in_that_thread():
    async with hooked() as running:
        root = running.slack.open_assistant("U1")["event"]["assistant_thread"]["thread_ts"]
        shown = await asked(running, thread=root)
        running.slack.press(shown, "U1", action_id="yes")
        [heard] = await running.heard()

        assert heard.address == running.address("D1", root)


@pytest.mark.proves("SL-25", "C-3")
async def test_sl_25_c_3_the_same_press_has_the_same_id_and_another_one_has_not():
    async with hooked() as running:
        shown = await asked(running)
        press = running.slack.press(shown, "U1", action_id="yes")
        await running.slack.post_to_webhook(press, 2, kind="interactive")
        running.slack.press(shown, "U1", action_id="yes")
        heard = await running.heard()

        assert len(heard) == 4
        assert len({(one.external_id, one.digest) for one in heard}) == 2


@pytest.mark.proves("SL-25")
@pytest.mark.parametrize("receive", [hooked, socketed], ids=["http", "socket"])
@pytest.mark.parametrize(
    ("command", "text", "said"),
    [
        ("/new", "", "/new"),
        ("/bot", "new", "/new"),
        ("/bot", "/stop", "/stop"),
        ("/bot", "LINK Abc", "/link Abc"),
        ("/bot", "link abc", "/link abc"),
        ("/bot", "new ideas for lunch", "new ideas for lunch"),
        ("/ask", "what is &lt;this&gt;?", "what is <this>?"),
        ("/bot", "", "/help"),
    ],
)
async def test_sl_25_a_slash_command_is_a_message(receive, command, text, said):
    async with receive() as running:
        running.slack.command("D1", "U1", command, text)
        [heard] = await running.heard()

        assert isinstance(heard, InboundMessage)
        assert heard.text == said
        assert heard.address == running.address("D1")


@pytest.mark.proves("SL-25", "C-1")
@pytest.mark.parametrize("receive", [hooked, socketed], ids=["http", "socket"])
async def test_sl_25_both_are_acknowledged_with_nothing_and_no_response_url_is_used(receive):
    async with receive() as running:
        running.slack.press(await asked(running), "U1", action_id="yes")
        running.slack.command("C1", "U1", "/new")
        await running.heard()

        assert {attempt.body for attempt in running.slack.attempts} == {""}
        assert running.slack.calls_of("response_url") == []
        assert running.slack.problems == []


@pytest.mark.proves("C-9")
@pytest.mark.parametrize("kind", ["view_submission", "shortcut", "block_suggestion"])
async def test_c_9_other_interactions_are_acknowledged_and_counted(kind):
    async with hooked() as running:
        payload = {"type": kind, "team": {"id": running.slack.workspace.id}}
        [attempt] = await running.slack.post_to_webhook(payload, kind="interactive")

        assert attempt.status == 200
        assert running.host.ignored_kinds == {kind: 1}


@pytest.mark.parametrize(
    "payload",
    [{}, {"type": "block_actions"}, {"type": "block_actions", "actions": [7]}],
    ids=range(3),
)
def test_an_interaction_that_cannot_be_read_is_kept(payload):
    kept = pressed(payload, READING, received_at=NOW)

    assert isinstance(kept[0], Unreadable)


def test_a_menu_that_was_used_is_no_button():
    actions = [{"type": "static_select", "action_ts": "1"}]

    assert pressed({"type": "block_actions", "actions": actions}, READING, received_at=NOW) == (
        "block_actions"
    )


def test_a_command_that_cannot_be_read_is_kept():
    assert isinstance(commanded({"command": "/new"}, READING, received_at=NOW), Unreadable)
