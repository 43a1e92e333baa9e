"""Events of a turn are kept for whoever comes back, and told again as they were."""

import asyncio
import json
from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.conversation import Message, TextPart, ToolCall, Usage
from gateway.domain.ids import MessageId, ProjectId, SessionId, TurnId
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import (
    EVENTS_PER_ATTEMPT,
    HandedOff,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    ToolCalled,
    ToolReturned,
    Turn,
    TurnFinished,
    TurnOptions,
)
from gateway.flow.kept_events import EventKeeper, decode, encode
from gateway.flow.live import Broadcast, LiveEvent, NumberedEvent, TurnBegan, TurnEnded
from gateway.flow.replay import replay
from gateway.store.protocol.turns import StoredEvent
from tests.flow.house import House, house, queued

FIRST, SECOND = MessageId("msg_1"), MessageId("msg_2")


def message(message_id: MessageId, text: str, **fields: Any) -> Message:
    content = (TextPart(text),) if text else ()
    return Message(id=message_id, role="assistant", agent="Desk", content=content, **fields)


HELLO = message(FIRST, "Hello.")


def turn(*messages: Message, **fields: Any) -> Turn:
    values: dict[str, Any] = {"attempts": 1, "state": "done"}
    return Turn(
        id=TurnId("turn_1"),
        project_id=ProjectId("default"),
        session_id=SessionId("ses_1"),
        seq=1,
        kind="message",
        bot="support",
        messages=messages,
        created_at=datetime.now(UTC),
        **values | fields,
    )


