"""One message of the fake account, and its document as the API shows it.

Both directions: what the program under test sent and what people wrote. The record changes while
the message travels (status, dates); everything else is as it was created.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Final, Literal

from gateway.testing.twilio.faults import ASYNC_CODES
from gateway.testing.twilio.rules import is_whatsapp
from gateway.testing.wire import JsonObject

API_VERSION: Final = "2010-04-01"
FINAL: Final = frozenset(
    {"sent", "delivered", "undelivered", "failed", "read", "received", "canceled"}
)
"""Statuses after which a message may be deleted."""
CANCELABLE: Final = frozenset({"accepted", "scheduled", "queued"})

Direction = Literal["inbound", "outbound-api"]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A picture or another file of a message."""

    content: bytes
    content_type: str = "image/jpeg"


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """A file as Twilio keeps it."""

    sid: str
    file: MediaFile
    created_at: datetime


@dataclass(slots=True)
class TextMessage:
    """A message, sent (`outbound-api`) or posted by a person (`inbound`).

    `at` is the monotonic time of its creation, `created_at` the fake's own clock. `statuses` are
    all it had, oldest first. `fields` are those of the call or of the webhook.
    """

    sid: str
    direction: Direction
    sender: str | None
    to: str
    body: str
    at: float
    created_at: datetime
    status: str
    fields: dict[str, str] = field(default_factory=dict)
    media: list[StoredMedia] = field(default_factory=list)
    media_urls: tuple[str, ...] = ()
    segments: int = 1
    service: str | None = None
    status_callback: str | None = None
    statuses: list[str] = field(default_factory=list)
    sent_at: datetime | None = None
    updated_at: datetime | None = None
    error_code: int | None = None

    @property
    def text(self) -> str:
        """What it says."""
        return self.body

    @property
    def is_whatsapp(self) -> bool:
        """It travels by WhatsApp."""
        return is_whatsapp(self.to)

    @property
    def listed_at(self) -> datetime:
        """The time a list is filtered and sorted by: sent, or created while it is not."""
        return self.sent_at or self.created_at

    def become(self, status: str, *, now: datetime, error_code: int | None = None) -> None:
        """Take the next status."""
        self.status = status
        self.statuses.append(status)
        self.updated_at = now
        self.error_code = error_code
        if status in {"sent", "delivered", "read"} and self.sent_at is None:
            self.sent_at = now

    def document(self, account_sid: str) -> JsonObject:
        """The Message resource."""
        uri = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{self.sid}"
        has_sender = self.service is None or self.status not in {"accepted", "scheduled"}
        return {
            "account_sid": account_sid,
            "api_version": API_VERSION,
            "body": self.body,
            "date_created": format_datetime(self.created_at),
            "date_sent": format_datetime(self.sent_at) if self.sent_at else None,
            "date_updated": format_datetime(self.updated_at or self.created_at),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": ASYNC_CODES.get(self.error_code or 0),
            "from": self.sender if has_sender else None,
            "messaging_service_sid": self.service,
            "num_media": str(len(self.media) or len(self.media_urls)),
            "num_segments": str(self.segments) if has_sender else "0",
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": self.to,
            "uri": f"{uri}.json",
        }


def media_document(message: TextMessage, media: StoredMedia, account_sid: str) -> JsonObject:
    """The Media resource."""
    path = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{message.sid}/Media/{media.sid}"
    return {
        "sid": media.sid,
        "account_sid": account_sid,
        "parent_sid": message.sid,
        "content_type": media.file.content_type,
        "date_created": format_datetime(media.created_at),
        "date_updated": format_datetime(media.created_at),
        "uri": f"{path}.json",
    }


def new_sid(prefix: str) -> str:
    """A fresh id of a kind of resource.

    >>> len(new_sid("SM"))
    34
    """
    return prefix + uuid.uuid4().hex
