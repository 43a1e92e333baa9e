"""SMS and WhatsApp over one Twilio account: the two kinds of channel.

Takes the settings of `settings.py`; hears by webhook and catches up by list, sends by the Messages
API. Puts the pieces together and holds the connection: what a form means is in `parse.py` and
`reports.py`, what a reply looks like in `render.py`, what an error means in `failures.py`.
"""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar, Final

import structlog
from aiohttp import web
from pydantic import BaseModel

from channels.twilio.api import TwilioApi
from channels.twilio.catchup import CatchUp, CatchUpTimes
from channels.twilio.door import Door
from channels.twilio.failures import connect_error
from channels.twilio.files_in import FileFetcher, Leftovers
from channels.twilio.files_out import FileDoor, FileLinks
from channels.twilio.finding import SentMemory, find_sent
from channels.twilio.health import Health
from channels.twilio.render import sms_parts, whatsapp_parts
from channels.twilio.sending import Mailer
from channels.twilio.settings import Line, Platform, SmsSettings, TwilioSettings, WhatsAppSettings
from channels.twilio.signature import Secrets
from channels.twilio.transport import NoAnswer, Refused
from channels.twilio.webhook import Desk, WebhookCalls
from gateway.contract import (
    Address,
    Attachment,
    Capabilities,
    Channel,
    ChannelHost,
    Json,
    OutboundMessage,
    Pace,
    Receipt,
    SentQuery,
)
from gateway.errors import DeliveryLater, DeliveryRefused

_log: Final = structlog.get_logger(__name__)

SMS_PACE: Final = Pace(account_per_s=1, address_per_s=1, address_burst=3)
"""A long code sends one segment a second. Twilio, "Understanding rate limits" (November 2026)."""

POOL_PACE: Final = Pace(address_per_s=1, address_burst=3)
"""Twilio spreads messages over the senders of a Messaging Service."""

