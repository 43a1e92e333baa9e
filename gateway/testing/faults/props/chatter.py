"""People who chat on while a fault is played: rows time how long the webhook takes with each.

The fake platform carries its updates itself, several at once; here they go one by one.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from gateway.testing.scene import SECRET, UnexpectedAnswer
from gateway.testing.telegram import updates
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.updates import Person

CHATS = 200
FIRST_UPDATE = 1_000_000
ANSWER_WITHIN_S = 20.0


class Chatter:
    """Posts messages of many chats to the webhook that the gateway has set."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self.count = 0
        self._client = client
        self._url = url

    async def post(self) -> None:
        """One message; returns when the gateway has taken it, raises UnexpectedAnswer if not."""
        self.count += 1
        chat = 1 + self.count % CHATS
        content = updates.text_message(
            chat, Person(chat), f"note {self.count}", message_id=self.count, date=int(time.time())
        )
        update = {"update_id": FIRST_UPDATE + self.count, **content}
        async with self._client.post(self._url, json=update) as answer:
            if answer.status != 200:
                raise UnexpectedAnswer(f"the webhook said {answer.status}: {await answer.text()}")


@asynccontextmanager
async def chatting(telegram: TelegramServer) -> AsyncIterator[Chatter]:
    """Chatter at the webhook, once it is set."""
    [call, *_] = await telegram.wait_for_calls("setWebhook", timeout_s=ANSWER_WITHIN_S)
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    headers = {"X-Telegram-Bot-Api-Secret-Token": SECRET}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as client:
        yield Chatter(client, str(call.params["url"]))
