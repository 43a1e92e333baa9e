"""BotsService: what can be talked to, and by which channels.

Reads the configuration, how the channels of this process are, what they sent and what waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.contract import HealthState
from gateway.domain.access import Principal
from gateway.domain.bots import Bot
from gateway.domain.channels import BUILT_IN_CHANNELS
from gateway.domain.ids import ProjectId
from gateway.errors import Forbidden, NotFound
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.flow.host import ChannelHealth
from gateway.store.protocol.coordination import ChannelDepth

__all__ = ["BotsService", "ChannelStatus", "check_agent", "chosen_bot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """A channel and how it is. `bot` None = every bot of the project can be reached through it."""

    name: str
    kind: str
    bot: str | None
    state: HealthState
    reason: str | None = None
    since: datetime | None = None
    last_in_at: datetime | None = None
    last_out_at: datetime | None = None
    ignored_events: Mapping[str, int] = field(default_factory=dict)
    depth: ChannelDepth = field(default_factory=ChannelDepth)


async def _nothing_waits(_project_id: ProjectId) -> Mapping[str, ChannelDepth]:
    return {}


class BotsService:
    """Bots, agents and channels of a project, for callers."""

    def __init__(
        self,
        catalogue: Callable[[], Catalogue],
        health: Callable[[], Mapping[str, ChannelHealth]] = dict,
        depth: Callable[[ProjectId], Awaitable[Mapping[str, ChannelDepth]]] = _nothing_waits,
        last_out_at: Callable[[], Mapping[str, datetime]] = dict,
    ) -> None:
        self._catalogue = catalogue
        self._health = health
        self._depth = depth
        self._last_out_at = last_out_at

    def bots(self, principal: Principal) -> Sequence[Bot]:
        """The bots the principal may use, by slug."""
        own = (b for b in self._catalogue().bots.values() if b.project_id == principal.project_id)
        return sorted((b for b in own if principal.may_use(b.slug)), key=lambda bot: bot.slug)

    def bot(self, principal: Principal, slug: str) -> Bot:
        """One of them; raises NotFound."""
        bot = self._catalogue().bot(principal.project_id, slug)
        if bot is None or not principal.may_use(slug):
            raise NotFound("There is no such bot.")
        return bot

    def find(self, slug: str) -> Bot | None:
        """The bot of that slug in whatever project: for pages that anybody may open."""
        return next((b for b in self._catalogue().bots.values() if b.slug == slug), None)

    async def channels(self, principal: Principal) -> Sequence[ChannelStatus]:
        """The project's channels, the built-in ones last."""
        depth = await self._depth(principal.project_id)
        return [
            replace(channel, depth=depth.get(channel.name, channel.depth))
            for channel in self._channels(principal)
        ]

    async def channel(self, principal: Principal, name: str) -> ChannelStatus:
        """One of them; raises NotFound."""
        found = next((c for c in await self.channels(principal) if c.name == name), None)
        if found is None:
            raise NotFound("There is no such channel.")
        return found

    def _channels(self, principal: Principal) -> Sequence[ChannelStatus]:
        health, last_out_at = self._health(), self._last_out_at()
        own = [
            _status(binding, health.get(binding.name), last_out_at.get(binding.name))
            for binding in self._catalogue().channels.values()
            if binding.project_id == principal.project_id and principal.may_use(binding.bot)
        ]
        return own + [
            ChannelStatus(name=name, kind="widget", bot=None, state="connected")
            for name in sorted(BUILT_IN_CHANNELS)
        ]


def chosen_bot(catalogue: Catalogue, principal: Principal, slug: str | None) -> Bot:
    """The bot of that slug, or the project's default one; raises NotFound, Forbidden."""
    project_id = principal.project_id
    bot = catalogue.bot(project_id, slug) if slug else catalogue.default_bot(project_id)
    if bot is None:
        raise NotFound("There is no such bot." if slug else "This project has no default bot.")
    if not principal.may_use(bot.slug):
        raise Forbidden("This key does not reach that bot.", code="agent_not_allowed")
    return bot


def check_agent(bot: Bot, agent: str | None) -> None:
    """Raise NotFound unless the bot has that agent; None = whoever answers next."""
    if agent is not None and agent not in bot.agents:
        raise NotFound(f"The bot {bot.slug!r} has no such agent.")


def _status(
    binding: ChannelBinding, health: ChannelHealth | None, last_out_at: datetime | None
) -> ChannelStatus:
    return ChannelStatus(
        name=binding.name,
        kind=binding.channel.kind,
        bot=binding.bot,
        state=health.state if health else "starting",
        reason=health.reason if health else None,
        since=health.since if health else None,
        last_in_at=health.last_in_at if health else None,
        last_out_at=last_out_at,
        ignored_events=health.ignored_events if health else {},
    )
