"""The forms Twilio posts: an inbound message, and the status of one that was sent.

Pure functions from a message to form fields (twilio.com, "Twilio's request to your webhook URL" and
"Track outbound message status", read November 2026). Fields Twilio leaves empty are left empty
here too, for they are part of the signature.
"""

from collections.abc import Mapping

from gateway.testing.twilio.messages import API_VERSION, TextMessage
from gateway.testing.twilio.rules import WHATSAPP, is_whatsapp

Form = tuple[tuple[str, str], ...]


def inbound_form(
    message: TextMessage, *, account_sid: str, api_url: str, extra: Mapping[str, str]
) -> Form:
    """The fields of a message a person wrote; `extra` is laid over them."""
    person = message.sender or ""
    fields = {
        "MessageSid": message.sid,
        "SmsMessageSid": message.sid,
        "SmsSid": message.sid,
        "SmsStatus": "received",
        "AccountSid": account_sid,
        "ApiVersion": API_VERSION,
        "From": person,
        "To": message.to,
        "Body": message.body,
        "NumMedia": str(len(message.media)),
        "NumSegments": str(message.segments),
    }
    if message.service is not None:
        fields["MessagingServiceSid"] = message.service
    for number, media in enumerate(message.media):
        path = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{message.sid}/Media/{media.sid}"
        fields[f"MediaContentType{number}"] = media.file.content_type
        fields[f"MediaUrl{number}"] = api_url + path
    fields |= _whatsapp_fields(person) if is_whatsapp(person) else _geography()
    return tuple((fields | dict(extra)).items())


def status_form(message: TextMessage, status: str, *, account_sid: str, error: int | None) -> Form:
    """The fields of a status callback."""
    fields = {
        "MessageSid": message.sid,
        "MessageStatus": status,
        "SmsSid": message.sid,
        "SmsStatus": status,
        "AccountSid": account_sid,
        "ApiVersion": API_VERSION,
        "From": message.sender or "",
        "To": message.to,
    }
    if message.service is not None:
        fields["MessagingServiceSid"] = message.service
    if error is not None:
        fields["ErrorCode"] = str(error)
    return tuple(fields.items())


def _whatsapp_fields(person: str) -> dict[str, str]:
    wa_id = person.removeprefix(WHATSAPP).removeprefix("+")
    return {"ProfileName": "Ada", "WaId": wa_id, "MessageType": "text"}


def _geography() -> dict[str, str]:
    places = {"Country": "US", "State": "CA", "City": "", "Zip": ""}
    return {f"{side}{name}": place for side in ("From", "To") for name, place in places.items()}
