"""The Telegram channel: one bot account on the channel contract.

Takes `TelegramSettings`; gives text and files both ways, by long polling or by webhook, and drafts
while a turn runs. Puts the pieces together and holds the connection; what an update means is in
`parse.py`, what a reply looks like in `render.py`, how it is sent in `sending.py`, what an error
means in `failures.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Final

import structlog
from aiohttp import web
from pydantic import BaseModel

from channels.telegram.bot_api import BotApi
from channels.telegram.door import Door
from channels.telegram.failures import Throttles, connect_error
from channels.telegram.files import pieces_of
from channels.telegram.live import Drafts, live_output
from channels.telegram.polling import Poller, PollTimes
from channels.telegram.reading import Me, Reading
from channels.telegram.render import parts
from channels.telegram.sending import Sender
from channels.telegram.settings import TelegramSettings
from channels.telegram.transport import NoAnswer, Refused
from channels.telegram.webhook import (
    WebhookCalls,
    WebhookKeeper,
    WebhookTimes,
    registered_sentence,
)
from gateway.contract import (
    Address,
    Attachment,
    Capabilities,
    Channel,
    ChannelHost,
    Json,
    LiveOutput,
    OutboundMessage,
    Pace,
    Receipt,
    ReplyTo,
)
from gateway.errors import DeliveryLater

_log: Final = structlog.get_logger(__name__)

PACE: Final = Pace(
    account_per_s=30,
    address_per_s=1,
    address_burst=3,
    slow=lambda address: address.chat.startswith("-"),
    slow_per_s=17 / 60,
    slow_burst=3,
)
"""30 messages a second for a bot, 1 a second in a chat with short bursts, 20 a minute in a group.
Bot FAQ of Telegram, "My bot is hitting limits"; read November 2026.
"""


@dataclass(frozen=True, slots=True)
class _Line:
    """What exists while the channel is connected."""

    api: BotApi
    host: ChannelHost
    me: Me
    door: Door
    sender: Sender
    drafts: Drafts


class TelegramChannel(Channel):
    """One Telegram bot."""

    kind: ClassVar[str] = "telegram"
    settings_model: ClassVar[type[BaseModel]] = TelegramSettings

    poll_times: PollTimes = PollTimes()
    webhook_times: WebhookTimes = WebhookTimes()

    def __init__(self, name: str, settings: BaseModel, *, public_url: str) -> None:
        super().__init__(name, settings, public_url=public_url)
        if not isinstance(settings, TelegramSettings):
            raise TypeError("a Telegram channel takes TelegramSettings")
        self._options = settings
        self._line: _Line | None = None
        self._throttles = Throttles()

    @property
    def capabilities(self) -> Capabilities:
        """Text in parts with buttons, drafts, and no way to ask what was sent."""
        return Capabilities(live="preview", buttons=True, pace=PACE)

    def routes(self) -> list[web.RouteDef]:
        """The webhook, if updates come that way."""
        secret = self._webhook_secret
        if secret is None:
            return []
        calls = WebhookCalls(secret, door=lambda: self._line.door if self._line else None)
        return [web.post(f"/hooks/{self.name}", calls.answer)]

    @asynccontextmanager
    async def connected(self, host: ChannelHost) -> AsyncIterator[None]:
        """Able to send while inside; the token is proven before."""
        async with self._opened() as (api, me):
            reading = Reading(me=me, channel=self.name, groups=self._options.groups)
            door = Door(host, api, reading=reading)
            sender = Sender(
                api,
                host,
                door=door,
                throttles=self._throttles,
                link_previews=self._options.link_previews,
            )
            self._line = _Line(api=api, host=host, me=me, door=door, sender=sender, drafts=Drafts())
            _log.info(
                "telegram_connected",
                channel=self.name,
                bot_id=me.id,
                username=me.username,
                reads_all_group_messages=me.reads_groups,
            )
            if self._options.groups == "all" and not me.reads_groups:
                _log.warning("privacy_mode_is_on", channel=self.name, username=me.username)
            host.health("connected")
            try:
                yield
            finally:
                self._line = None
                await door.close()

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Able to hear while inside; leaving stops at once and confirms nothing.

        An error nobody expected ends the block, so that the gateway connects anew.
        """
        line = self._connected_line()
        async with asyncio.TaskGroup() as tasks:
            listener = tasks.create_task(self._listen(line), name=f"{self.name} receiving")
            yield
            listener.cancel()

    def render(self, message: OutboundMessage) -> list[Json]:
        """Parts of at most 4096 UTF-16 units with their formatting beside them."""
        return parts(message, rich=self._options.rich_messages)

    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None = None
    ) -> Receipt:
        """Send one part; nothing is ever opened, so there is nothing to finish."""
        return await self._connected_line().sender.send(address, part, delivery_id=delivery_id)

    def fetch(self, attachment: Attachment) -> AsyncGenerator[bytes, None]:
        """The bytes of a file that arrived, of up to 20 MB."""
        return pieces_of(attachment, self._connected_line().api)

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        """A typing signal or a draft; nothing has to be cleared, as they end by themselves."""
        line = self._line
        if line is None:
            yield None
            return
        yield live_output(line.api, address, throttles=self._throttles, drafts=line.drafts)

    async def probe(self) -> str:
        """Who the token belongs to, and where updates go."""
        async with self._opened() as (api, me):
            try:
                registered = registered_sentence(await api.webhook())
            except (Refused, NoAnswer) as error:
                raise connect_error(error) from error
            return f"@{me.username} ({me.account}) by {self._options.receive}; {registered}"

    @property
    def _webhook_secret(self) -> str | None:
        secret = self._options.webhook_secret
        if self._options.receive == "polling" or secret is None:
            return None
        return secret.get_secret_value()

    def _connected_line(self) -> _Line:
        if self._line is None:
            raise DeliveryLater(f"channel {self.name} is not connected", scope="account")
        return self._line

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[tuple[BotApi, Me]]:
        api = BotApi(self._options)
        try:
            try:
                me = await api.open()
            except (Refused, NoAnswer) as error:
                raise connect_error(error) from error
            yield api, me
        finally:
            await api.close()

    async def _listen(self, line: _Line) -> None:
        secret, account = self._webhook_secret, line.me.account
        if secret is None:
            times = self.poll_times
            await Poller(line.api, line.door, host=line.host, account=account, times=times).run()
            return
        keeper = WebhookKeeper(
            line.api,
            host=line.host,
            account=account,
            url=f"{self.public_url.rstrip('/')}/hooks/{self.name}",
            secret=secret,
            times=self.webhook_times,
        )
        await keeper.run()
