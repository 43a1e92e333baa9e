"""The sending half of a Slack channel beside the fake Slack, for the tests of this package."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from channels.slack.api import SlackApi
from channels.slack.installations import Installations
from channels.slack.outgoing import Outgoing
from channels.slack.render import parts
from channels.slack.settings import SlackSettings
from gateway.contract import (
    Address,
    Attachment,
    Button,
    Json,
    OutboundMessage,
    Receipt,
    ReplyTo,
    SentQuery,
)
from gateway.testing.host import FakeHost
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.slack.messages import SlackMessage


@dataclass(frozen=True, slots=True)
class Half:
    """What can be said on a fake Slack, and what then stands there."""

    slack: SlackServer
    outgoing: Outgoing
    host: FakeHost
    api: SlackApi

    def thread(self, channel: str = "C1", user: str = "U1") -> Address:
        """A person writes in a channel: the address of the thread below it."""
        told = self.slack.post_message(channel, user, "Hello")
        team = self.slack.workspace.id
        return Address("slack", f"{team}:{channel}", str(told["event"]["ts"]))

    def address(self, channel: str = "D1") -> Address:
        """A channel itself."""
        self.slack.channel(channel, user="U1")
        return Address("slack", f"{self.slack.workspace.id}:{channel}")

    def replying(self, address: Address, user: str = "U1") -> ReplyTo:
        """The message that a thread hangs from, and its sender."""
        return ReplyTo(address.thread or "1.0", f"{self.slack.workspace.id}:{user}")

    async def say(
        self,
        address: Address,
        text: str,
        *,
        buttons: Sequence[Button] = (),
        attachments: Sequence[Attachment] = (),
        delivery_id: str = "dlv_1",
    ) -> list[Receipt]:
        """Render a message and deliver its parts in order."""
        message = OutboundMessage(
            address=address, text=text, buttons=tuple(buttons), attachments=tuple(attachments)
        )
        return [
            await self.deliver(address, part, delivery_id=f"{delivery_id}_{number}")
            for number, part in enumerate(parts(message))
        ]

    async def deliver(
        self,
        address: Address,
        part: Json,
        *,
        delivery_id: str = "dlv_1",
        open_ref: str | None = None,
    ) -> Receipt:
        """Deliver one part."""
        return await self.outgoing.deliver(
            address, part, delivery_id=delivery_id, open_ref=open_ref
        )

    async def find(
        self, address: Address, part: Json | None = None, *, delivery_id: str = "dlv_1"
    ) -> str | None:
        """Ask for a delivery of the last seconds; without a part for an opened message."""
        query = SentQuery(
            delivery_id=delivery_id,
            address=address,
            part=part or {},
            since=datetime.now(UTC) - timedelta(seconds=2),
        )
        found = await self.outgoing.find_sent(query)
        return found.provider_id if found else None

    def shown(self) -> list[SlackMessage]:
        """What stands there of the app."""
        return self.slack.sent()


def part_of(text: str) -> Json:
    """The one part of a short text."""
    [part] = parts(OutboundMessage(address=Address("slack", "T:C"), text=text))
    return part


@asynccontextmanager
async def sending_half(
    *, by_oauth: bool = False, settings: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[Half]:
    """A connected sending half; `options` are those of the fake Slack."""
    host = FakeHost()
    async with SlackServer(**options) as slack, SlackApi(slack.api_url) as api:
        client = {"client_id": slack.client_id, "client_secret": SecretStr(slack.client_secret)}
        given: dict[str, Any] = client if by_oauth else {"bot_token": SecretStr(slack.bot_token)}
        given |= {"signing_secret": SecretStr(slack.signing_secret), **(settings or {})}
        slack_settings = SlackSettings(api_url=slack.api_url, **given)
        installations = Installations(host, api, settings=slack_settings)
        await installations.open()
        if by_oauth:
            code = slack.approve("U1", redirect_uri="https://gateway.example/oauth")
            await installations.install(code, redirect_uri="https://gateway.example/oauth")
        outgoing = Outgoing(api, installations, host=host, settings=slack_settings)
        try:
            yield Half(slack, outgoing, host, api)
        finally:
            await outgoing.close()
