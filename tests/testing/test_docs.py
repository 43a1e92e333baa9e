"""The examples of docs/testing-kit.md do what the page says."""

import asyncio
import re
import textwrap
from pathlib import Path

import aiohttp
import pytest

import gateway.testing
from tests.testing.slack.app import slack_bot
from tests.testing.twilio.bot import sms_bot

PAGE = Path(__file__).parents[2] / "docs/testing-kit.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


async def ask(base_url: str) -> str:
    """What a small client makes of an answer: text, name of a tool, or status of an error."""
    body = {"model": "m", "messages": [{"role": "user", "content": "What do I owe?"}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}/chat/completions", json=body) as response,
    ):
        if response.status != 200:
            return str(response.status)
        message = (await response.json())["choices"][0]["message"]
    calls = message.get("tool_calls")
    return calls[0]["function"]["name"] if calls else message["content"]


async def run_echo_bot(api_url: str, token: str) -> None:
    """Answer the waiting updates once, as patiently as the platform asks, then stop."""
    async with aiohttp.ClientSession(f"{api_url}/bot{token}/") as session:
        for update in await call(session, "getUpdates"):
            said = update["message"]
            echo = {"chat_id": said["chat"]["id"], "text": f"You said {said['text']}"}
            await call(session, "getUpdates", offset=update["update_id"] + 1)
            await call(session, "sendMessage", **echo)


async def call(session: aiohttp.ClientSession, method: str, **params):
    while True:
        async with session.post(method, json=params) as response:
            answer = await response.json()
        if answer["ok"]:
            return answer["result"]
        await asyncio.sleep(answer["parameters"]["retry_after"])


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
async def test_the_example_works(number: int, tmp_path: Path):
    bots = {"run_echo_bot": run_echo_bot, "sms_bot": sms_bot, "slack_bot": slack_bot}
    names = {**vars(gateway.testing), **bots, "ask": ask, "folder": tmp_path}
    body = textwrap.indent(EXAMPLES[number], "    ")
    exec(compile(f"async def example():\n{body}", f"<example {number}>", "exec"), names)

    await names["example"]()


def test_every_name_of_the_kit_is_on_the_page():
    text = PAGE.read_text() + (gateway.testing.__doc__ or "")
    types_of_results = {
        *("Answer", "BotCall", "Draft", "ModelCall", "Script", "SentMessage", "WebhookAttempt"),
        *("FaultRule", "Person", "Usage", "Window"),
        *("TextMessage", "TwilioAttempt", "TwilioCall"),
        *("Ephemeral", "EventAttempt", "SlackCall", "SlackMessage"),
    }

    assert [
        name
        for name in gateway.testing.__all__
        if name not in types_of_results and not re.search(rf"\b{name}\b", text)
    ] == []


def test_the_page_has_an_example_for_each_server():
    servers = [name for name in gateway.testing.__all__ if name.endswith("Server")]

    assert [name for name in servers if not any(name in example for example in EXAMPLES)] == []