WHATSAPP_PACE: Final = Pace(account_per_s=80, address_per_s=1, address_burst=3)
"""80 messages a second for a sender. Twilio, "WhatsApp: rate limits"; read November 2026."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wire:
    """What exists while the channel is connected."""

    host: ChannelHost
    desk: Desk
    mailer: Mailer
    files: FileFetcher
    leftovers: Leftovers


class TwilioChannel(Channel):
    """What both kinds have in common."""

    platform: ClassVar[Platform]
    settings_model: ClassVar[type[BaseModel]] = TwilioSettings
    catch_up_times: CatchUpTimes = CatchUpTimes()

    def __init__(self, name: str, settings: BaseModel, *, public_url: str) -> None:
        super().__init__(name, settings, public_url=public_url)
        if not isinstance(settings, TwilioSettings):
            raise TypeError("a Twilio channel takes TwilioSettings")
        self._options = settings
        self._wire: _Wire | None = None
        self._template: str | None = None
        self._links = FileLinks(settings.auth_token.get_secret_value())

    @property
    def capabilities(self) -> Capabilities:
        """Text in parts, and a list that tells what was sent."""
        return Capabilities(can_ask=True, on_ambiguous="hold", pace=self._pace)

    def routes(self) -> list[web.RouteDef]:
        """Messages, their statuses, and the files of ours that Twilio fetches."""
        options, path = self._options, f"/hooks/{self.name}"
        tokens = (options.auth_token, *options.old_auth_tokens)
        shared = {key: secret.get_secret_value() for key, secret in options.shared_keys.items()}
        calls = WebhookCalls(
            Secrets([token.get_secret_value() for token in tokens], shared),
            public_urls=lambda: [
                url.rstrip("/") for url in (self.public_url, options.fallback_url) if url
            ],
            desk=lambda: self._wire.desk if self._wire else None,
        )
        files = FileDoor(self._links, host=lambda: self._wire.host if self._wire else None)
        return [
            web.post(path, calls.message),
            web.post(f"{path}/status", calls.status),
            web.get(f"{path}/media/{{token}}", files.answer),
        ]

    @asynccontextmanager
    async def connected(self, host: ChannelHost) -> AsyncIterator[None]:
        """Able to send while inside; the credentials are proven before."""
        async with self._opened() as api:
            line = self._line
            health = Health(host)
            desk = Desk(line, Door(host, line), health, SentMemory())
            files = FileFetcher(self._options)
            self._wire = _Wire(
                host=host,
                desk=desk,
                mailer=self._mailer(api, host, desk),
                files=files,
                leftovers=Leftovers(host),
            )
            _log.info("twilio_connected", channel=self.name, kind=self.kind)
            host.health("connected")
            try:
                yield
            finally:
                self._wire = None
                await files.close()

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Able to hear while inside: webhooks come anyway, and what they missed is looked up."""
        wire = self._connected_wire()
        catch_up = CatchUp(
            api=wire.mailer.api,
            host=wire.host,
            line=wire.desk.line,
            door=wire.desk.door,
            health=wire.desk.health,
            leftovers=wire.leftovers,
            times=self.catch_up_times,
        )
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(catch_up.run(), name=f"{self.name} catching up")
            yield
            looking.cancel()

    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None = None
    ) -> Receipt:
        """Send one part once."""
        return await self._connected_wire().mailer.send(address, part, delivery_id=delivery_id)

    async def find_sent(self, query: SentQuery) -> Receipt | None:
        """Look into what callbacks told, and into Twilio's list."""
        wire = self._connected_wire()
        return await find_sent(
            query,
            api=wire.mailer.api,
            memory=wire.desk.memory,
            is_template=wire.mailer.template is not None,
        )

    async def fetch(self, attachment: Attachment) -> AsyncGenerator[bytes, None]:
        """The bytes of a file that arrived."""
        wire = self._connected_wire()
        async with aclosing(wire.files.fetch(attachment)) as pieces:
            async for piece in pieces:
                yield piece
        if self._options.delete_media:
            await wire.leftovers.add(attachment.ref)

    async def probe(self) -> str:
        """What the account says of itself, and where its messages should go."""
        async with self._opened():
            sender = self._options.sender or "a Messaging Service"
            url = f"{self.public_url.rstrip('/')}/hooks/{self.name}"
            return f"the account is active; {self.kind} from {sender}, to be posted to {url}"

    @property
    def _line(self) -> Line:
        return Line.of(self._options, channel=self.name, platform=self.platform)

    @property
    @abstractmethod
    def _pace(self) -> Pace:
        """How fast messages may leave."""

    def _mailer(self, api: TwilioApi, host: ChannelHost, desk: Desk) -> Mailer:
        return Mailer(
            api=api,
            host=host,
            line=desk.line,
            health=desk.health,
            memory=desk.memory,
            links=self._links,
            hook_url=f"{self.public_url.rstrip('/')}/hooks/{self.name}",
            template=self._template,
        )

    def _connected_wire(self) -> _Wire:
        if self._wire is None:
            raise DeliveryLater(f"channel {self.name} is not connected", scope="account")
        return self._wire

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[TwilioApi]:
        api = TwilioApi(self._options)
        try:
            try:
                status = await api.account_status()
            except (Refused, NoAnswer) as error:
                raise connect_error(error) from error
            if status not in ("active", ""):
                raise DeliveryRefused(f"the Twilio account is {status[:20]}", scope="account")
            yield api
        finally:
            await api.close()


class SmsChannel(TwilioChannel):
    """SMS and MMS from one number or one Messaging Service."""

    kind: ClassVar[str] = "sms"
    platform: ClassVar[Platform] = "sms"
    settings_model: ClassVar[type[BaseModel]] = SmsSettings

    def __init__(self, name: str, settings: BaseModel, *, public_url: str) -> None:
        super().__init__(name, settings, public_url=public_url)
        if not isinstance(settings, SmsSettings):
            raise TypeError("an SMS channel takes SmsSettings")
        self._sms = settings

    @property
    def _pace(self) -> Pace:
        return SMS_PACE if self._sms.sender is not None else POOL_PACE

    def render(self, message: OutboundMessage) -> list[Json]:
        """Plain text in parts, with the notice of more after the last."""
        return sms_parts(message, self._sms)


class WhatsAppChannel(TwilioChannel):
    """WhatsApp from one number or one Messaging Service."""

    kind: ClassVar[str] = "whatsapp"
    platform: ClassVar[Platform] = "whatsapp"
    settings_model: ClassVar[type[BaseModel]] = WhatsAppSettings

    def __init__(self, name: str, settings: BaseModel, *, public_url: str) -> None:
        super().__init__(name, settings, public_url=public_url)
        if not isinstance(settings, WhatsAppSettings):
            raise TypeError("a WhatsApp channel takes WhatsAppSettings")
        self._template = settings.template_sid

    @property
    def _pace(self) -> Pace:
        return WHATSAPP_PACE

    def render(self, message: OutboundMessage) -> list[Json]:
        """Text with WhatsApp's own marks, in parts."""
        return whatsapp_parts(message)
