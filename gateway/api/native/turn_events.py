"""The events of a turn as frames of a stream: our events in, server-sent events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

from gateway.api.native.wire import events as wire
from gateway.api.native.wire.messages import MessageOut, message_out
from gateway.api.native.wire.turns import (
    TurnErrorOut,
    accepted_out,
    is_said,
    turn_out,
    turn_status,
)
from gateway.api.sse import frame
from gateway.domain import turns as domain
from gateway.domain.conversation import Message
from gateway.domain.turns import Turn
from gateway.service.chat import LiveEvent, NumberedEvent, TurnBegan, TurnEnded


async def frames(
    turn: Turn, events: AsyncGenerator[NumberedEvent, None], *, from_start: bool
) -> AsyncGenerator[bytes, None]:
    """The frames of a turn's events; `from_start` begins with `turn.created`, number 0."""
    if from_start:
        created = wire.TurnCreated(seq=0, turn=accepted_out(turn))
        yield frame(created.type, created.model_dump_json(), number=0)
    story = _Story(turn)
    async with aclosing(events):
        async for numbered in events:
            for document in story.tell(numbered.event, numbered.number):
                data = document.model_dump_json()
                yield frame(document.type, data, number=document.seq)


class _Story:
    """Tells one turn; remembers which messages are open, so that a new attempt can void them."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._open: str | None = None

    def tell(self, event: LiveEvent, seq: int) -> Iterator[wire.EventOut]:
        """The documents of one event: mostly one, sometimes none."""
        match event:
            case domain.TextDelta():
                yield wire.MessageDelta(seq=seq, message_id=event.message_id, text=event.text)
            case domain.MessageStarted():
                self._open = event.message_id
                yield self._created(event, seq)
            case domain.MessageCompleted():
                self._open = None
                if is_said(event.message):
                    yield wire.MessageCompleted(seq=seq, message=self._message(event.message))
            case domain.TextRestarted():
                yield wire.MessageRestarted(seq=seq, message_id=event.message_id)
            case TurnBegan():
                yield from self._began(event, seq)
            case TurnEnded():
                yield ended(event.turn, seq)
            case _:
                yield from _steps(event, seq)

    def _began(self, event: TurnBegan, seq: int) -> Iterator[wire.EventOut]:
        if self._open is not None:
            yield wire.MessageRestarted(seq=seq - 1, message_id=self._open)
            self._open = None
        yield wire.TurnInProgress(seq=seq, turn_id=self._turn.id, attempt=event.attempt)

    def _created(self, event: domain.MessageStarted, seq: int) -> wire.MessageCreated:
        begun = Message(id=event.message_id, role="assistant", agent=event.agent)
        return wire.MessageCreated(seq=seq, message=self._message(begun))

    def _message(self, message: Message) -> MessageOut:
        turn = self._turn
        return message_out(message, session_id=turn.session_id, turn_id=turn.id)


def ended(turn: Turn, seq: int) -> wire.EventOut:
    """The last event of a stream."""
    document = turn_out(turn)
    match turn_status(turn):
        case "completed":
            return wire.TurnCompleted(seq=seq, turn=document)
        case "incomplete":
            return wire.TurnIncomplete(seq=seq, turn=document)
        case "cancelled":
            return wire.TurnCancelled(seq=seq, turn=document)
        case "failed":
            unknown = TurnErrorOut(code="internal", message="The turn failed.", retryable=False)
            return wire.TurnFailed(seq=seq, error=document.error or unknown, turn=document)
        case _:
            return wire.TurnRequiresAction(seq=seq, turn=document)


def _steps(event: LiveEvent, seq: int) -> Iterator[wire.EventOut]:
    match event:
        case domain.ToolCalled():
            call = event.call
            yield wire.ToolStarted(seq=seq, name=call.name, call_id=call.id, agent=event.agent)
        case domain.ToolReturned():
            yield wire.ToolCompleted(
                seq=seq, name=event.name, call_id=event.call_id, ok=event.is_ok
            )
        case domain.HandedOff():
            yield wire.AgentHandoff(seq=seq, from_=event.from_agent, to=event.to_agent)
        case _:
            return
