"""What the moving parts look up: bots, and channels with what the configuration says of them.

Replaced as a whole when the configuration is loaded again; read-only for everybody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.contract import Channel
from gateway.domain.bots import Bot
from gateway.domain.channels import Access, WhenBusy
from gateway.domain.ids import ProjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelBinding:
    """A configured channel: the adapter, whose it is, which bot answers, who may write.

    `allow` lists external ids for access `allow`; `pairing` lets in who redeemed a link code.
    `on_ambiguous` overrides the adapter's rule.
    `live` is the most that is shown of a running turn: what the adapter can, signals, or nothing.
    """

    channel: Channel
    project_id: ProjectId
    bot: str
    access: Access = "open"
    allow: frozenset[str] = frozenset()
    debounce_s: float = 0
    when_busy: WhenBusy = "queue"
    live: Literal["auto", "signal", "off"] = "auto"
    is_required: bool = False
    on_ambiguous: Literal["resend", "hold"] = "resend"

    @property
    def name(self) -> str:
        """The configured name."""
        return self.channel.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Bots by project and slug, channels by name."""

    bots: Mapping[tuple[ProjectId, str], Bot]
    channels: Mapping[str, ChannelBinding] = field(default_factory=dict)

    def bot(self, project_id: ProjectId, slug: str) -> Bot | None:
        """The bot with that slug, or None."""
        return self.bots.get((project_id, slug))

    def default_bot(self, project_id: ProjectId) -> Bot | None:
        """The project's default bot, or its only one; None when neither is there."""
        own = [bot for bot in self.bots.values() if bot.project_id == project_id]
        return next((bot for bot in own if bot.is_default), own[0] if len(own) == 1 else None)

    def delivering(self, channel: str) -> ChannelBinding | None:
        """The channel, if replies are sent on it; None where they are read from the transcript."""
        binding = self.channels.get(channel)
        return binding if binding is not None and binding.channel.capabilities.delivers else None
