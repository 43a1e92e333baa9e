"""Both channels of Twilio keep the channel contract."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp

from channels.twilio.adapter import TwilioChannel, WhatsAppChannel
from gateway.contract import Address, ChannelHost
from gateway.testing import Drop, Hang, HtmlError, TwilioServer
from gateway.testing.conformance import (
    AskableConformance,
    ChannelConformance,
    PlatformFault,
    Rig,
    WebhookConformance,
    WebhookRig,
)
from gateway.testing.host import FakeHost
from gateway.testing.twilio.faults import TwilioError, TwilioFault
from gateway.testing.twilio.signing import SIGNATURE_HEADER, signature
from tests.channels.twilio.running import QUICK, fake, sms_for, whatsapp_for

FAULTS: dict[PlatformFault, TwilioFault] = {
    "throttled": TwilioError(20429, retry_after_s=2),
    "refused_part": TwilioError(21408),
    "refused_address": TwilioError(21614),
    "refused_account": TwilioError(20003),
    "lost_before": Drop(accepted=False),
    "lost_after": Drop(accepted=True),
    "server_error": HtmlError(502),
    "garbage": HtmlError(200, "<html>who am I?</html>"),
    "silence": Hang(),
}


class Remembered(WhatsAppChannel):
    """A WhatsApp channel in a gateway where everybody has just written."""

    @asynccontextmanager
    async def connected(self, host: ChannelHost) -> AsyncIterator[None]:
        assert isinstance(host, FakeHost)
        for number in range(100):
            host.heard[Address(self.name, f"whatsapp:{phone(number)}")] = datetime.now(UTC)
        async with super().connected(host):
            yield


class TwilioRig(WebhookRig):
    """An account, and the fake Twilio."""

    prefix = ""

    def __init__(self, twilio: TwilioServer, public_url: str) -> None:
        self.secrets = (twilio.auth_token, twilio.account_sid)
        self._twilio = twilio
        self._public_url = public_url
        self._url = f"{public_url}/hooks/{self.name}"
        twilio.set_webhook(f"{self._url}#rc=3&rp=5xx,ct,rt")

    def channel(self) -> TwilioChannel:
        return self._channel(self._twilio.auth_token)

    def stranger(self) -> TwilioChannel:
        return self._channel("not-the-token-of-this-account")

    def address(self, number: int = 1) -> Address:
        return Address(self.name, self.prefix + phone(number))

    async def write(self, text: str, *, chat: int = 1) -> Any:
        return self._twilio.post_sms(phone(chat), text)

    async def write_again(self, event: Any) -> None:
        self._twilio.post_again(event)

    async def write_as_bot(self, text: str) -> Any:
        return self._twilio.post_sms(self._twilio.number, text)

    async def happen(self) -> Any:
        return self._twilio.post_sms(phone(1), "", extra={"InventionOfTomorrow": "1"})

    async def wait_until_acknowledged(self, event: Any, *, timeout_s: float = 10) -> None:
        await self._twilio.wait_until(lambda: self.is_acknowledged(event), timeout_s=timeout_s)

    def is_acknowledged(self, event: Any) -> bool:
        return any(one.is_success for one in self._twilio.attempts_of(event))

    def sent(self, chat: int = 1) -> Sequence[str]:
        return [message.body for message in self._twilio.sent(self.address(chat).chat)]

    def fail(self, fault: PlatformFault, *, every: bool = False) -> None:
        operation = "*" if every else "CreateMessage"
        self._twilio.fail(operation, FAULTS[fault], times=None if every else 1)

    async def vanish(self) -> None:
        await self._twilio.__aexit__(None, None, None)

    def complaints(self) -> Sequence[str]:
        return self._twilio.problems

    async def forge(self, text: str) -> int:
        return await self._post({"MessageSid": "SM" + 32 * "0", "Body": text}, key="a stranger's")

    async def babble(self) -> int:
        return await self._post({"Nonsense": "\ufffd{"}, key=self._twilio.auth_token)

    async def _post(self, fields: dict[str, str], *, key: str) -> int:
        signed = signature(key, self._url, fields.items(), algorithm="HMAC_SHA1")
        async with (
            aiohttp.ClientSession(headers={SIGNATURE_HEADER: signed}) as client,
            client.post(self._url, data=fields) as answer,
        ):
            return answer.status

    def _channel(self, token: str) -> TwilioChannel:
        channel = sms_for(
            self._twilio, public_url=self._public_url, auth_token=token, max_parts=100
        )
        channel.name = self.name
        return channel


class WhatsAppRig(TwilioRig):
    """The same, on WhatsApp."""

    prefix = "whatsapp:"

    async def write(self, text: str, *, chat: int = 1) -> Any:
        return self._twilio.post_whatsapp(phone(chat), text)

    async def write_as_bot(self, text: str) -> Any:
        return self._twilio.post_whatsapp(self._twilio.whatsapp, text)

    async def happen(self) -> Any:
        return self._twilio.post_whatsapp(phone(1), "", extra={"MessageType": "invention"})

    def _channel(self, token: str) -> TwilioChannel:
        made = whatsapp_for(self._twilio, public_url=self._public_url, auth_token=token)
        channel = Remembered(self.name, made.settings, public_url=self._public_url)
        channel.catch_up_times = QUICK
        return channel


def phone(number: int) -> str:
    return f"+1555020{number:04d}"


@asynccontextmanager
async def rig(made: type[TwilioRig], public_url: str) -> AsyncIterator[Rig]:
    async with fake() as twilio:
        yield made(twilio, public_url)


class TestSms(ChannelConformance, WebhookConformance, AskableConformance):
    def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
        return rig(TwilioRig, public_url)


class TestWhatsApp(ChannelConformance, WebhookConformance, AskableConformance):
    def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
        return rig(WhatsAppRig, public_url)
