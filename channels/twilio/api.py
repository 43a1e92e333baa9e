"""Twilio's API as this channel uses it: few calls of the official library, typed.

Every call raises `Refused` (the answer is no) or `NoAnswer` (nobody knows). Addresses of messages
are as Twilio writes them, `whatsapp:` included.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from channels.twilio.settings import TwilioSettings
from channels.twilio.transport import NoAnswer, Transport

API_VERSION: Final = "2010-04-01"
PAGE_SIZE: Final = 1000
"""Twilio, Messages resource, PageSize: at most 1000."""

_UNREADABLE: Final = (
    AttributeError,
    LookupError,
    RecursionError,
    TwilioException,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """What a create says."""

    to: str
    text: str = ""
    media: Sequence[str] = ()
    template: str | None = None
    variables: str | None = None
    status_callback: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A message as a list shows it."""

    sid: str
    direction: str
    created_at: datetime
    sender: str
    to: str
    text: str
    media_count: int
    service: str | None


@dataclass(frozen=True, slots=True)
class Medium:
    """A file of a message."""

    sid: str
    mime: str


class TwilioApi:
    """One account; built inside the running loop, closed once."""

    def __init__(self, settings: TwilioSettings) -> None:
        token = settings.auth_token.get_secret_value()
        sid = settings.account_sid
        self._settings = settings
        self._http = Transport(secrets={token: "[token]", sid: "[account]"})
        # Variables TWILIO_EDGE and TWILIO_REGION would change the host behind our back.
        nowhere = {"TWILIO_EDGE": "", "TWILIO_REGION": ""}
        self._client = Client(sid, token, http_client=self._http, environment=nowhere)
        self._client.api.base_url = settings.base_url

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    async def account_status(self) -> str:
        """Prove the credential; gives the account's status, `active` where all is well."""
        with _answers():
            account = await self._client.api.v2010.accounts(
                self._settings.account_sid
            ).fetch_async()
            return str(account.status)

    async def create(self, message: Outgoing) -> str:
        """Have a message sent; gives its SID."""
        fields: dict[str, object] = {
            "to": message.to,
            "status_callback": message.status_callback,
            "validity_period": self._settings.validity_s,
        }
        if self._settings.messaging_service_sid is not None:
            fields["messaging_service_sid"] = self._settings.messaging_service_sid
        if self._settings.sender is not None:
            prefix = message.to[: message.to.find(":") + 1]
            fields["from_"] = f"{prefix}{self._settings.sender}"
        if message.template is not None:
            fields["content_sid"] = message.template
            fields["content_variables"] = message.variables
        else:
            fields["body"] = message.text or None
        if message.media:
            fields["media_url"] = list(message.media)
        with _answers():
            created = await self._client.messages.create_async(
                **{name: value for name, value in fields.items() if value is not None}
            )
            if not isinstance(created.sid, str):
                raise TypeError("an answer without a SID")
            return created.sid

    async def pages(
        self,
        *,
        to: str | None = None,
        after: datetime | None = None,
        before: datetime | None = None,
    ) -> AsyncGenerator[list[Listed], None]:
        """Messages by the time they were sent, newest first, a page at a time."""
        filters = {"to": to, "date_sent_after": after, "date_sent_before": before}
        given = {name: value for name, value in filters.items() if value is not None}
        with _answers():
            page = await self._client.messages.page_async(page_size=PAGE_SIZE, **given)
        while page is not None:
            with _answers():
                listed = [_listed(message) for message in page]
            yield listed
            with _answers():
                page = await page.next_page_async()

    async def media_of(self, message_sid: str) -> list[Medium]:
        """The files of a message."""
        with _answers():
            found = await self._client.messages(message_sid).media.list_async(limit=30)
            return [Medium(str(medium.sid), str(medium.content_type)) for medium in found]

    async def delete_medium(self, message_sid: str, sid: str) -> None:
        """Remove a file at Twilio."""
        with _answers():
            await self._client.messages(message_sid).media(sid).delete_async()


@contextmanager
def _answers() -> Iterator[None]:
    """What the library stumbles over inside an answer is an answer that means nothing."""
    try:
        yield
    except _UNREADABLE as error:
        raise NoAnswer(
            f"an answer that is not Twilio's ({type(error).__name__})", was_written=True
        ) from None


def _listed(message: object) -> Listed:
    fields: Mapping[str, object] = vars(message)
    service, created_at = fields["messaging_service_sid"], fields["date_created"]
    if not isinstance(created_at, datetime):
        raise TypeError("a message without a date")
    return Listed(
        sid=str(fields["sid"]),
        direction=str(fields["direction"]),
        created_at=created_at.replace(tzinfo=created_at.tzinfo or UTC),
        sender=str(fields["from_"] or ""),
        to=str(fields["to"] or ""),
        text=str(fields["body"] or ""),
        media_count=int(str(fields["num_media"] or "0")),
        service=str(service) if service else None,
    )
