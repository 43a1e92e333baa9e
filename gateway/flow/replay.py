"""The events of a turn that is over, told again from the store.

With kept events they come back as they were; without, they are made from the turn's messages, so
that every reader can follow every turn from anywhere.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from gateway.domain.conversation import Message
from gateway.domain.turns import (
    EVENTS_PER_ATTEMPT,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    Turn,
)
from gateway.flow.kept_events import decode
from gateway.flow.live import LiveEvent, NumberedEvent, TurnBegan, TurnEnded
from gateway.store.protocol.turns import StoredEvent


def replay(turn: Turn, kept: Sequence[StoredEvent], *, after: int) -> Iterator[NumberedEvent]:
    """Events above `after`, ending with TurnEnded; messages a reader may know in part restart.

    `kept` is all that was kept of the turn, from its first event on.
    """
    number = after
    completed: set[str] = set()
    for row in kept:
        numbered = decode(row, turn)
        if numbered is None:
            continue
        if isinstance(numbered.event, MessageCompleted):
            completed.add(numbered.event.message.id)
        if numbered.number > after:
            number = numbered.number
            yield numbered
    first = max(turn.attempts - 1, 0) * EVENTS_PER_ATTEMPT
    if number <= first:
        number = first + 1
        yield NumberedEvent(number, TurnBegan(max(turn.attempts, 1)))
    for event in _missing(turn, completed, is_resumed=after > 0 or bool(kept)):
        number += 1
        yield NumberedEvent(number, event)


def _missing(turn: Turn, completed: Container[str], *, is_resumed: bool) -> Iterator[LiveEvent]:
    for message in turn.messages:
        if message.role == "assistant" and message.id not in completed:
            yield from _told_again(message, is_resumed=is_resumed)
    yield TurnEnded(turn)


def _told_again(message: Message, *, is_resumed: bool) -> Iterator[LiveEvent]:
    if message.visibility == "external" and message.text:
        yield MessageStarted(message.id, message.agent or "")
        if is_resumed:
            yield TextRestarted(message.id)
        yield TextDelta(message.id, message.text)
    yield MessageCompleted(message)
