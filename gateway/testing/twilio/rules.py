"""Rules of the Messages API that need no state: addresses, lengths, which fields go together.

Takes the fields of a call that creates a message; gives the refusal Twilio answers, or None. What
depends on the account (its numbers, who has opted out) is in `account.py`.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from gateway.testing.twilio.faults import TwilioCall, TwilioError

WHATSAPP: Final = "whatsapp:"
MAX_BODY_CHARS: Final = 1600
"""Twilio, Messages resource, Body: "up to 1,600 characters long"."""
MAX_MEDIA: Final = 10
MAX_VALIDITY_S: Final = 36000
MAX_URL_CHARS: Final = 4000
"""Error dictionary, 21609."""

_PAGING: Final = ("PageSize", "Page", "PageToken")

FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "CreateMessage": frozenset(
        {
            *("To", "From", "FallbackFrom", "MessagingServiceSid", "Body", "MediaUrl"),
            *("ContentSid", "ContentVariables", "StatusCallback", "ApplicationSid"),
            *("ValidityPeriod", "ScheduleType", "SendAt", "SendAsMms", "SmartEncoded"),
            *("ShortenUrls", "PersistentAction", "ProvideFeedback", "Attempt", "MaxPrice"),
            *("ForceDelivery", "ContentRetention", "AddressRetention", "TrafficType"),
            "RiskCheck",
        }
    ),
    "UpdateMessage": frozenset({"Body", "Status"}),
    "ListMessage": frozenset({"To", "From", "DateSent", "DateSent<", "DateSent>", *_PAGING}),
    "ListMedia": frozenset({"DateCreated", "DateCreated<", "DateCreated>", *_PAGING}),
}
"""Fields of each operation (twilio-oai, twilio_api_v2010, April 2026); others have none."""

_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_SHORT_CODE: Final = re.compile(r"\d{3,8}")
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]+|\[[0-9a-fA-F:.]+\]")
_CONTENT_SID: Final = re.compile(r"HX[0-9a-fA-F]{32}")


def is_address(text: str) -> bool:
    """The text is an E.164 number, with or without the prefix of WhatsApp.

    >>> [is_address(t) for t in ("+15551234567", "whatsapp:+15551234567", "15551234567")]
    [True, True, False]
    """
    return bool(_E164.fullmatch(text.removeprefix(WHATSAPP)))


def is_whatsapp(address: str) -> bool:
    """The address is one of WhatsApp."""
    return address.startswith(WHATSAPP)


def is_absolute_url(text: str) -> bool:
    """The text is a complete HTTP(S) URL with a host name Twilio accepts.

    >>> is_absolute_url("https://bot.example/status?part=1"), is_absolute_url("/status")
    (True, False)
    """
    with contextlib.suppress(ValueError):
        parts = urlsplit(text)
        host_is_good = _HOST.fullmatch(parts.hostname or "") is not None
        return parts.scheme in {"http", "https"} and host_is_good and len(text) <= MAX_URL_CHARS
    return False


def unknown_fields(call: TwilioCall) -> list[str]:
    """Fields the operation does not have: for when no description judges them."""
    known = FIELDS.get(call.operation, frozenset())
    return [f"there is no field {name}" for name in call.fields if name not in known]


def broken_rule(call: TwilioCall) -> TwilioError | None:
    """The first broken rule of a call that creates a message."""
    for rule in (_addresses, _content, _template, _media, _delivery):
        error = rule(call)
        if error is not None:
            return error
    return None


def _addresses(call: TwilioCall) -> TwilioError | None:
    to, sender = call.to, call.get("From")
    if not to:
        return TwilioError(21604)
    if not is_address(to):
        return TwilioError(21211, f"Invalid 'To' Phone Number: {to}")
    if not sender and not call.has("MessagingServiceSid"):
        return TwilioError(21603)
    if sender and not is_address(sender) and not _SHORT_CODE.fullmatch(sender):
        return TwilioError(21212, f"Invalid 'From' Number: {sender}")
    if sender and is_whatsapp(to) != is_whatsapp(sender):
        return TwilioError(21910)
    return None


def _content(call: TwilioCall) -> TwilioError | None:
    if not any(call.has(name) for name in ("Body", "MediaUrl", "ContentSid")):
        return TwilioError(21602)
    if len(call.get("Body")) > MAX_BODY_CHARS:
        return TwilioError(21617)
    return None


def _template(call: TwilioCall) -> TwilioError | None:
    if call.has("ContentVariables") and not _is_json_object(call.get("ContentVariables")):
        return TwilioError(21656)
    if not call.has("ContentSid"):
        return TwilioError(21656) if call.has("ContentVariables") else None
    if not _CONTENT_SID.fullmatch(call.get("ContentSid")):
        return TwilioError(21655)
    if call.has("Body"):
        return TwilioError(20001, "Body cannot be given together with ContentSid")
    return None


def _media(call: TwilioCall) -> TwilioError | None:
    urls = call.fields.get("MediaUrl", ())
    if len(urls) > MAX_MEDIA:
        return TwilioError(21623)
    if not all(is_absolute_url(url) for url in urls):
        return TwilioError(21620)
    return None


def _delivery(call: TwilioCall) -> TwilioError | None:
    callback, validity = call.get("StatusCallback"), call.get("ValidityPeriod")
    if callback and not is_absolute_url(callback):
        return TwilioError(21609)
    if validity and not (validity.isdigit() and 1 <= int(validity) <= MAX_VALIDITY_S):
        return TwilioError(20001, f"ValidityPeriod {validity} is not between 1 and 36000")
    if call.has("SendAt") != call.has("ScheduleType"):
        return TwilioError(20001, "SendAt and ScheduleType go together")
    if call.has("SendAt") and not call.has("MessagingServiceSid"):
        return TwilioError(20001, "MessagingServiceSid is required to schedule a message")
    return None


def _is_json_object(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return isinstance(json.loads(text), dict)
    return False
