"""Secrets of the configuration: in no line of the log, at its most talkative, on bad days too."""

from pathlib import Path

import aiohttp

from gateway.testing import Drop, HtmlError, HttpError, OpenAIServer, TelegramServer, WebhookRetry
from gateway.testing.scene import DESK, PATIENCE_S, SECRET, over_endpoint, serving

TOKEN = "987654321:AAcanaryTokenOfTheStory0123456789ab"
MODEL_KEY = "sk-canary-of-the-story"


def channel(telegram: TelegramServer) -> str:
    return f"""
[log]
level = "debug"

[[channels]]
name = "tg"
kind = "telegram"
bot = "support"
token = "{TOKEN}"
receive = "webhook"
webhook_secret = "{SECRET}"
api_url = "{telegram.api_url}"
"""


async def test_no_secret_is_ever_in_the_log(tmp_path: Path) -> None:
    async with (
        OpenAIServer() as model,
        TelegramServer(token=TOKEN, retry=WebhookRetry(scale=0.01)) as telegram,
    ):
        config = over_endpoint(model, key=MODEL_KEY) + DESK + channel(telegram)
        async with serving(tmp_path, config) as (gateway, caller):
            await telegram.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
            model.enqueue(HttpError(500, f"your key {MODEL_KEY} met an error"))
            telegram.fail("sendMessage", Drop(accepted=False))
            telegram.fail("sendChatAction", HtmlError(502))

            telegram.post_text(7, 7, "Hi")
            answer = await caller.call("POST", "/v1/chat?x=1", {"input": "Hi"})
            async with aiohttp.ClientSession() as stranger:
                wrong = {"Authorization": f"Bearer {caller.key}x"}
                await (await stranger.get(f"{gateway.url}/v1/bots", headers=wrong)).read()
            await telegram.wait_for_sent(1, timeout_s=PATIENCE_S)
            await gateway.stop()

            assert answer.status == 400
            assert '"level": "debug"' in gateway.log
            secrets = (TOKEN, TOKEN.split(":")[1], MODEL_KEY, SECRET, caller.key)
            assert [secret for secret in secrets if secret in gateway.log] == []
