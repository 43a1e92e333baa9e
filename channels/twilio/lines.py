"""Who we are on Twilio: the account, and the sender or pool that a channel speaks for."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from channels.twilio.settings import E164, TwilioSettings

Platform = Literal["sms", "whatsapp"]

PREFIX: Final[dict[Platform, str]] = {"sms": "", "whatsapp": "whatsapp:"}
"""What Twilio writes before the number."""

_NUMBER: Final = re.compile(E164)


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
