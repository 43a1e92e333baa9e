"""What the fake account remembers: its senders, its messages, who has opted out.

Takes calls that keep the rules without state (`rules.py`) and applies them; refuses in Twilio's
words what the account's state forbids. It has a clock of its own, which a test can put forward.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.testing.twilio.consent import Consent
from gateway.testing.twilio.faults import TwilioCall, refused
from gateway.testing.twilio.messages import (
    CANCELABLE,
    FINAL,
    MediaFile,
    StoredMedia,
    TextMessage,
    new_sid,
)
from gateway.testing.twilio.pace import SegmentPace
from gateway.testing.twilio.rules import is_whatsapp
from gateway.testing.twilio.segments import segment_count


@dataclass(frozen=True, slots=True)
class Senders:
    """The Messaging Services of the account; their pools are all the addresses it has."""

    services: Mapping[str, Sequence[str]]

    def of(self, call: TwilioCall) -> str:
        """The address a new message leaves from; Refused when there is none."""
        service, given = call.get("MessagingServiceSid"), call.get("From")
        if service and service not in self.services:
            raise refused(21701)
        if given:
            if self.service_of(given) is not None:
                return given
            raise refused(63007 if is_whatsapp(given) else 21606)
        for address in self.services[service]:
            if is_whatsapp(address) == is_whatsapp(call.to):
                return address
        raise refused(21703)

    def service_of(self, address: str) -> str | None:
        """The Messaging Service whose pool holds that address."""
        return next((sid for sid, pool in self.services.items() if address in pool), None)


class Account:
    """One account; `counts` are sent messages by address, None for all."""

    def __init__(self, sid: str, senders: Senders, *, consent: Consent, pace: SegmentPace) -> None:
        self.sid = sid
        self.senders = senders
        self.consent = consent
        self.pace = pace
        self.messages: dict[str, TextMessage] = {}
        self.counts: Counter[str | None] = Counter()
        self.clock_is_ahead = timedelta()

    def now(self) -> datetime:
        """The time by the fake's own clock."""
        return datetime.now(UTC) + self.clock_is_ahead

    def create(self, call: TwilioCall) -> TextMessage:
        """Accept a message for sending; Refused when the account's state forbids it."""
        sender = self.senders.of(call)
        if self.consent.has_stopped(call.to, sender):
            raise refused(21610)
        if self.pace.is_full(sender, call.at):
            raise refused(21611)
        service = call.get("MessagingServiceSid") or None
        message = TextMessage(
            sid=new_sid("MM" if call.has("MediaUrl") else "SM"),
            direction="outbound-api",
            sender=sender,
            to=call.to,
            body=call.get("Body"),
            at=call.at,
            created_at=self.now(),
            status=_first_status(call),
            fields={name: call.get(name) for name in call.fields},
            media_urls=call.fields.get("MediaUrl", ()),
            segments=1 if is_whatsapp(call.to) else segment_count(call.get("Body")),
            service=service,
            status_callback=call.get("StatusCallback") or None,
        )
        message.statuses.append(message.status)
        if not message.is_whatsapp:
            self.pace.take(sender, message.segments, at=call.at)
        self.messages[message.sid] = message
        self.counts.update((message.to, None))
        return message

    def receive(
        self, sender: str, to: str, body: str, *, media: Sequence[MediaFile]
    ) -> TextMessage:
        """Keep a message somebody wrote to one of our addresses."""
        now = self.now()
        message = TextMessage(
            sid=new_sid("MM" if media else "SM"),
            direction="inbound",
            sender=sender,
            to=to,
            body=body,
            at=time.monotonic(),
            created_at=now,
            status="received",
            statuses=["received"],
            media=[StoredMedia(new_sid("ME"), file, now) for file in media],
            segments=segment_count(body),
            service=self.senders.service_of(to),
            sent_at=now,
        )
        self.messages[message.sid] = message
        return message

    def is_outside_window(self, message: TextMessage) -> bool:
        """WhatsApp will refuse it: free text more than 24 hours after the person's last message."""
        if not message.is_whatsapp or message.fields.get("ContentSid"):
            return False
        ours = message.sender or ""
        return not self.consent.window_is_open(message.to, ours, now=message.created_at)

    def find(self, sid: str) -> TextMessage:
        """The message; Refused with 404 when there is none."""
        if sid not in self.messages:
            raise refused(20404)
        return self.messages[sid]

    def find_media(self, message_sid: str, sid: str) -> StoredMedia:
        """A file of a message; Refused with 404 when there is none."""
        for media in self.find(message_sid).media:
            if media.sid == sid:
                return media
        raise refused(20404)

    def update(self, message: TextMessage, call: TwilioCall) -> None:
        """Cancel a message that was not sent yet, or remove the text of one."""
        is_cancel = call.get("Status") == "canceled"
        is_redaction = call.fields.get("Body") == ("",)
        if is_cancel == is_redaction:
            raise refused(30400)
        if is_redaction:
            message.body = ""
            return
        if message.status not in CANCELABLE:
            raise refused(30409)
        message.become("canceled", now=self.now())

    def delete(self, message: TextMessage) -> None:
        """Forget a message that is at its end."""
        if message.status not in FINAL:
            raise refused(20009)
        del self.messages[message.sid]
        if message.direction == "outbound-api":
            self.counts.subtract((message.to, None))


def _first_status(call: TwilioCall) -> str:
    if call.has("SendAt"):
        return "scheduled"
    return "accepted" if call.has("MessagingServiceSid") else "queued"
