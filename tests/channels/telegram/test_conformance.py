"""The Telegram channel keeps the channel contract, by long polling and by webhook."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp

from channels.telegram.adapter import TelegramChannel
from channels.telegram.webhook import SECRET_HEADER
from gateway.testing import (
    ApiError,
    Drop,
    Hang,
    HtmlError,
    Person,
    TelegramServer,
    blocked_by_user,
    flood,
    unauthorized,
)
from gateway.testing.conformance import (
    ChannelConformance,
    FileRig,
    FilesConformance,
    PlatformFault,
    Rig,
    WebhookConformance,
    WebhookRig,
)
from gateway.testing.telegram.faults import TelegramFault
from gateway.testing.telegram.webhook import WebhookRetry
from tests.channels.telegram.running import QUICK_CHECKS, QUICK_POLLS, SECRET, settings_for
from tests.testing.telegram.client import spec_file_if_any

FAULTS: dict[PlatformFault, TelegramFault] = {
    "throttled": flood(2),
    "refused_part": ApiError(400, "Bad Request: message text is empty"),
    "refused_address": blocked_by_user(),
    "refused_account": unauthorized(),
    "lost_before": Drop(accepted=False),
    "lost_after": Drop(accepted=True),
    "server_error": HtmlError(502),
    "garbage": HtmlError(200, "<html>who am I?</html>"),
    "silence": Hang(),
}


class TelegramRig(WebhookRig, FileRig):
    """A bot, and the fake Telegram."""

    name = "tg"

    def __init__(self, telegram: TelegramServer, public_url: str, **options: Any) -> None:
        self.secrets = (telegram.token, SECRET)
        self._telegram = telegram
        self._public_url = public_url
        self._options = options

    def channel(self) -> TelegramChannel:
        return self._channel(self._telegram.token)

    def stranger(self) -> TelegramChannel:
        return self._channel("1:not-this-bot")

    async def write(self, text: str, *, chat: int = 1) -> Any:
        if self._options["receive"] == "webhook":
            await self._telegram.wait_for_calls("setWebhook")
        return self._telegram.post_text(chat, chat, text)

    async def write_again(self, event: Any) -> None:
        self._telegram.redeliver(event)

    async def write_as_bot(self, text: str) -> Any:
        return self._telegram.post_text(1, Person(99, is_bot=True), text)

    async def send_file(self, content: bytes) -> Any:
        if self._options["receive"] == "webhook":
            await self._telegram.wait_for_calls("setWebhook")
        return self._telegram.post_file(1, 1, content, name="a.txt")

    def lose_files(self) -> None:
        self._telegram.forget_files()

    async def happen(self) -> Any:
        return self._telegram.post_text(1, 1, "", extra={"invention_of_tomorrow": {"a": 1}})

    async def wait_until_acknowledged(self, event: Any, *, timeout_s: float = 10) -> None:
        await self._telegram.wait_until(lambda: self.is_acknowledged(event), timeout_s=timeout_s)

    def is_acknowledged(self, event: Any) -> bool:
        return event not in self._telegram.pending

    def sent(self, chat: int = 1) -> Sequence[str]:
        return [message.text for message in self._telegram.sent(chat)]

    def fail(self, fault: PlatformFault, *, every: bool = False) -> None:
        method = "*" if every else "sendMessage"
        self._telegram.fail(method, FAULTS[fault], times=None if every else 1)

    async def vanish(self) -> None:
        await self._telegram.__aexit__(None, None, None)

    def complaints(self) -> Sequence[str]:
        return self._telegram.problems

    async def forge(self, text: str) -> int:
        return await self._post(b'{"update_id": 1}', secret="not-the-secret")

    async def babble(self) -> int:
        return await self._post(b"\xff{nonsense", secret=SECRET)

    async def _post(self, body: bytes, *, secret: str) -> int:
        url = f"{self._public_url}/hooks/{self.name}"
        async with (
            aiohttp.ClientSession(headers={SECRET_HEADER: secret}) as client,
            client.post(url, data=body) as answer,
        ):
            return answer.status

    def _channel(self, token: str) -> TelegramChannel:
        settings = settings_for(self._telegram, **{**self._options, "token": token})
        channel = TelegramChannel(self.name, settings, public_url=self._public_url)
        channel.poll_times = QUICK_POLLS
        channel.webhook_times = QUICK_CHECKS
        return channel


@asynccontextmanager
async def rig(public_url: str, **options: Any) -> AsyncIterator[Rig]:
    async with TelegramServer(
        retry=WebhookRetry(scale=0.02),
        spec=spec_file_if_any(),
        newer={"sendMessageDraft": ["can_stop", "keep_on_stop"]},
    ) as telegram:
        yield TelegramRig(telegram, public_url, **options)


class TestPolling(ChannelConformance, FilesConformance):
    def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
        return rig(public_url, receive="polling")


class TestWebhook(ChannelConformance, FilesConformance, WebhookConformance):
    def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
        return rig(public_url, receive="webhook", webhook_secret=SECRET)
