"""The plain channel keeps the channel contract, in all that a channel may do."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
from pydantic import SecretStr

from gateway.testing import Drop, Hang, HtmlError
from gateway.testing.conformance import (
    AskableConformance,
    ChannelConformance,
    GrowingConformance,
    GrowingRig,
    PlatformFault,
    Rig,
    WebhookConformance,
    WebhookRig,
)
from gateway.testing.plain.channel import PlainChannel, PlainSettings
from gateway.testing.plain.courier import TOKEN_HEADER
from gateway.testing.plain.faults import PlainFault, Refusal
from gateway.testing.plain.server import PlainServer

FAULTS: dict[PlatformFault, PlainFault] = {
    "throttled": Refusal(429, retry_after_s=2),
    "refused_part": Refusal(422),
    "refused_address": Refusal(403),
    "refused_account": Refusal(401),
    "lost_before": Drop(accepted=False),
    "lost_after": Drop(accepted=True),
    "server_error": HtmlError(502),
    "garbage": HtmlError(200, "<html>who am I?</html>"),
    "silence": Hang(),
}


class PlainRig(GrowingRig, WebhookRig):
    """An account, and the platform."""

    name = "plain"

    def __init__(self, plain: PlainServer, public_url: str) -> None:
        self.secrets = (plain.token,)
        self._plain = plain
        self._public_url = public_url

    def channel(self) -> PlainChannel:
        return self._channel(self._plain.token)

    def stranger(self) -> PlainChannel:
        return self._channel("guessed")

    async def write(self, text: str, *, chat: int = 1) -> Any:
        return self._plain.post_text(str(chat), text)

    async def write_again(self, event: Any) -> None:
        self._plain.redeliver(event)

    async def write_as_bot(self, text: str) -> Any:
        return self._plain.post_text("1", text, is_bot=True)

    async def happen(self) -> Any:
        return self._plain.post("invention of tomorrow", chat="1")

    async def wait_until_acknowledged(self, event: Any, *, timeout_s: float = 10) -> None:
        await self._plain.wait_until(lambda: self.is_acknowledged(event), timeout_s=timeout_s)

    def is_acknowledged(self, event: Any) -> bool:
        return event not in self._plain.pending

    def sent(self, chat: int = 1) -> Sequence[str]:
        return [message.text for message in self._plain.shown(str(chat))]

    def open_messages(self, chat: int = 1) -> int:
        return sum(message.chat == str(chat) for message in self._plain.open)

    def fail(self, fault: PlatformFault, *, every: bool = False) -> None:
        self._plain.fail("*" if every else "send", FAULTS[fault], times=None if every else 1)

    async def vanish(self) -> None:
        await self._plain.__aexit__(None, None, None)

    def complaints(self) -> Sequence[str]:
        return self._plain.problems

    async def forge(self, text: str) -> int:
        return await self._post(b'{"id": "e1"}', token="guessed")

    async def babble(self) -> int:
        return await self._post(b"\xff{nonsense", token=self._plain.token)

    async def _post(self, body: bytes, *, token: str) -> int:
        url = f"{self._public_url}/hooks/{self.name}"
        async with (
            aiohttp.ClientSession(headers={TOKEN_HEADER: token}) as client,
            client.post(url, data=body) as answer,
        ):
            return answer.status

    def _channel(self, token: str) -> PlainChannel:
        settings = PlainSettings(token=SecretStr(token), api_url=self._plain.api_url)
        return PlainChannel(self.name, settings, public_url=self._public_url)


@asynccontextmanager
async def rig(public_url: str) -> AsyncIterator[Rig]:
    async with PlainServer() as plain:
        yield PlainRig(plain, public_url)


class TestPlainChannel(
    ChannelConformance, WebhookConformance, AskableConformance, GrowingConformance
):
    def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
        return rig(public_url)
