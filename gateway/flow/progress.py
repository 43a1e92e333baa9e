"""From the events of a turn to what it leaves: collects, and builds the outcome at any moment.

Pure but for the ids of new messages. `Progress` is fed every event of one attempt.
"""

from __future__ import annotations

from gateway.domain.bots import Bot
from gateway.domain.conversation import Message, TextPart, Usage
from gateway.domain.ids import MessageId
from gateway.domain.turns import (
    HandedOff,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    TurnError,
    TurnEvent,
    TurnFailed,
    TurnFinished,
    TurnOutcome,
    TurnWaiting,
)


class Progress:
    """What an attempt has produced so far."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._messages: list[Message] = []
        self._open: tuple[MessageId, str] | None = None
        self._text: list[str] = []
        self.end: TurnFinished | TurnWaiting | TurnFailed | None = None
        self.handoffs = 0

    def add(self, event: TurnEvent) -> None:
        """Take one event."""
        match event:
            case TextDelta():
                self._text.append(event.text)
            case MessageStarted():
                self._open = (event.message_id, event.agent)
                self._text = []
            case TextRestarted():
                self._text = []
            case MessageCompleted():
                self._messages.append(event.message)
                if self._open is not None and self._open[0] == event.message.id:
                    self._open = None
            case HandedOff():
                self.handoffs += 1
            case TurnFinished() | TurnWaiting() | TurnFailed():
                self.end = event
            case _:
                pass

    def outcome(self) -> TurnOutcome:
        """What the attempt leaves, by its last event; without one it failed."""
        match self.end:
            case TurnFinished() as end:
                return TurnOutcome(
                    state="done",
                    messages=tuple(self._messages),
                    usage=end.usage,
                    model=end.model,
                    final_agent=end.final_agent,
                    next_agent=end.next_agent,
                    is_incomplete=end.is_incomplete,
                    bot_version=self._bot.version,
                )
            case TurnWaiting() as end:
                return TurnOutcome(
                    state="waiting",
                    messages=tuple(self._messages),
                    usage=end.usage,
                    model=end.model,
                    final_agent=end.final_agent,
                    next_agent=end.next_agent,
                    tool_calls=end.tool_calls,
                    bot_version=self._bot.version,
                )
            case TurnFailed() as end:
                return self.failed(end.error, usage=end.usage)
            case _:
                return self.failed(TurnError("internal", "The turn ended without a result."))

    def failed(self, error: TurnError, *, usage: Usage | None = None) -> TurnOutcome:
        """A failed turn: nothing of the broken attempt enters the transcript."""
        return TurnOutcome(
            state="failed", usage=usage or Usage(), error=error, bot_version=self._bot.version
        )

    def cancelled(self, *, is_shown: bool) -> TurnOutcome:
        """A cancelled turn: what somebody was shown is kept, the text in progress as incomplete."""
        kept = [m for m in self._messages if m.visibility == "external"] if is_shown else []
        text = "".join(self._text)
        is_cut = self._open is not None and bool(text) and is_shown
        if self._open is not None and is_cut:
            message_id, agent = self._open
            kept.append(
                Message(
                    id=message_id,
                    role="assistant",
                    agent=agent,
                    content=(TextPart(text),),
                    is_incomplete=True,
                )
            )
        return TurnOutcome(
            state="cancelled",
            messages=tuple(kept),
            is_incomplete=is_cut,
            error=TurnError("cancelled", "The turn was cancelled."),
            bot_version=self._bot.version,
        )
