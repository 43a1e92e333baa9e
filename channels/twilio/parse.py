"""Messages of people -> the values of the channel contract. Pure: no network, no clock.

Takes the form of a webhook, or a message of a list brought into the same form: both give the same
external id and digest, so whichever comes second is known. Gives one `Inbound`, or `Ignored` with a
word for what it was. It never raises. Fields: Twilio, "Twilio's request to your webhook URL" and
"WhatsApp: inbound message parameters"; read November 2026.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from channels.twilio.api import Listed, Medium
from channels.twilio.forms import Form
from channels.twilio.settings import Line, Platform
from gateway.contract import (
    ActionPressed,
    Address,
    Attachment,
    ConsentChanged,
    Inbound,
    InboundMessage,
    Sender,
)

MAX_MEDIA: Final = 10

Wish = Literal["STOP", "START", "HELP"]

_STOP: Final = ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
_WISHES: Final[Mapping[Platform, Mapping[str, Wish]]] = {
    "sms": {
        **dict.fromkeys(_STOP, "STOP"),
        **dict.fromkeys(("START", "YES", "UNSTOP"), "START"),
        **dict.fromkeys(("HELP", "INFO"), "HELP"),
    },
    "whatsapp": {
        **dict.fromkeys(_STOP, "STOP"),
        **dict.fromkeys(("START", "UNSTOP"), "START"),
    },
}
"""Twilio answers those of SMS by itself on long codes and then blocks later sends with 21610
(Twilio support, "Twilio support for opt-out keywords"; read November 2026): exact, in any case. On
WhatsApp Twilio answers none: who asks there for help, or says yes, talks to the bot.
"""

_IS_OPTED_OUT: Final[Mapping[Wish, bool | None]] = {"STOP": True, "START": False, "HELP": None}

_MEDIA_PATH: Final = re.compile(r"/Messages/([A-Z]{2}[0-9a-f]{32})/Media/(ME[0-9a-f]{32})$")
_SID: Final = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nobody's message to us; `kind` is counted."""

    kind: str


def inbound(form: Form, line: Line, *, received_at: datetime) -> Inbound | Ignored:
    """What a person's message means."""
    person, to = form.text("From"), form.text("To")
    reason = _not_for_us(form, line)
    number = line.number(person)
    if reason is not None or number is None:
        return Ignored(reason or "other_address")
    sid = form.text("MessageSid")
    stamp: dict[str, Any] = {
        "account": line.account,
        "external_id": sid,
        "digest": _digest(line.account, sid, person, to, form.text("Body")),
        "received_at": received_at,
        "address": Address(line.channel, person),
        "sender": Sender(line.platform, number, form.text("ProfileName") or None),
    }
    text = form.text("Body")
    wished = wish(text, line.platform, opt_out_type=form.text("OptOutType"))
    if wished is not None:
        is_out = _IS_OPTED_OUT[wished]
        return ConsentChanged(**stamp, is_opted_out=is_out, text=text, message_ref=sid)
    if form.text("ButtonPayload"):
        replied_to = form.text("OriginalRepliedMessageSid") or None
        return ActionPressed(**stamp, value=form.text("ButtonPayload"), message_ref=replied_to)
    return _message(form, stamp)


def form_of(message: Listed, media: Sequence[Medium], *, account: str) -> Form:
    """A listed message in the form of a webhook."""
    fields = {
        "MessageSid": message.sid,
        "AccountSid": account,
        "From": message.sender,
        "To": message.to,
        "Body": message.text,
        "MessagingServiceSid": message.service or "",
        "NumMedia": str(len(media)),
    }
    for number, medium in enumerate(media):
        fields[f"MediaUrl{number}"] = f"/Messages/{message.sid}/Media/{medium.sid}"
        fields[f"MediaContentType{number}"] = medium.mime
    return Form(fields)


def wish(text: str, platform: Platform, *, opt_out_type: str = "") -> Wish | None:
    """What a text says about messages as such; None = it is a message to the bot.

    With Advanced Opt-Out the form says it; a type of tomorrow is none of ours to answer either.

    >>> wish(" Stop ", "sms"), wish("stop it", "sms"), wish("ARRET", "sms", opt_out_type="STOP")
    ('STOP', None, 'STOP')
    >>> wish("yes", "sms"), wish("yes", "whatsapp")
    ('START', None)
    """
    if not opt_out_type:
        return _WISHES[platform].get(text.strip().upper())
    match opt_out_type.strip().upper():
        case "STOP":
            return "STOP"
        case "START":
            return "START"
        case _:
            return "HELP"


def _not_for_us(form: Form, line: Line) -> str | None:
    """Why a form is no message to this channel, None when it is one."""
    person, to = form.text("From"), form.text("To")
    if not _SID.fullmatch(form.text("MessageSid")):
        return "no_message"
    if form.text("AccountSid") not in ("", line.account):
        return "other_account"
    if person in (to, line.sender):
        return "own_message"
    if line.number(to) is None or not line.is_ours(to=to, service=form.text("MessagingServiceSid")):
        return "other_number"
    return None


def _message(form: Form, stamp: dict[str, Any]) -> InboundMessage | Ignored:
    text = form.text("Body") or form.text("ButtonText")
    place = _place(form)
    files = _files(form)
    if not text.strip() and not place and not files:
        return Ignored("empty_message")
    return InboundMessage(
        **stamp,
        text="\n".join(piece for piece in (text, place) if piece),
        message_ref=form.text("MessageSid"),
        attachments=files,
    )


def _place(form: Form) -> str:
    """A shared location in words.

    >>> _place(Form({"Latitude": "59.9", "Longitude": "10.7", "Label": "Oslo"}))
    'Location: 59.9, 10.7 (Oslo)'
    """
    latitude, longitude = form.text("Latitude"), form.text("Longitude")
    if not latitude or not longitude:
        return ""
    names = [form.text(name) for name in ("Label", "Address") if form.text(name)]
    return f"Location: {latitude}, {longitude}" + (f" ({', '.join(names)})" if names else "")


def _files(form: Form) -> tuple[Attachment, ...]:
    count = form.text("NumMedia")
    files = []
    for number in range(min(int(count), MAX_MEDIA) if count.isdecimal() else 0):
        found = _MEDIA_PATH.search(form.text(f"MediaUrl{number}"))
        if found is not None:
            mime = form.text(f"MediaContentType{number}").lower() or None
            files.append(Attachment(_kind(mime or ""), f"{found[1]}/{found[2]}", mime=mime))
    return tuple(files)


def _kind(mime: str) -> Literal["image", "audio", "video", "document"]:
    """The kind of a file by its type.

    >>> _kind("image/jpeg"), _kind("audio/ogg; codecs=opus"), _kind("text/vcard")
    ('image', 'audio', 'document')
    """
    match mime.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"


def _digest(*facts: str) -> bytes:
    """Of what a webhook and a list both tell, so that one event has one digest."""
    return hashlib.sha256(json.dumps(facts).encode()).digest()
