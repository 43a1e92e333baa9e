"""A Slack channel between a fake Slack and a fake gateway, with short waiting times."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from yarl import URL

from channels.slack.adapter import SlackChannel
from channels.slack.settings import SlackSettings
from channels.slack.socket_mode import SocketTimes
from gateway.contract import Address
from gateway.testing.host import FakeHost
from gateway.testing.process import free_port
from gateway.testing.slack.deliveries import EventRetry
from gateway.testing.slack.endpoint import SlackServer

QUICK_SOCKETS = SocketTimes(
    silent_s=0.4,
    first_pause_s=0.01,
    longest_pause_s=0.02,
    crowded_s=0.02,
    hello_s=1,
    drain_s=1,
)
QUICK_RETRY = EventRetry(scale=0.002)


def settings_for(slack: SlackServer, **changed: Any) -> SlackSettings:
    values = {
        "bot_token": slack.bot_token,
        "signing_secret": slack.signing_secret,
        "app_token": slack.app_token,
        "api_url": slack.api_url,
        **changed,
    }
    return SlackSettings.model_validate({k: v for k, v in values.items() if v is not None})


def by_oauth(slack: SlackServer, **changed: Any) -> SlackSettings:
    client = {"client_id": slack.client_id, "client_secret": slack.client_secret}
    return settings_for(slack, bot_token=None, **client, **changed)


def channel_for(
    slack: SlackServer,
    settings: SlackSettings | None = None,
    *,
    name: str = "slack",
    **changed: Any,
) -> SlackChannel:
    settings = settings or settings_for(slack, **changed)
    channel = SlackChannel(name, settings, public_url=f"http://127.0.0.1:{free_port()}")
    channel.socket_times = QUICK_SOCKETS
    return channel


@dataclass
class Running:
    """A connected channel that hears, and both its ends; `url` is the channel's own path."""

    channel: SlackChannel
    host: FakeHost
    slack: SlackServer
    url: str = ""

    def address(self, chat: str, thread: str | None = None) -> Address:
        return Address(self.channel.name, f"{self.slack.workspace.id}:{chat}", thread)

    async def heard(self) -> list[Any]:
        """All that was heard, when Slack has nothing more to tell."""
        await self.slack.wait_until_acknowledged()
        return self.host.inbound


@asynccontextmanager
async def served(channel: SlackChannel) -> AsyncIterator[str]:
    """The channel's routes below its public address; gives the address of its own path."""
    app = web.Application()
    app.add_routes(channel.routes())
    async with TestServer(app, port=URL(channel.public_url).port):
        yield f"{channel.public_url}/hooks/{channel.name}"


@asynccontextmanager
async def hooked(
    slack: AbstractAsyncContextManager[SlackServer] | None = None,
    *,
    host: FakeHost | None = None,
    oauth: bool = False,
    **changed: Any,
) -> AsyncIterator[Running]:
    """Able to hear over HTTP; with `oauth` the app is not installed anywhere yet."""
    host = host or FakeHost()
    async with slack or SlackServer(retry=QUICK_RETRY) as server:
        settings = by_oauth(server, **changed) if oauth else settings_for(server, **changed)
        channel = channel_for(server, settings)
        async with served(channel) as url, channel.connected(host), channel.receiving():
            listen(server, url)
            yield Running(channel, host, server, url)


def listen(slack: SlackServer, url: str) -> None:
    """Let the fake Slack tell everything to that channel."""
    slack.deliver_to(
        f"{url}/events", interactivity=f"{url}/interactivity", commands=f"{url}/commands"
    )


@asynccontextmanager
async def socketed(
    slack: AbstractAsyncContextManager[SlackServer] | None = None,
    *,
    host: FakeHost | None = None,
    times: SocketTimes = QUICK_SOCKETS,
    waits: bool = True,
    **changed: Any,
) -> AsyncIterator[Running]:
    """Able to hear by Socket Mode; `waits` until it does."""
    host = host or FakeHost()
    async with slack or SlackServer(retry=QUICK_RETRY) as server:
        channel = channel_for(server, receive="socket", **changed)
        channel.socket_times = times
        async with channel.connected(host), channel.receiving():
            if waits:
                await server.wait_for_sockets()
            yield Running(channel, host, server)
