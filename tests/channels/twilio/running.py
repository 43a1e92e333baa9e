"""A Twilio channel between a fake Twilio and a fake gateway, with short waiting times."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from channels.twilio.adapter import SmsChannel, TwilioChannel, WhatsAppChannel
from channels.twilio.catchup import CatchUpTimes
from channels.twilio.settings import SmsSettings, WhatsAppSettings
from gateway.contract import Address, Attachment, Json, OutboundMessage, SentQuery
from gateway.testing import TwilioServer
from gateway.testing.host import FakeHost
from gateway.testing.process import free_port
from gateway.testing.twilio.endpoint import FAKE_SERVICE
from tests.specifications import FOLDER

PERSON = "+15557654321"
QUICK = CatchUpTimes(every_s=60, first_pause_s=0.02)
POOL: dict[str, Any] = {"from": None, "messaging_service_sid": FAKE_SERVICE}
"""Settings of a channel that sends by a Messaging Service."""

SPEC = FOLDER / "twilio_api_v2010.json"


def fake(**options: Any) -> TwilioServer:
    """The platform, judged by its own description where that lies beside the repository."""
    return TwilioServer(spec=SPEC if SPEC.exists() else None, **options)


def own_settings(twilio: TwilioServer, **changed: Any) -> dict[str, Any]:
    values = {
        "account_sid": twilio.account_sid,
        "auth_token": twilio.auth_token,
        "from": twilio.number,
        "api_url": twilio.api_url,
        **changed,
    }
    return {key: value for key, value in values.items() if value is not None}


def sms_for(twilio: TwilioServer, *, public_url: str, **changed: Any) -> SmsChannel:
    settings = SmsSettings.model_validate(own_settings(twilio, **changed))
    channel = SmsChannel("sms", settings, public_url=public_url)
    channel.catch_up_times = QUICK
    return channel


def whatsapp_for(twilio: TwilioServer, *, public_url: str, **changed: Any) -> WhatsAppChannel:
    number = twilio.whatsapp.removeprefix("whatsapp:")
    settings = WhatsAppSettings.model_validate(own_settings(twilio, **{"from": number, **changed}))
    channel = WhatsAppChannel("wa", settings, public_url=public_url)
    channel.catch_up_times = QUICK
    return channel


@dataclass
class Running:
    """A channel and both its ends; `public_url` is where Twilio finds it."""

    channel: TwilioChannel
    host: FakeHost
    twilio: TwilioServer
    public_url: str
    client: ClientSession

    @property
    def hook(self) -> str:
        return f"{self.public_url}/hooks/{self.channel.name}"

    def address(self, person: str = PERSON) -> Address:
        prefix = "whatsapp:" if isinstance(self.channel, WhatsAppChannel) else ""
        return Address(self.channel.name, prefix + person)

    def hear_now(self, person: str = PERSON) -> None:
        """Let the gateway remember that this person just wrote, and Twilio too."""
        self.host.heard[self.address(person)] = datetime.now(UTC)

    def parts(self, text: str, *files: Attachment) -> list[Json]:
        message = OutboundMessage(address=self.address(), text=text, attachments=files)
        return self.channel.render(message)

    async def send(self, text: str, *files: Attachment, delivery_id: str = "dlv_1") -> str | None:
        [part] = self.parts(text, *files)
        receipt = await self.channel.deliver(self.address(), part, delivery_id=delivery_id)
        return receipt.provider_id

    def query(self, text: str, *, since: datetime, delivery_id: str = "dlv_1") -> SentQuery:
        [part] = self.parts(text)
        return SentQuery(delivery_id=delivery_id, address=self.address(), part=part, since=since)

    def complaints(self) -> list[str]:
        """What the platform found wrong with us."""
        return [*self.twilio.problems, *self.twilio.early]


@asynccontextmanager
async def connected(
    twilio: TwilioServer | None = None, *, kind: str = "sms", hears: bool = False, **changed: Any
) -> AsyncIterator[Running]:
    """A channel that can send, behind a real HTTP server."""
    make = sms_for if kind == "sms" else whatsapp_for
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with twilio or fake(scale=0.2) as server:
        channel = make(server, public_url=url, **changed)
        app = web.Application()
        app.add_routes(channel.routes())
        async with TestServer(app, port=port), ClientSession() as client:
            host = FakeHost()
            server.set_webhook(f"{url}/hooks/{channel.name}#rc=3&rp=5xx,ct,rt")
            async with channel.connected(host):
                running = Running(channel, host, server, url, client)
                if not hears:
                    yield running
                else:
                    async with channel.receiving():
                        yield running


@contextmanager
def clean(running: Running) -> Iterator[None]:
    """Nothing that the platform would complain about happens inside."""
    yield
    assert running.complaints() == []
