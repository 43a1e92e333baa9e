"""A Telegram channel between a fake Bot API and a fake gateway, with short waiting times."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from channels.telegram.adapter import TelegramChannel
from channels.telegram.polling import PollTimes
from channels.telegram.settings import TelegramSettings
from channels.telegram.webhook import SECRET_HEADER, WebhookTimes
from gateway.contract import Address, Json, OutboundMessage, ReplyTo
from gateway.testing import TelegramServer
from gateway.testing.host import FakeHost

SECRET = "right-secret"

QUICK_POLLS = PollTimes(
    wait_s=2,
    idle_s=0.01,
    store_pause_s=0.01,
    first_pause_s=0.01,
    longest_pause_s=0.02,
    rival_first_s=0.01,
    rival_longest_s=0.02,
)
QUICK_CHECKS = WebhookTimes(check_s=0.05, first_pause_s=0.01, longest_pause_s=0.02)


def settings_for(telegram: TelegramServer, **changed) -> TelegramSettings:
    values = {"token": telegram.token, "api_url": telegram.api_url, **changed}
    return TelegramSettings.model_validate(values)


def channel_for(
    telegram: TelegramServer, *, public_url: str = "http://127.0.0.1:1", **changed
) -> TelegramChannel:
    channel = TelegramChannel("tg", settings_for(telegram, **changed), public_url=public_url)
    channel.poll_times = QUICK_POLLS
    channel.webhook_times = QUICK_CHECKS
    return channel


@dataclass
class Running:
    """A connected channel and both its ends."""

    channel: TelegramChannel
    host: FakeHost
    telegram: TelegramServer

    def parts(self, text: str, *, chat: int = 7, reply_to: str | None = None) -> list[Json]:
        reply = ReplyTo(message_ref=reply_to, sender_id="7") if reply_to else None
        address = Address("tg", str(chat))
        return self.channel.render(OutboundMessage(address=address, text=text, reply_to=reply))

    async def send(
        self,
        text: str,
        *,
        chat: int = 7,
        thread: str | None = None,
        reply_to: str | None = None,
    ) -> str | None:
        [part] = self.parts(text, chat=chat, reply_to=reply_to)
        address = Address("tg", str(chat), thread)
        return (await self.channel.deliver(address, part, delivery_id="dlv_1")).provider_id


@asynccontextmanager
async def connected(telegram: TelegramServer | None = None, **changed) -> AsyncIterator[Running]:
    """Able to send."""
    host = FakeHost()
    async with telegram or TelegramServer() as server:
        channel = channel_for(server, **changed)
        async with channel.connected(host):
            yield Running(channel, host, server)


@asynccontextmanager
async def polling(telegram: TelegramServer | None = None, **changed) -> AsyncIterator[Running]:
    """Able to send and to hear by polling."""
    async with connected(telegram, **changed) as running, running.channel.receiving():
        yield running


@dataclass
class Hooked(Running):
    """A channel behind a real HTTP server, where Telegram posts its updates."""

    session: ClientSession
    url: str

    async def call(self, body: bytes, *, secret: str | None = SECRET) -> tuple[int, str]:
        """Call the webhook; gives status and Retry-After."""
        headers = {SECRET_HEADER: secret} if secret is not None else {}
        async with self.session.post(self.url, data=BytesIO(body), headers=headers) as response:
            return response.status, response.headers.get("Retry-After", "")


@asynccontextmanager
async def served(channel: TelegramChannel) -> AsyncIterator[str]:
    """The channel's routes on a free port; gives the webhook's address."""
    app = web.Application()
    app.add_routes(channel.routes())
    async with TestServer(app) as server:
        yield str(server.make_url("/hooks/tg"))


@asynccontextmanager
async def hooked(telegram: TelegramServer | None = None) -> AsyncIterator[Hooked]:
    """Able to send and to hear by webhook."""
    host = FakeHost()
    async with telegram or TelegramServer() as fake, ClientSession() as session:
        channel = channel_for(fake, receive="webhook", webhook_secret=SECRET)
        async with served(channel) as url:
            channel.public_url = url.removesuffix("/hooks/tg")
            async with channel.connected(host), channel.receiving():
                await fake.wait_for_calls("setWebhook")
                yield Hooked(channel, host, fake, session, url)
