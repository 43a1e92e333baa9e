"""The resources of the API: which address is which operation, and what each operation does.

Takes calls that were judged; gives status and document. Names of operations are those of Twilio's
own OpenAPI description; `DownloadMedia`, the file itself, is not in it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Final

from gateway.testing.twilio.account import Account
from gateway.testing.twilio.faults import TwilioCall, refused
from gateway.testing.twilio.listing import list_page
from gateway.testing.twilio.messages import API_VERSION, TextMessage, media_document
from gateway.testing.twilio.traffic import Traffic
from gateway.testing.wire import JsonObject

_ACCOUNT: Final = rf"/{API_VERSION}/Accounts/(?P<AccountSid>[^/]+)"
_MESSAGE: Final = rf"{_ACCOUNT}/Messages/(?P<MessageSid>[^/.]+)"

_ADDRESSES: Final[tuple[tuple[str, Mapping[str, str]], ...]] = (
    (rf"/{API_VERSION}/Accounts/(?P<Sid>[^/.]+)\.json", {"GET": "FetchAccount"}),
    (rf"{_ACCOUNT}/Messages\.json", {"GET": "ListMessage", "POST": "CreateMessage"}),
    (
        rf"{_ACCOUNT}/Messages/(?P<Sid>[^/.]+)\.json",
        {"GET": "FetchMessage", "POST": "UpdateMessage", "DELETE": "DeleteMessage"},
    ),
    (rf"{_MESSAGE}/Media\.json", {"GET": "ListMedia"}),
    (rf"{_MESSAGE}/Media/(?P<Sid>[^/.]+)\.json", {"GET": "FetchMedia", "DELETE": "DeleteMedia"}),
    (rf"{_MESSAGE}/Media/(?P<Sid>[^/.]+)", {"GET": "DownloadMedia"}),
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a request asks for: an operation ("" for none) and the fields of its path."""

    operation: str
    path_fields: Mapping[str, str]

    @property
    def account_sid(self) -> str:
        """The account it is about."""
        return self.path_fields.get("AccountSid") or self.path_fields.get("Sid", "")


def find_place(method: str, path: str) -> Place:
    """The operation of a request; Refused for other addresses and methods."""
    for pattern, methods in _ADDRESSES:
        found = re.fullmatch(pattern, path)
        if found is not None and method not in methods:
            raise refused(20004)
        if found is not None:
            return Place(methods[method], found.groupdict())
    raise refused(20404, f"The requested resource {path} was not found")


class Resources:
    """The operations of one account; what becomes of its messages is the business of `traffic`."""

    def __init__(self, account: Account, traffic: Traffic) -> None:
        self._account = account
        self._traffic = traffic

    def run(self, call: TwilioCall, place: Place) -> tuple[int, JsonObject | None]:
        """Carry out a call; gives status and document, None for no body."""
        match place.operation:
            case "FetchAccount":
                return 200, self._account_document()
            case "CreateMessage":
                return 201, self._create(call)
            case "ListMessage":
                messages = list(self._account.messages.values())
                return 200, list_page(messages, call, document=self._document)
            case "FetchMessage" | "UpdateMessage" | "DeleteMessage":
                return self._on_message(call, place)
            case _:
                return self._on_media(call, place)

    def _create(self, call: TwilioCall) -> JsonObject:
        message = self._account.create(call)
        call.sid = message.sid
        document = self._document(message)
        self._traffic.send_off(message)
        return document

    def _on_message(self, call: TwilioCall, place: Place) -> tuple[int, JsonObject | None]:
        message = self._account.find(place.path_fields["Sid"])
        if place.operation == "DeleteMessage":
            self._account.delete(message)
            return 204, None
        if place.operation == "UpdateMessage":
            self._account.update(message, call)
            if call.get("Status") == "canceled":
                self._traffic.tell_canceled(message)
        return 200, self._document(message)

    def _on_media(self, call: TwilioCall, place: Place) -> tuple[int, JsonObject | None]:
        message = self._account.find(place.path_fields["MessageSid"])
        if place.operation == "ListMedia":
            return 200, self._media_page(message, call)
        media = self._account.find_media(message.sid, place.path_fields["Sid"])
        if place.operation == "DeleteMedia":
            message.media.remove(media)
            return 204, None
        return 200, media_document(message, media, self._account.sid)

    def _document(self, message: TextMessage) -> JsonObject:
        return message.document(self._account.sid)

    def _media_page(self, message: TextMessage, call: TwilioCall) -> JsonObject:
        """All files on one page: there are ten at most."""
        uri = f"{call.path}?PageSize=50&Page=0"
        documents = [media_document(message, media, self._account.sid) for media in message.media]
        return {
            "media_list": documents,
            "first_page_uri": uri,
            "uri": uri,
            "next_page_uri": None,
            "previous_page_uri": None,
            "page": 0,
            "page_size": 50,
            "start": 0,
            "end": max(0, len(documents) - 1),
        }

    def _account_document(self) -> JsonObject:
        uri = f"/{API_VERSION}/Accounts/{self._account.sid}"
        date = format_datetime(self._account.now())
        return {
            "auth_token": "",
            "date_created": date,
            "date_updated": date,
            "friendly_name": "A fake account",
            "owner_account_sid": self._account.sid,
            "sid": self._account.sid,
            "status": "active",
            "subresource_uris": {"messages": f"{uri}/Messages.json"},
            "type": "Full",
            "uri": f"{uri}.json",
        }
