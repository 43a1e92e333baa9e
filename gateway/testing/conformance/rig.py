"""What the conformance suite needs of a channel's author: the channel, and a fake of its platform.

A rig plays one platform account with a bot and people in numbered chats. It is used as an async
context manager's value and lives for one test. Everything it says of the platform must come from
the fake, never from the channel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

from gateway.contract import Address, Channel

PlatformFault = Literal[
    "throttled",
    "refused_part",
    "refused_address",
    "refused_account",
    "lost_before",
    "lost_after",
    "server_error",
    "garbage",
    "silence",
]
"""How the next send fails: told to slow down; this text, this chat or the credential refused; the
connection cut before or after the platform took the message; an error of the platform's own; an
answer that means nothing; no answer at all.
"""

ALL_FAULTS: Sequence[PlatformFault] = (
    "throttled",
    "refused_part",
    "refused_address",
    "refused_account",
    "lost_before",
    "lost_after",
    "server_error",
    "garbage",
    "silence",
)


class Rig(ABC):
    """A channel and a fake of its platform, for one test.

    `secrets` are the texts that may never be seen anywhere: tokens, signing keys.
    """

    name: str = "under-test"
    secrets: Sequence[str] = ()

    @abstractmethod
    def channel(self) -> Channel:
        """A new channel called `name`, with the credential that the platform knows."""

    @abstractmethod
    def stranger(self) -> Channel:
        """A new channel called `name`, with a credential that the platform refuses."""

    def address(self, number: int = 1) -> Address:
        """A chat, different for each number; `write` and `sent` use the same numbers."""
        return Address(self.name, str(number))

    @abstractmethod
    async def write(self, text: str, *, chat: int = 1) -> object:
        """A person writes; gives the platform's event. Does not wait for the channel."""

    @abstractmethod
    async def write_again(self, event: object) -> None:
        """The platform delivers an earlier event once more. Does not wait for the channel."""

    @abstractmethod
    async def write_as_bot(self, text: str) -> object:
        """A bot writes in the first chat, as a bot of the platform would be seen."""

    @abstractmethod
    async def happen(self) -> object:
        """Something happens that no channel of today knows: a kind of event yet to be invented."""

    @abstractmethod
    async def wait_until_acknowledged(self, event: object, *, timeout_s: float = 10) -> None:
        """Return when the platform considers the event delivered; raises TimeoutError."""

    @abstractmethod
    def is_acknowledged(self, event: object) -> bool:
        """Whether the platform considers the event delivered."""

    @abstractmethod
    def sent(self, chat: int = 1) -> Sequence[str]:
        """The texts that the bot's messages in that chat show now, oldest first."""

    @abstractmethod
    def fail(self, fault: PlatformFault, *, every: bool = False) -> None:
        """Let the next send fail like this, or every call from now on."""

    @abstractmethod
    async def vanish(self) -> None:
        """The platform cannot be reached any more: nothing listens at its address."""

    def complaints(self) -> Sequence[str]:
        """What the fake found wrong with the calls it had."""
        return ()


class GrowingRig(Rig):
    """A rig of a platform whose messages can grow."""

    @abstractmethod
    def open_messages(self, chat: int = 1) -> int:
        """How many messages of that chat are shown as still being written."""


class WebhookRig(Rig):
    """A rig of a platform that calls a webhook, as strangers may, too."""

    @abstractmethod
    async def forge(self, text: str) -> int:
        """Call the webhook with a message of a person and a wrong signature; the HTTP status."""

    @abstractmethod
    async def babble(self) -> int:
        """Call the webhook with bytes that are no event, rightly signed; the HTTP status."""
