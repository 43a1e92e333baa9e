"""A call of the fake Twilio, and how it can be refused.

`TwilioError` is a plain value: the error document as Twilio writes it, by its code. Names and
numbers of codes are from Twilio's error dictionary (twilio.com/docs/api/errors, read November
2026). Faults that no platform has for itself are in `gateway.testing.misbehaviour`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gateway.testing.misbehaviour import Misbehaviour
from gateway.testing.wire import JsonObject

CATALOGUE: Final[Mapping[int, tuple[int, str]]] = {
    20001: (400, "Invalid parameter"),
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20009: (409, "Cannot delete this resource before it is complete"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    20503: (503, "Service Unavailable"),
    21211: (400, "Invalid 'To' Phone Number"),
    21212: (400, "Invalid 'From' Number"),
    21408: (
        400,
        "Permission to send an SMS has not been enabled for the region of the 'To' number",
    ),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The 'From' phone number provided is not a valid message-capable Twilio number"),
    21609: (400, "The 'StatusCallback' URL is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "Message cannot be sent with the current combination of 'To' and/or 'From'"),
    21614: (400, "'To' number is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21620: (400, "Invalid media URL(s)"),
    21623: (400, "Number of media files exceeds allowed limit."),
    21655: (400, "The ContentSid Parameter is Invalid"),
    21656: (400, "The ContentVariables Parameter is invalid"),
    21701: (404, "The Messaging Service does not exist"),
    21703: (400, "The Messaging Service does not contain any phone numbers"),
    21910: (400, "Invalid 'From' and 'To' pair. 'From' and 'To' should be of the same channel"),
    30400: (400, "Parameters are not valid"),
    30409: (409, "This message cannot be canceled"),
    63007: (400, "Twilio could not find a Channel with the specified 'From' address"),
}
"""Status and text of each refusal of a request, by code."""

ASYNC_CODES: Final[Mapping[int, str]] = {
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30022: "US A2P 10DLC - Rate Limits Exceeded",
    30034: "US A2P 10DLC - Message from an Unregistered Number",
    63003: "Channel could not find To address",
    63016: "Failed to send freeform message because you are outside the allowed window",
    63018: "Rate limit exceeded for Channel",
    63024: "Invalid message recipient",
    63038: "Account exceeded the daily messages limit",
}
"""Codes that arrive in a status callback after the message was created."""


@dataclass(slots=True)
class TwilioCall:
    """One request to the API, as it arrived.

    `operation` is its name in Twilio's specification ("CreateMessage"), `at` is on the monotonic
    clock, `fields` are form or query fields with all their values. `problems` are broken rules.
    `status` is what was answered, None while there is no answer (and for ever when the connection
    was dropped); `error_code` is Twilio's code of a refusal, `sid` the message that was created.
    """

    number: int
    operation: str
    method: str
    path: str
    at: float
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    status: int | None = None
    error_code: int | None = None
    sid: str | None = None

    def get(self, name: str) -> str:
        """The (first) value of a field, "" when it is not there."""
        return self.fields.get(name, ("",))[0]

    def has(self, name: str) -> bool:
        """The field is there and not empty."""
        return bool(self.get(name))

    @property
    def to(self) -> str:
        """The address it is about."""
        return self.get("To")


@dataclass(frozen=True, slots=True)
class TwilioError:
    """A refusal in Twilio's own shape; no message is created.

    `status` and `message` are those of the error dictionary unless given. `retry_after_s` goes out
    as a Retry-After header.
    """

    code: int
    message: str = ""
    status: int = 0
    retry_after_s: int | None = None

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        return self.status or CATALOGUE.get(self.code, (400, ""))[0]

    @property
    def document(self) -> JsonObject:
        """The JSON document."""
        return {
            "code": self.code,
            "message": self.message or CATALOGUE.get(self.code, (400, "An error"))[1],
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.http_status,
        }


class TwilioRefused(Exception):
    """Raised inside the fake to answer a call with `error`."""

    def __init__(self, error: TwilioError) -> None:
        super().__init__(error.document["message"])
        self.error = error


TwilioFault: TypeAlias = TwilioError | Misbehaviour


def refused(code: int, message: str = "") -> TwilioRefused:
    """The refusal of a request with that code."""
    return TwilioRefused(TwilioError(code, message))


def too_many_concurrent(retry_after_s: int | None = None) -> TwilioError:
    """429 with code 20429: too many requests at once."""
    return TwilioError(20429, retry_after_s=retry_after_s)


def opted_out() -> TwilioError:
    """400 with code 21610: the person has replied STOP."""
    return TwilioError(21610)


def wrong_credentials() -> TwilioError:
    """401 with code 20003: the token was rotated or never existed."""
    return TwilioError(20003)
