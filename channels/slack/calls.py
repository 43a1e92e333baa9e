"""Calls on behalf of one workspace: with its token, and not before the time Slack asked for.

Takes team, method and arguments. A token that was refused is exchanged and the call made once more,
because nothing was done yet. Slack's limits hold for a channel where something is posted, else for
a method in a workspace; who comes too early is refused here, and Slack is not asked.
"""

from collections.abc import Callable
from typing import Final

from channels.slack.api import SlackApi, SlackRefused
from channels.slack.failures import OPERATOR_NEEDED, is_throttled, wait_s
from channels.slack.installations import TOKEN_REFUSED, Installations
from gateway.contract import ChannelHost, Json
from gateway.errors import Scope

_POSTS: Final = frozenset({"chat.postMessage", "chat.postEphemeral"})
"""Limited by channel. docs.slack.dev, "Rate limits"; read November 2026."""

_COURTESIES: Final = "assistant."
"""What is nice to have: without the scope for it a channel is in order all the same."""

Limit = tuple[str, str]


class Calls:
    """Calls of one app in all its workspaces; `clock` tells monotonic seconds.

    `workspace_scope` is how far a refused token reaches: everything, or one of several workspaces.
    """

    def __init__(
        self,
        api: SlackApi,
        installations: Installations,
        *,
        host: ChannelHost,
        workspace_scope: Scope,
        clock: Callable[[], float],
    ) -> None:
        self.api = api
        self.workspace_scope = workspace_scope
        self._installations = installations
        self._host = host
        self._clock = clock
        self._free_at: dict[Limit, float] = {}

    async def bot_user(self, team: str) -> str | None:
        """Our own user in that workspace."""
        found = await self._installations.find(team)
        return found.bot_user if found is not None else None

    def is_throttled(self, team: str, method: str) -> bool:
        """Whether that method, one that posts nothing, has to wait in that workspace."""
        return self._free_at.get((team, method), 0.0) > self._clock()

    async def call(self, team: str, method: str, params: Json) -> Json:
        """One call; raises SlackError, or what `Installations.token` raises."""
        limit = team, str(params.get("channel")) if method in _POSTS else method
        left_s = self._free_at.get(limit, 0.0) - self._clock()
        if left_s > 0:
            raise SlackRefused("ratelimited", status=429, retry_after_s=left_s)
        token = await self._installations.token(team)
        try:
            return await self._call(team, method, params, token=token)
        except SlackRefused as refusal:
            if is_throttled(refusal):
                self._note(limit, wait_s(refusal))
            if refusal.error in OPERATOR_NEEDED and not method.startswith(_COURTESIES):
                self._host.health("degraded", reason=f"Slack refuses {method}: {refusal}")
            raise

    async def _call(self, team: str, method: str, params: Json, *, token: str) -> Json:
        try:
            return await self.api.call(method, params, token=token)
        except SlackRefused as refusal:
            if refusal.error not in TOKEN_REFUSED:
                raise
            other = await self._installations.after_refusal(team, token=token, error=refusal.error)
            if other is None:
                raise
            return await self.api.call(method, params, token=other)

    def _note(self, limit: Limit, for_s: float) -> None:
        now = self._clock()
        self._free_at = {key: at for key, at in self._free_at.items() if at > now}
        self._free_at[limit] = now + for_s


class Budget:
    """Calls of one method that are left out when there were many; a bucket for each workspace."""

    def __init__(self, *, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, team: str) -> bool:
        """Whether one more call may be made in that workspace; then it counts."""
        now = self._clock()
        tokens, at = self._left.get(team, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        self._left[team] = (max(tokens - 1, 0.0) if tokens >= 1 else tokens, now)
        return tokens >= 1
