"""The Slack channel: one app, in one workspace or in several, on the channel contract.

Takes `SlackSettings`; hears by the Events API over HTTP or by Socket Mode, and says what is to be
said. Puts the pieces together and holds the connection; what an event means is in `parse.py`, what
a reply looks like in `render.py`, what an error means in `failures.py`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import ClassVar, Final

import structlog
from aiohttp import web
from pydantic import BaseModel

from channels.slack.api import SlackApi, SlackError, SlackRefused
from channels.slack.catching_up import CatchingUp
from channels.slack.door import Door
from channels.slack.downloads import Downloads
from channels.slack.failures import delivery_error
from channels.slack.installations import Installations, prove
from channels.slack.installing import InstallPages
from channels.slack.outgoing import CAPABILITIES, Outgoing
from channels.slack.recent import Recent
from channels.slack.render import parts
from channels.slack.settings import SlackSettings
from channels.slack.socket_mode import SocketReceiver, SocketTimes
from channels.slack.webhook import WebhookCalls
from gateway.contract import (
    Address,
    Attachment,
    Capabilities,
    Channel,
    ChannelHost,
    Json,
    LiveOutput,
    OutboundMessage,
    Receipt,
    ReplyTo,
    SentQuery,
)
from gateway.errors import DeliveryLater, DeliveryRefused

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Line:
    """What exists while the channel is connected."""

    api: SlackApi
    host: ChannelHost
    installations: Installations
    door: Door
    past: CatchingUp
    outgoing: Outgoing
    downloads: Downloads


class SlackChannel(Channel):
    """One Slack app."""

    kind: ClassVar[str] = "slack"
    settings_model: ClassVar[type[BaseModel]] = SlackSettings

    socket_times: SocketTimes = SocketTimes()

    def __init__(self, name: str, settings: BaseModel, *, public_url: str) -> None:
        super().__init__(name, settings, public_url=public_url)
        if not isinstance(settings, SlackSettings):
            raise TypeError("a Slack channel takes SlackSettings")
        self._options = settings
        self._line: _Line | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Text in parts, buttons, growing messages, and histories that can be asked."""
        return CAPABILITIES

    def routes(self) -> list[web.RouteDef]:
        """The request URLs, if events come that way, and the install page, if there is one."""
        base = f"/hooks/{self.name}"
        routes: list[web.RouteDef] = []
        secret = self._options.signing_secret
        if self._options.receive == "events" and secret is not None:
            calls = WebhookCalls(
                secret.get_secret_value(), door=lambda: self._line.door if self._line else None
            )
            names = ("events", "interactivity", "commands")
            routes += [web.post(f"{base}/{name}", calls.answer) for name in names]
        if self._options.client_id is not None:
            pages = InstallPages(
                self._options,
                url=self._url,
                installations=lambda: self._line.installations if self._line else None,
            )
            routes.append(web.get(f"{base}/install", pages.install))
            routes.append(web.get(f"{base}/oauth", pages.oauth))
        return routes

    @asynccontextmanager
    async def connected(self, host: ChannelHost) -> AsyncIterator[None]:
        """Able to send while inside; a configured token is proven before."""
        async with SlackApi(self._options.base_url) as api:
            installations = Installations(host, api, settings=self._options)
            with refusals():
                await installations.open()
            door = Door(
                host,
                api,
                channel=self.name,
                settings=self._options,
                installations=installations,
                recent=Recent(),
            )
            outgoing = Outgoing(api, installations, host=host, settings=self._options)
            past = CatchingUp(host, api, installations=installations, door=door)
            await past.open()
            self._line = _Line(
                api=api,
                host=host,
                installations=installations,
                door=door,
                past=past,
                outgoing=outgoing,
                downloads=Downloads(api, installations, api_url=self._options.base_url),
            )
            single = installations.single
            _log.info("slack_connected", channel=self.name, team=single.team if single else None)
            host.health("connected")
            try:
                yield
            finally:
                self._line = None
                await outgoing.close()
                await door.close()

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Able to hear while inside; what was said before is looked up first.

        An error nobody expected ends the block, so that the gateway connects anew.
        """
        line = self._line_or_later()
        try:
            async with asyncio.TaskGroup() as tasks:
                listener = tasks.create_task(self._listen(line), name=f"{self.name} receiving")
                yield
                listener.cancel()
        finally:
            await line.past.close()

    def render(self, message: OutboundMessage) -> list[Json]:
        """Parts of Markdown within Slack's limits."""
        return parts(message)

    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None = None
    ) -> Receipt:
        """Send one part; what Slack finds too much goes out smaller or plainer."""
        outgoing = self._line_or_later().outgoing
        return await outgoing.deliver(address, part, delivery_id=delivery_id, open_ref=open_ref)

    async def find_sent(self, query: SentQuery) -> Receipt | None:
        """Look in the history, where our messages carry the id of their delivery."""
        return await self._line_or_later().outgoing.find_sent(query)

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        """A status line, and in threads a message that grows."""
        if self._line is None:
            yield None
            return
        async with self._line.outgoing.live(address, reply_to, open_ref=open_ref) as output:
            yield output

    async def fetch(self, attachment: Attachment) -> AsyncGenerator[bytes, None]:
        """The bytes of a file that somebody shared."""
        async for piece in self._line_or_later().downloads.pieces(attachment):
            yield piece

    async def probe(self) -> str:
        """Who the token belongs to."""
        async with SlackApi(self._options.base_url) as api:
            with refusals():
                who = await self._proven(api)
        return f"{who}; hears by {self._options.receive}"

    async def _proven(self, api: SlackApi) -> str:
        if self._options.receive == "socket" and self._options.app_token is not None:
            await api.call(
                "apps.connections.open", token=self._options.app_token.get_secret_value()
            )
        if self._options.bot_token is None:
            return f"installed from {self._url}/install"
        token = self._options.bot_token.get_secret_value()
        found = await prove(api, token, now=time.time())
        return f"{found.bot_user} in {found.name} ({found.team})"

    @property
    def _url(self) -> str:
        return f"{self.public_url.rstrip('/')}/hooks/{self.name}"

    def _line_or_later(self) -> _Line:
        if self._line is None:
            raise DeliveryLater(f"channel {self.name} is not connected", scope="account")
        return self._line

    async def _listen(self, line: _Line) -> None:
        """Hear until cancelled; HTTP comes by itself."""
        token = self._options.app_token
        if self._options.receive == "events" or token is None:
            await line.past.run()
            return
        receiver = SocketReceiver(
            line.api,
            line.door,
            host=line.host,
            app_token=token.get_secret_value(),
            make_good=line.past.run,
            times=self.socket_times,
        )
        await receiver.run()


@contextmanager
def refusals() -> Iterator[None]:
    """Errors of Slack as `connected` tells them: nothing was sent, so nothing is doubtful."""
    try:
        yield
    except SlackError as error:
        meaning = delivery_error(error)
        if isinstance(meaning, DeliveryRefused) and meaning.scope == "account":
            raise meaning from error
        after_s = error.retry_after_s if isinstance(error, SlackRefused) else None
        raise DeliveryLater(str(meaning), retry_after_s=after_s) from error