EVENTS: list[LiveEvent] = [
    TurnBegan(2),
    MessageStarted(FIRST, "Desk"),
    TextDelta(FIRST, "Hél\n"),
    TextRestarted(FIRST),
    ToolCalled(ToolCall("c1", "lookup", '{"a": 1}'), "Desk"),
    ToolReturned("c1", "lookup", False),
    HandedOff("Desk", "Billing"),
    MessageCompleted(HELLO),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_its_row(event: LiveEvent) -> None:
    row = encode(NumberedEvent(5, event))
    assert row is not None
    stored = StoredEvent(row.number, json.loads(json.dumps(row.data)))

    assert decode(stored, turn(HELLO)) == NumberedEvent(5, event)


@pytest.mark.parametrize("event", [TurnEnded(turn()), TurnFinished("Desk", "Desk", Usage(), None)])
def test_the_end_of_a_turn_is_told_by_the_turn_itself(event: LiveEvent) -> None:
    assert encode(NumberedEvent(5, event)) is None


def test_a_message_that_was_never_committed_is_not_told_again() -> None:
    row = encode(NumberedEvent(5, MessageCompleted(HELLO)))
    assert row is not None

    assert decode(row, turn()) is None


# ------------------------------------------------------------ told again


def rows(*events: LiveEvent, first: int = 1) -> list[StoredEvent]:
    encoded = [encode(NumberedEvent(first + offset, event)) for offset, event in enumerate(events)]
    return [row for row in encoded if row is not None]


def told(over: Turn, kept: list[StoredEvent], *, after: int = 0) -> list[LiveEvent]:
    again = list(replay(over, kept, after=after))
    numbers = [numbered.number for numbered in again]
    assert numbers == sorted(set(numbers))
    assert all(number > after for number in numbers)
    return [numbered.event for numbered in again]


WHOLE: tuple[LiveEvent, ...] = (
    TurnBegan(1),
    MessageStarted(FIRST, "Desk"),
    TextDelta(FIRST, "Hel"),
    TextDelta(FIRST, "lo."),
    MessageCompleted(HELLO),
)


def test_what_was_kept_is_told_as_it_was() -> None:
    over = turn(HELLO)

    assert told(over, rows(*WHOLE)) == [*WHOLE, TurnEnded(over)]


def test_a_reader_goes_on_after_the_last_event_it_saw() -> None:
    over = turn(HELLO)

    assert told(over, rows(*WHOLE), after=3) == [*WHOLE[3:], TurnEnded(over)]


def test_a_reader_that_saw_everything_hears_of_the_end_only() -> None:
    over = turn(HELLO)

    assert told(over, rows(*WHOLE), after=5) == [TurnEnded(over)]
    assert told(over, rows(*WHOLE), after=6) == [TurnEnded(over)]


def test_without_kept_events_the_messages_are_told() -> None:
    internal = message(SECOND, "draft", visibility="internal")
    over = turn(Message(id=MessageId("msg_0"), role="user"), internal, HELLO)

    assert told(over, []) == [
        TurnBegan(1),
        MessageCompleted(internal),
        MessageStarted(FIRST, "Desk"),
        TextDelta(FIRST, "Hello."),
        MessageCompleted(HELLO),
        TurnEnded(over),
    ]


def test_a_message_whose_end_was_not_kept_starts_over() -> None:
    over = turn(HELLO)

    assert told(over, rows(*WHOLE[:3]))[3:] == [
        MessageStarted(FIRST, "Desk"),
        TextRestarted(FIRST),
        TextDelta(FIRST, "Hello."),
        MessageCompleted(HELLO),
        TurnEnded(over),
    ]


def test_a_kept_message_that_was_never_committed_is_left_out() -> None:
    lost = message(SECOND, "Lost.")
    over = turn(HELLO)

    assert told(over, rows(*WHOLE, MessageCompleted(lost))) == [*WHOLE, TurnEnded(over)]


def test_a_message_without_text_is_only_completed() -> None:
    calls = message(FIRST, "", tool_calls=(ToolCall("c1", "lookup", "{}"),))
    over = turn(calls)

    assert told(over, []) == [TurnBegan(1), MessageCompleted(calls), TurnEnded(over)]


def test_what_a_broken_attempt_showed_is_void_before_the_next_is_told() -> None:
    over = turn(message(SECOND, "Better."), attempts=2)

    again = list(replay(over, rows(*WHOLE[:3]), after=3))

    assert again[0] == NumberedEvent(EVENTS_PER_ATTEMPT + 1, TurnBegan(2))
    assert again[1].event == MessageStarted(SECOND, "Desk")
    assert again[-1].event == TurnEnded(over)


def test_a_turn_that_never_ran_begins_and_ends() -> None:
    over = turn(attempts=0, state="cancelled")

    assert told(over, []) == [TurnBegan(1), TurnEnded(over)]


# ------------------------------------------------------------ kept


async def test_events_of_a_resumable_turn_are_kept(data: Path) -> None:
    async with house(data, "Hello there.") as home, home.at_work():
        started = await home.api("hi", options=TurnOptions(is_resumable=True))
        [over] = await home.settled()
        kept = await home.until(lambda: _kept(home, over, "completed"))

    assert [row.data["type"] for row in kept] == ["began", "started", "delta", "delta", "completed"]
    assert [row.number for row in kept] == [1, 2, 3, 4, 5]
    assert started.turn.id == over.id


async def _kept(home: House, over: Turn, last: str) -> list[StoredEvent]:
    kept = await home.store.events(over.project_id, over.id, after=0)
    return kept if kept and kept[-1].data["type"] == last else []


async def test_events_of_other_turns_are_not_kept(data: Path) -> None:
    async with house(data, "Hello.") as home, home.at_work():
        await home.api("hi")
        await home.settled()

    assert home.flaky.calls["add_events"] == 0


async def keeper(home: House) -> tuple[EventKeeper, Broadcast, Turn]:
    [accepted] = await home.store.accept([queued("hi")], limits=QueueLimits())
    assert accepted.turn is not None
    resumable = replace(accepted.turn, options=TurnOptions(is_resumable=True))
    broadcast = Broadcast(resumable.id)
    store: Any = home.flaky
    return EventKeeper(store, resumable, broadcast, every_s=0.01), broadcast, resumable


async def test_what_comes_while_events_are_written_is_kept_too(data: Path) -> None:
    async with house(data) as home:
        keeping, broadcast, kept_turn = await keeper(home)
        writing = home.flaky.holds["add_events"] = asyncio.Event()
        broadcast.publish(TextDelta(FIRST, "a"))
        keeping.notice()
        await home.until(lambda: home.flaky.calls["add_events"])
        broadcast.publish(TextDelta(FIRST, "b"))
        keeping.notice()
        writing.set()
        await home.until(lambda: _count(home, kept_turn, 2))


async def test_events_that_could_not_be_kept_are_kept_with_the_next(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data) as home:
        keeping, broadcast, kept_turn = await keeper(home)
        home.flaky.away["add_events"] = 1
        broadcast.publish(TextDelta(FIRST, "a"))
        keeping.notice()
        await home.until(lambda: any(one["event"] == "turn_events_not_kept" for one in logs))
        await asyncio.sleep(0)
        broadcast.publish(TextDelta(FIRST, "b"))
        keeping.notice()
        await home.until(lambda: _count(home, kept_turn, 2))


async def _count(home: House, over: Turn, count: int) -> bool:
    return len(await home.store.events(over.project_id, over.id, after=0)) == count
