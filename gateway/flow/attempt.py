"""One attempt at one claimed turn: settle its files, think, say it live, render the reply.

Gives a `TurnOutcome`; committing it is the worker's. The only place that catches every exception
of a turn: what is unexpected is logged and becomes a failed turn, so that the session goes on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

import structlog

from gateway.agents.attachments import Shown, show_files
from gateway.agents.journal import TurnJournal, TurnLost
from gateway.agents.prompt import CHARS_PER_TOKEN
from gateway.agents.routing import first_agent
from gateway.domain.bots import Bot
from gateway.domain.conversation import FilePart, Message, Usage
from gateway.domain.turns import (
    CRASHES_BEFORE_DEAD,
    ClaimedTurn,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TurnError,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnOutcome,
    TurnWaiting,
)
from gateway.flow.catalogue import ChannelBinding
from gateway.flow.crash_points import crash_point
from gateway.flow.growing import GrowingMessage
from gateway.flow.journal import StoreJournal
from gateway.flow.kept_events import EventKeeper
from gateway.flow.live import Broadcast
from gateway.flow.live_reply import LiveOutputs, LiveReply
from gateway.flow.media import Media
from gateway.flow.media_words import is_answerable, refusal_notice
from gateway.flow.progress import Progress
from gateway.flow.replies import answered_message, render_replies, reply_message
from gateway.flow.sorry import apologized
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
        is_ours: Callable[[], bool],
        media: Media,
        outputs: LiveOutputs,
    ) -> None:
        self._claimed = claimed
        self._store = store
        self._think = think
        self._bot = bot
        self._binding = binding
        self._broadcast = broadcast
        self._is_ours = is_ours
        self._media = media
        self._outputs = outputs
        self._progress = Progress(bot)
        self._reply_to = answered_message(claimed)
        self._has_shown = False

    async def run(self) -> TurnOutcome:
        """Work the turn to its outcome; a cancellation and TurnLost pass through."""
        turn = self._claimed.turn
        if turn.crash_count > CRASHES_BEFORE_DEAD:
            return await self._sorry(replace(self._progress.failed(POISON), state="dead"))
        self._broadcast.begin(turn.attempts)
        outcome = await self._guarded(self._think_live())
        if outcome is None:
            return await self.broken()
        if outcome.state == "failed":
            return await self._sorry(outcome)
        return await self._guarded(self._rendered(outcome)) or await self.broken()

    async def broken(self) -> TurnOutcome:
        """What is left of an attempt that did not come to an end."""
        return await self._sorry(self._progress.failed(INTERNAL))

    async def cancelled(self) -> TurnOutcome:
        """What a cancelled attempt leaves: the text that was shown, marked incomplete."""
        outcome = self._progress.cancelled(is_shown=self._binding is None or self._has_shown)
        return await self._guarded(self._rendered(outcome)) or outcome

    async def _guarded(self, work: Awaitable[TurnOutcome]) -> TurnOutcome | None:
        return await guarded(work, self._claimed)

    async def _think_live(self) -> TurnOutcome:
        """Think, with live output beside it where the channel has any."""
        address, binding = self._claimed.session.address, self._binding
        if binding is None or address is None or binding.live == "off":
            return await self._think_to_the_end(None)
        growing = GrowingMessage(self._store, self._claimed, binding.channel)
        live = LiveReply(
            binding.channel,
            address,
            reply_to=self._reply_to,
            growing=growing,
            is_ours=self._is_ours,
            signals_only=binding.live == "signal",
            outputs=self._outputs,
        )
        async with live as live_reply:
            try:
                return await self._think_to_the_end(live_reply)
            finally:
                self._has_shown = live_reply.has_shown

    async def _think_to_the_end(self, live_reply: LiveReply | None) -> TurnOutcome:
        """Run the turn to its last event, telling everybody who listens."""
        keeper = EventKeeper(self._store, self._claimed.turn, self._broadcast)
        has_text, wants_text = False, live_reply is not None and live_reply.wants_text
        wants_stream = self._broadcast.wants_stream or wants_text
        async with aclosing(self._events(wants_stream=wants_stream)) as events:
            async for event in events:
                self._progress.add(event)
                if isinstance(event, TurnFinished | TurnWaiting | TurnFailed):
                    break
                self._broadcast.publish(event)
                keeper.notice()
                if isinstance(event, TextDelta) and not has_text:
                    has_text = True
                    crash_point("mid_llm")
                if live_reply is not None:
                    live_reply.notice(event)
        return self._progress.outcome()

    async def _events(self, *, wants_stream: bool) -> AsyncGenerator[TurnEvent, None]:
        """What happens in the turn: what is said of files that are not read, then the thinking."""
        channel = self._binding.channel if self._binding is not None else None
        claimed = await self._media.settle(self._claimed, bot=self._bot, channel=channel)
        own = [message for message in claimed.history if message.turn_id == claimed.turn.id]
        is_told = any(message.role == "assistant" for message in own)
        notice = "" if is_told else refusal_notice(own)
        if notice:
            wished = (claimed.turn.options.agent, claimed.session.agent)
            agent = first_agent(self._bot, wished).name
            message = reply_message(notice, agent=agent)
            yield MessageStarted(message.id, agent)
            yield TextDelta(message.id, notice)
            yield MessageCompleted(message)
            if not is_answerable([said for said in own if said.role == "user"]):
                yield TurnFinished(agent, agent, Usage(), None)
                return
        thinking = self._think(
            self._bot,
            replace(claimed, history=await self._shown(claimed)),
            journal=StoreJournal(self._store, claimed),
            wants_stream=wants_stream,
        )
        async with aclosing(thinking) as events:
            async for event in events:
                yield event

    async def _shown(self, claimed: ClaimedTurn) -> tuple[Message, ...]:
        """The transcript with pictures and texts in place of files."""

        async def load(part: FilePart) -> bytes | None:
            return await self._media.picture(claimed, part)

        shown = Shown(text_chars=max(self._bot.window_tokens, 1000) * CHARS_PER_TOKEN)
        return await show_files(
            claimed.history, load=load, takes_pictures=self._bot.takes_pictures, shown=shown
        )

    async def _sorry(self, outcome: TurnOutcome) -> TurnOutcome:
        """Add the apology where replies are sent."""
        return await sorry(outcome, self._claimed, self._binding, text=self._bot.apology)

    async def _rendered(self, outcome: TurnOutcome) -> TurnOutcome:
        """The outcome with its messages as parts for the channel; raises what `render` raises."""
        address = self._claimed.session.address
        if self._binding is None or address is None:
            return outcome
        deliveries = render_replies(
            outcome.messages,
            channel=self._binding.channel,
            address=address,
            reply_to=self._reply_to,
            marks_cut=outcome.state == "done",
        )
        return replace(outcome, deliveries=deliveries)


async def guarded(work: Awaitable[TurnOutcome], claimed: ClaimedTurn) -> TurnOutcome | None:
    """The outcome of some work; None when it broke, which is logged. Raises TurnLost."""
    try:
        return await work
    except TurnLost:
        raise
    except Exception:
        log.exception("turn_broke", turn_id=claimed.turn.id)
        return None


async def sorry(
    outcome: TurnOutcome, claimed: ClaimedTurn, binding: ChannelBinding | None, *, text: str
) -> TurnOutcome:
    """A failed turn with an apology where replies are sent and one can be rendered."""

    async def apologize() -> TurnOutcome:
        return apologized(outcome, claimed, binding, text=text)

    return await guarded(apologize(), claimed) or outcome
