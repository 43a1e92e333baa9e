"""The pull channel of kind `widget`, also behind the built-in channels `api` and `web`.

Whoever talks through it reads the transcript: the transcript is the delivery, no outbox row is made
and nothing is ever sent from here. The settings are checked and told; nobody applies them yet:
visitors come by the hosted page or by a publishable key, whose origins are enforced.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.contract import (
    Address,
    Capabilities,
    Channel,
    ChannelHost,
    Json,
    OutboundMessage,
    Receipt,
)
from gateway.errors import DeliveryRefused


class WidgetSettings(BaseModel):
    """Who may start a session from a page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    embed_key: Annotated[
        str | None, Field(min_length=1, description="Public key that pages show; not a secret.")
    ] = None
    allowed_domains: Annotated[
        tuple[str, ...], Field(description="Hosts whose pages may embed it.")
    ] = ()
    level: Annotated[
        Literal["none", "embed_key", "session_token"],
        Field(description="What a page must show before a session is opened."),
    ] = "session_token"


class WebChannel(Channel):
    """A channel that is asked and never pushes."""

    kind: ClassVar[str] = "widget"
    settings_model: ClassVar[type[BaseModel]] = WidgetSettings

    @property
    def capabilities(self) -> Capabilities:
        """Pull: no outbox, no live output of its own."""
        return Capabilities(delivers=False)

    @asynccontextmanager
    async def connected(self, host: ChannelHost) -> AsyncIterator[None]:
        """Always: there is no platform that could be away."""
        host.health("connected")
        yield

    def render(self, message: OutboundMessage) -> list[Json]:
        """No parts: the message stands in the transcript."""
        return []

    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None = None
    ) -> Receipt:
        """Refuse: nothing is ever rendered for this channel."""
        raise DeliveryRefused("a pull channel delivers by its transcript", scope="account")

    async def probe(self) -> str:
        """Nothing to prove: no credential, no platform."""
        return "read by its callers; nothing to check"
