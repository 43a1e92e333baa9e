"""The Telegram channel: one bot account on the channel contract.

Takes `TelegramSettings`; gives text both ways, by long polling or by webhook, and a typing signal
while a turn runs. Puts the pieces together and holds the connection; what an update means is in
`parse.py`, what a reply looks like in `render.py`, what an error means in `failures.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Final

import structlog
from aiohttp import web
from pydantic import BaseModel

from channels.telegram.bot_api import BotApi, Text
from channels.telegram.door import Door
from channels.telegram.failures import Throttles, connect_error, delivery_error, weaker
from channels.telegram.files import pieces_of
from channels.telegram.polling import Poller, PollTimes
from channels.telegram.reading import Me, Reading
from channels.telegram.render import parts
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
    LiveKind,
    LiveOutput,
    OutboundMessage,
    Pace,
    Receipt,
    ReplyTo,
)
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, Scope

_log: Final = structlog.get_logger(__name__)

SIGNAL_S: Final = 4.0
"""Telegram shows typing for 5 s at most. Bot API, sendChatAction; read November 2026."""

SIGNAL_WITHIN_S: Final = 5.0

PACE: Final = Pace(account_per_s=30, address_per_s=1, address_burst=3)
"""30 messages a second for a bot, 1 a second in a chat with short bursts. Bot FAQ of Telegram,
"My bot is hitting limits"; read November 2026.
"""


@dataclass(frozen=True, slots=True)
class _Line:
    """What exists while the channel is connected."""

    api: BotApi
    host: ChannelHost
    me: Me
    door: Door


class Typing:
    """Shows "typing" while a turn runs; Telegram takes it away with our next message."""

    kind: LiveKind = "signal"
    refresh_s = SIGNAL_S
    min_interval_s = SIGNAL_S

    def __init__(self, api: BotApi, address: Address) -> None:
        self._api = api
        self._address = address

    async def working(self, label: str | None) -> None:
        """Show it for the next five seconds; raises as `deliver` when that fails."""
        thread = _number(self._address.thread)
        try:
            async with asyncio.timeout(SIGNAL_WITHIN_S):
                await self._api.show_typing(self._address.chat, thread=thread)
        except (Refused, NoAnswer) as error:
            raise delivery_error(error) from error
        except TimeoutError as error:
            raise DeliveryUnknown("Telegram took too long to show typing") from error

    async def show(self, text: str) -> None:
        """Nothing: a signal carries no text."""

    async def open(self, delivery_id: str) -> str:
        """Never called for a signal."""
        raise DeliveryRefused("a typing signal is no message that could be opened")


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
        """Text in parts, a typing signal, and no way to ask what was sent."""
        return Capabilities(live="signal", pace=PACE)

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
            self._line = _Line(api=api, host=host, me=me, door=door)
            _log.info(
                "telegram_connected",
                channel=self.name,
                bot_id=me.id,
                username=me.username,
                reads_all_group_messages=me.reads_groups,
            )
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
        return parts(message)

    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None = None
    ) -> Receipt:
        """Send one part; what Telegram certainly refused goes out once more without it."""
        line = self._connected_line()
        message = _text_of(address, part)
        while True:
            try:
                provider_id = await line.api.send(message)
                break
            except NoAnswer as silence:
                raise delivery_error(silence) from silence
            except Refused as refusal:
                message = self._weakened(message, refusal)
        if message.chat != address.chat:
            await line.door.report_move(address.chat, message.chat)
        return Receipt(provider_id)

    def fetch(self, attachment: Attachment) -> AsyncGenerator[bytes, None]:
        """The bytes of a file that arrived, of up to 20 MB."""
        return pieces_of(attachment, self._connected_line().api)

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        """A typing signal; nothing has to be cleared, as it ends by itself."""
        yield Typing(self._line.api, address) if self._line else None

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
        secret = self._webhook_secret
        if secret is None:
            account, times = line.me.account, self.poll_times
            await Poller(line.api, line.door, host=line.host, account=account, times=times).run()
            return
        url = f"{self.public_url.rstrip('/')}/hooks/{self.name}"
        keeper = WebhookKeeper(
            line.api, host=line.host, url=url, secret=secret, times=self.webhook_times
        )
        await keeper.run()

    def _weakened(self, message: Text, refusal: Refused) -> Text:
        """What is worth sending at once after a refusal; raises the delivery's error if nothing."""
        plainer = weaker(message, refusal)
        if plainer is not None:
            return plainer
        throttled: Scope = "address"
        if refusal.status == 429:
            now_s = asyncio.get_running_loop().time()
            throttled = self._throttles.scope(message.chat, now_s=now_s)
        raise delivery_error(refusal, throttled=throttled) from refusal


def _text_of(address: Address, part: Json) -> Text:
    """A stored part as one message to send."""
    return Text(
        chat=address.chat,
        text=part["text"],
        entities=part.get("entities", ()),
        thread=_number(address.thread),
        reply_to=_number(part.get("reply_to")),
    )


def _number(text: str | None) -> int | None:
    """A thread or message id as Telegram wants it."""
    if text is None:
        return None
    if not text.isdecimal():
        raise DeliveryRefused("the address has a thread or message id that Telegram never gave")
    return int(text)
