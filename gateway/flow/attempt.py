"""One attempt at one claimed turn: think, say it live, render the reply.

Gives a `TurnOutcome`; committing it is the worker's. The only place that catches every exception
of a turn: what is unexpected is logged and becomes a failed turn, so that the session goes on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

import structlog

from gateway.agents.journal import TurnJournal
from gateway.domain.bots import Bot
from gateway.domain.turns import (
    CRASHES_BEFORE_DEAD,
    ClaimedTurn,
    TurnError,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnOutcome,
    TurnWaiting,
)
from gateway.flow.catalogue import ChannelBinding
from gateway.flow.journal import StoreJournal
from gateway.flow.kept_events import EventKeeper
from gateway.flow.live import Broadcast
from gateway.flow.live_reply import LiveReply
from gateway.flow.progress import Progress
from gateway.flow.replies import render_replies
from gateway.store.protocol import Store

log = structlog.get_logger(__name__)

POISON = TurnError("poison", "The turn stopped the process several times and was given up.")
INTERNAL = TurnError("internal", "Something went wrong on our side.")


class Think(Protocol):
    """One turn of thinking, as `agents` offers it with models and tools already given."""

    def __call__(
        self, bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        """The events of the turn; the last is TurnFinished, TurnWaiting or TurnFailed."""
        ...


class Attempt:
    """One attempt: `run` it, or after a cancellation ask for what it leaves."""

    def __init__(
        self,
        claimed: ClaimedTurn,
        *,
        store: Store,
        think: Think,
        bot: Bot,
        binding: ChannelBinding | None,
        broadcast: Broadcast,
    ) -> None:
        self._claimed = claimed
        self._store = store
        self._think = think
        self._bot = bot
        self._binding = binding
        self._broadcast = broadcast
        self._progress = Progress(bot)

    async def run(self) -> TurnOutcome:
        """Work the turn to its outcome; a cancellation passes through."""
        turn = self._claimed.turn
        if turn.crash_count > CRASHES_BEFORE_DEAD:
            return self._with_apology(replace(self._progress.failed(POISON), state="dead"))
        self._broadcast.begin(turn.attempts)
        address = self._claimed.session.address
        if self._binding is None or address is None or not self._binding.shows_live:
            return await self._think_safely(None)
        async with LiveReply(self._binding.channel, address) as live_reply:
            return await self._think_safely(live_reply)

    def cancelled(self) -> TurnOutcome:
        """What a cancelled attempt leaves: the text that was shown, marked incomplete."""
        return self._rendered(self._progress.cancelled())

    async def _think_safely(self, live_reply: LiveReply | None) -> TurnOutcome:
        keeper = EventKeeper(self._store, self._claimed.turn, self._broadcast)
        try:
            await self._follow(live_reply, keeper)
            outcome = self._progress.outcome()
        except Exception:
            log.exception("turn_broke", turn_id=self._claimed.turn.id)
            outcome = self._progress.failed(INTERNAL)
        if outcome.state == "failed":
            return self._with_apology(outcome)
        return self._rendered(outcome)

    async def _follow(self, live_reply: LiveReply | None, keeper: EventKeeper) -> None:
        """Run the turn to its last event, telling everybody who listens."""
        wants_text = live_reply is not None and live_reply.wants_text
        events = self._think(
            self._bot,
            self._claimed,
            journal=StoreJournal(self._store, self._claimed),
            wants_stream=self._broadcast.wants_stream or wants_text,
        )
        async with aclosing(events):
            async for event in events:
                self._progress.add(event)
                if isinstance(event, TurnFinished | TurnWaiting | TurnFailed):
                    return
                self._broadcast.publish(event)
                keeper.notice()
                if live_reply is not None:
                    live_reply.notice(event)

    def _with_apology(self, outcome: TurnOutcome) -> TurnOutcome:
        """Add the apology where replies are sent; callers of an API read the error instead."""
        if self._binding is None:
            return outcome
        return self._rendered(replace(outcome, messages=(self._progress.apology(),)))

    def _rendered(self, outcome: TurnOutcome) -> TurnOutcome:
        address = self._claimed.session.address
        if self._binding is None or address is None:
            return outcome
        deliveries = render_replies(
            outcome.messages, channel=self._binding.channel, address=address
        )
        return replace(outcome, deliveries=deliveries)
