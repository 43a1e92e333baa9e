"""What an operator may set for channels of the kinds `sms` and `whatsapp`, and who we are by it.

Takes the channel's own keys of the configuration file; the common ones (name, kind, bot, access)
are the gateway's and never come here. Gives frozen, checked models, and the `Line` they describe.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

E164: Final = r"^\+[1-9]\d{6,14}$"

Platform = Literal["sms", "whatsapp"]

PREFIX: Final[dict[Platform, str]] = {"sms": "", "whatsapp": "whatsapp:"}
"""What Twilio writes before the number."""

_NUMBER: Final = re.compile(E164)


class TwilioSettings(BaseModel):
    """One sender, or one Messaging Service, of a Twilio account, and how the account is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    account_sid: Annotated[
        str, Field(pattern=r"^AC[0-9a-fA-F]{32}$", description="The account, as in its console.")
    ]
    auth_token: Annotated[
        SecretStr, Field(description="The account's auth token: for calls and for signatures.")
    ]
    sender: Annotated[
        str | None,
        Field(alias="from", pattern=E164, description="Our number, +15550001111."),
    ] = None
    messaging_service_sid: Annotated[
        str | None,
        Field(
            pattern=r"^MG[0-9a-fA-F]{32}$", description="A pool that sends, with `from` or without."
        ),
    ] = None
    old_auth_tokens: Annotated[
        tuple[SecretStr, ...],
        Field(description="Tokens that may still have signed a webhook, during a rotation."),
    ] = ()
    shared_keys: Annotated[
        dict[str, SecretStr],
        Field(description="Keys for signing webhooks instead of the auth token, secrets by id."),
    ] = {}
    fallback_url: Annotated[
        str | None,
        Field(
            pattern=r"^https?://[^/\s?#]+[^\s?#]*$",
            description="A second public_url, where Twilio calls when the first one fails.",
        ),
    ] = None
    api_url: Annotated[
        str,
        Field(
            pattern=r"^https?://[^/\s?#]+[^\s?#]*$",
            description="Address of Twilio's API.",
        ),
    ] = "https://api.twilio.com"
    validity_s: Annotated[
        int,
        Field(ge=1, le=36000, description="How long Twilio may try to send a message, in seconds."),
    ] = 3600
    delete_media: Annotated[
        bool, Field(description="Remove files of messages at Twilio once they are kept here.")
    ] = False

    @model_validator(mode="after")
    def _has_a_sender(self) -> Self:
        if self.sender is None and self.messaging_service_sid is None:
            raise ValueError("give from or messaging_service_sid")
        if not self.auth_token.get_secret_value():
            raise ValueError("auth_token is empty")
        return self

    @property
    def base_url(self) -> str:
        """`api_url` without a slash at its end."""
        return self.api_url.rstrip("/")


class SmsSettings(TwilioSettings):
    """A channel of kind `sms`."""

    part_chars: Annotated[
        int, Field(ge=70, le=1600, description="Longest part of a reply, in characters.")
    ] = 480
    max_parts: Annotated[
        int, Field(ge=1, le=100, description="Most parts of a reply; the last tells of more.")
    ] = 3
    transliterate: Annotated[
        bool,
        Field(description="Typographic quotes, dashes and the like become plain ones (GSM-7)."),
    ] = True


class WhatsAppSettings(TwilioSettings):
    """A channel of kind `whatsapp`."""

    template_sid: Annotated[
        str | None,
        Field(
            pattern=r"^HX[0-9a-fA-F]{32}$",
            description="Approved template for replies more than 24 h after the person wrote.",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A channel's own end: `sender` is our address as Twilio writes it, `service` a pool of them.

    With both, messages leave by the pool, and those to that one address are heard.
    """

    account: str
    channel: str
    platform: Platform
    sender: str | None
    service: str | None

    @classmethod
    def of(cls, settings: TwilioSettings, *, channel: str, platform: Platform) -> "Line":
        """The line of a configured channel."""
        number = settings.sender
        return cls(
            account=settings.account_sid,
            channel=channel,
            platform=platform,
            sender=PREFIX[platform] + number if number is not None else None,
            service=settings.messaging_service_sid,
        )

    def number(self, address: str) -> str | None:
        """The E.164 number of an address of this platform, None for any other.

        A bare number is never one of WhatsApp, and the other way round: they are two people to us.
        """
        prefix = PREFIX[self.platform]
        bare = address.removeprefix(prefix)
        if not address.startswith(prefix) or not _NUMBER.fullmatch(bare):
            return None
        return bare

    def is_ours(self, *, to: str, service: str) -> bool:
        """Whether a message to that address came to this channel's sender or pool."""
        if self.sender is not None:
            return to == self.sender
        return not service or service == self.service
