"""Calls to a Telegram webhook, byte for byte as a row wants them, and their answers.

The fake platform carries its updates itself and hides what it was answered; here every copy of an
update, and what is none at all, is posted by hand.
"""

from __future__ import annotations

import json
from typing import Final

import aiohttp

from gateway.testing.scene import SECRET, Answered
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.updates import Person, text_message

SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name
_FIRST_UPDATE: Final = 5000
_SENT_AT: Final = 1_790_000_000


class RawWebhook:
    """Somebody who knows a webhook's address, and by default its secret."""

    def __init__(self, client: aiohttp.ClientSession, telegram: TelegramServer) -> None:
        self._client = client
        self.address = str(telegram.calls_of("setWebhook")[-1].params["url"])

    def text(self, chat: int, text: str) -> bytes:
        """The one update of a chat: somebody writes a text."""
        content = text_message(chat, Person(chat), text, message_id=1, date=_SENT_AT)
        return json.dumps({"update_id": _FIRST_UPDATE + chat, **content}).encode()

    async def post(self, body: bytes, *, secret: str | None = SECRET) -> Answered:
        """One call with that body; `secret` None leaves the header out."""
        headers = {"Content-Type": "application/json"}
        if secret is not None:
            headers[SECRET_HEADER] = secret
        async with self._client.post(self.address, data=body, headers=headers) as answer:
            return Answered(answer.status, answer.headers, await answer.text())


def rewritten(body: bytes) -> bytes:
    """The same document in other letters: members in another order, other white space."""
    return json.dumps(json.loads(body), indent=1, sort_keys=True).encode()
