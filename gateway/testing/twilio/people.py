"""The people with telephones on the other side of the fake Twilio, and what the platform repeats.

Turns a few words of a test into messages and posts them to the webhook. Each `post_...` gives the
message back, so that a test can post it again, forged or twice at once.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from gateway.testing.twilio.account import Account
from gateway.testing.twilio.courier import Delivery, TwilioAttempt
from gateway.testing.twilio.forms import inbound_form
from gateway.testing.twilio.messages import MediaFile, TextMessage
from gateway.testing.twilio.rules import WHATSAPP
from gateway.testing.twilio.signing import Signed
from gateway.testing.twilio.traffic import Traffic


class People:
    """Everybody who writes to one account."""

    def __init__(
        self,
        account: Account,
        traffic: Traffic,
        *,
        number: str,
        whatsapp: str,
        address: Callable[[], str],
    ) -> None:
        self.number = number
        self.whatsapp = whatsapp
        self._account = account
        self._traffic = traffic
        self._address = address

    def post_sms(
        self,
        sender: str,
        body: str,
        *,
        to: str | None = None,
        media: Sequence[MediaFile] = (),
        extra: Mapping[str, str] | None = None,
    ) -> TextMessage:
        """Somebody sends an SMS (an MMS with `media`); `extra` is laid over the form's fields."""
        return self._post(sender, to or self.number, body, media=media, extra=extra or {})

    def post_whatsapp(
        self,
        sender: str,
        body: str,
        *,
        to: str | None = None,
        media: Sequence[MediaFile] = (),
        extra: Mapping[str, str] | None = None,
    ) -> TextMessage:
        """Somebody writes by WhatsApp; `sender` may be given with or without its prefix."""
        person = WHATSAPP + sender.removeprefix(WHATSAPP)
        return self._post(person, to or self.whatsapp, body, media=media, extra=extra or {})

    def post_again(self, message: TextMessage, times: int = 1) -> None:
        """Post copies of a person's message, with the same SID, as the platform may do."""
        for _ in range(times):
            self._traffic.repeat(self._delivery(message))

    async def post_to_webhook(
        self, message: TextMessage, times: int = 1, *, signed: Signed = "right"
    ) -> list[TwilioAttempt]:
        """Post a person's message that many times at once, without retries."""
        if self._traffic.webhook is None:
            raise RuntimeError("no webhook is set")
        url, delivery = self._traffic.webhook, self._delivery(message)
        posts = (self._traffic.courier.post(delivery, url, signed=signed) for _ in range(times))
        return await asyncio.gather(*posts)

    async def post_status(
        self,
        message: TextMessage,
        status: str,
        times: int = 1,
        *,
        error_code: int | None = None,
        signed: Signed = "right",
    ) -> list[TwilioAttempt]:
        """Tell a status of a sent message, true or not, that many times at once."""
        if message.status_callback is None:
            raise RuntimeError(f"{message.sid} has no StatusCallback")
        url = message.status_callback
        delivery = self._traffic.status_delivery(message, status, error=error_code)
        posts = (self._traffic.courier.post(delivery, url, signed=signed) for _ in range(times))
        return await asyncio.gather(*posts)

    def _post(
        self,
        person: str,
        ours: str,
        body: str,
        *,
        media: Sequence[MediaFile],
        extra: Mapping[str, str],
    ) -> TextMessage:
        message = self._account.receive(person, ours, body, media=media)
        kind = self._account.consent.hear(person, ours, body, now=message.created_at)
        opt_out = {"OptOutType": kind} if kind and self._account.consent.is_advanced else {}
        form = inbound_form(
            message,
            account_sid=self._account.sid,
            api_url=self._address(),
            extra={**opt_out, **extra},
        )
        self._traffic.post(message, Delivery("message", message.sid, form))
        return message

    def _delivery(self, message: TextMessage) -> Delivery:
        return self._traffic.deliveries[message.sid]
