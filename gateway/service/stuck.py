"""StuckTurns: turns that are not over for a long time, and why.

Reads only. Why a turn does not go on is a pure function of its row and the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gateway.domain.channels import BUILT_IN_CHANNELS
from gateway.service.operations import ALIVE_FOR_S
from gateway.store.protocol import Store
from gateway.store.protocol.lingering import LingeringTurn

__all__ = ["LingeringTurn", "StuckTurn", "StuckTurns", "Surroundings", "why"]

ALIVE_FOR = timedelta(seconds=ALIVE_FOR_S)
MOST = 1_000


@dataclass(frozen=True, slots=True)
class StuckTurn:
    """A turn, how long it has been in its state, and why it does not go on."""

    turn: LingeringTurn
    for_s: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the reasons are told by: the time, the configuration, whether any daemon is alive."""

    now: datetime
    bots: Set[str]
    channels: Set[str]
    is_served: bool


class StuckTurns:
    """An operator's question. `bots` are slugs; `channels` are those of the configuration."""

    def __init__(self, store: Store, *, bots: Set[str], channels: Set[str]) -> None:
        self._store = store
        self._bots = bots
        self._channels = channels

    async def find(self, *, older_than: timedelta) -> Sequence[StuckTurn]:
        """Turns that have been in their state for longer than that, the oldest first."""
        now = datetime.now(UTC)
        turns = await self._store.lingering_turns(before=now - older_than, limit=MOST)
        beats = [instance.heartbeat_at for instance in await self._store.instances()]
        around = Surroundings(
            now=now,
            bots=self._bots,
            channels=self._channels,
            is_served=any(now - beat < ALIVE_FOR for beat in beats),
        )
        return [
            StuckTurn(turn, round((now - turn.since).total_seconds(), 1), why(turn, around))
            for turn in turns
        ]


def why(turn: LingeringTurn, around: Surroundings) -> str:
    """Why a turn does not go on, in a sentence."""
    match turn.state:
        case "waiting":
            return f"waits for the caller to run {', '.join(turn.calls) or 'its tools'}"
        case "running":
            return _why_running(turn, around)
        case _:
            return _why_queued(turn, around)


def _why_running(turn: LingeringTurn, around: Surroundings) -> str:
    if turn.owner is None:
        return "nobody works on it: see `bot-gateway verify`"
    if turn.owner_seen_at is None or around.now - turn.owner_seen_at >= ALIVE_FOR:
        comes = "the running one takes it over" if around.is_served else "the next start takes it"
        left_s = (turn.lease_until - around.now).total_seconds() if turn.lease_until else 0.0
        lease = f"its lease ends in {left_s:.0f} s" if left_s > 0 else "its lease is over"
        return f"its process {turn.owner} is gone, {lease}: {comes}"
    asked = ", and was asked to stop" if turn.is_cancelled else ""
    return f"attempt {turn.attempts} is at work in {turn.owner}{asked}"


def _why_queued(turn: LingeringTurn, around: Surroundings) -> str:
    if turn.behind is not None:
        return f"behind {turn.behind}, which is {turn.behind_state}"
    if not around.is_served:
        return "no gateway runs on this store"
    if turn.not_before > around.now:
        wait_s = (turn.not_before - around.now).total_seconds()
        return f"is tried again in {wait_s:.0f} s, after {turn.attempts} attempts"
    if turn.bot not in around.bots:
        return f"its bot {turn.bot} is not configured any more"
    if turn.channel not in around.channels | BUILT_IN_CHANNELS:
        return f"its channel {turn.channel} is not configured any more"
    return "waits for a free worker: limits.turns is too small, or the model is slow"
