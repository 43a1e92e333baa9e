"""Events of a running turn, kept in the store for readers elsewhere or later.

Only for turns whose caller may come back (`TurnOptions.is_resumable`), at most every 150 ms, and
never in the way of the turn: writes go on beside it and a failed one is only logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from gateway.domain.conversation import ToolCall
from gateway.domain.ids import MessageId
from gateway.domain.turns import (
    HandedOff,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    ToolCalled,
    ToolReturned,
    Turn,
)
from gateway.errors import StoreError
from gateway.flow.live import Broadcast, LiveEvent, NumberedEvent, TurnBegan
from gateway.store.protocol import Store
from gateway.store.protocol.turns import StoredEvent

log = structlog.get_logger(__name__)

KEEP_EVERY_S = 0.15


class EventKeeper:
    """Keeps the events of one turn, if its caller may come back."""

    def __init__(
        self, store: Store, turn: Turn, broadcast: Broadcast, *, every_s: float = KEEP_EVERY_S
    ) -> None:
        self._store = store
        self._turn = turn
        self._broadcast = broadcast
        self._every_s = every_s
        self._kept = 0
        self._task: asyncio.Task[None] | None = None

    def notice(self) -> None:
        """Something was published: see that it is kept soon."""
        if self._turn.options.is_resumable and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """Keep what there is until nothing is new; after an error the next event tries again."""
        while self._kept < len(self._broadcast.events):
            await asyncio.sleep(self._every_s)
            news = self._broadcast.events[self._kept :]
            rows = [row for numbered in news if (row := encode(numbered)) is not None]
            try:
                await self._store.add_events(self._turn.project_id, self._turn.id, rows)
            except StoreError as error:
                log.warning("turn_events_not_kept", turn_id=self._turn.id, code=error.code)
                return
            self._kept += len(news)


def encode(numbered: NumberedEvent) -> StoredEvent | None:
    """An event as a row; None for the end of a turn, which the turn itself tells."""
    data = _data(numbered.event)
    return None if data is None else StoredEvent(numbered.number, data)


def decode(row: StoredEvent, turn: Turn) -> NumberedEvent | None:
    """A row as an event; None for a message that was never committed."""
    data = row.data
    event: LiveEvent
    match data["type"]:
        case "began":
            event = TurnBegan(data["attempt"])
        case "started":
            event = MessageStarted(MessageId(data["message"]), data["agent"])
        case "delta":
            event = TextDelta(MessageId(data["message"]), data["text"])
        case "restarted":
            event = TextRestarted(MessageId(data["message"]))
        case "called":
            call = ToolCall(data["call"], data["name"], data["arguments"])
            event = ToolCalled(call, data["agent"])
        case "returned":
            event = ToolReturned(data["call"], data["name"], data["ok"])
        case "handed_off":
            event = HandedOff(data["from"], data["to"])
        case _:
            message = next((m for m in turn.messages if m.id == data["message"]), None)
            if message is None:
                return None
            event = MessageCompleted(message)
    return NumberedEvent(row.number, event)


def _data(event: LiveEvent) -> Mapping[str, Any] | None:
    match event:
        case TurnBegan():
            return {"type": "began", "attempt": event.attempt}
        case MessageStarted():
            return {"type": "started", "message": event.message_id, "agent": event.agent}
        case TextDelta():
            return {"type": "delta", "message": event.message_id, "text": event.text}
        case TextRestarted():
            return {"type": "restarted", "message": event.message_id}
        case ToolCalled():
            call = event.call
            return {
                "type": "called",
                "call": call.id,
                "name": call.name,
                "arguments": call.arguments,
                "agent": event.agent,
            }
        case ToolReturned():
            return {
                "type": "returned",
                "call": event.call_id,
                "name": event.name,
                "ok": event.is_ok,
            }
        case HandedOff():
            return {"type": "handed_off", "from": event.from_agent, "to": event.to_agent}
        case MessageCompleted():
            return {"type": "completed", "message": event.message.id}
        case _:
            return None
