"""Listeners of a running turn hear every event, in order, whenever they join."""

import asyncio
from time import perf_counter

from gateway.domain.ids import MessageId, new_turn_id
from gateway.domain.turns import EVENTS_PER_ATTEMPT, HandedOff, TextDelta
from gateway.flow import live as live_module
from gateway.flow.live import Broadcast, Live, NumberedEvent, TurnBegan

MESSAGE = MessageId("msg_1")


async def collect(broadcast: Broadcast, *, after: int = 0) -> list[NumberedEvent]:
    async with asyncio.timeout(5):
        return [numbered async for numbered in broadcast.stream(after=after)]


async def test_a_listener_hears_what_came_before_and_what_comes_after_it_joined() -> None:
    live = Live()
    broadcast = live.open(new_turn_id())
    broadcast.begin(1)
    listener = asyncio.create_task(collect(broadcast))
    await asyncio.sleep(0)

    broadcast.publish(TextDelta(MESSAGE, "Hello"))
    live.end(broadcast.turn_id, None)

    events = [numbered.event for numbered in await listener]
    assert events == [TurnBegan(1), TextDelta(MESSAGE, "Hello")]


async def test_a_listener_goes_on_after_the_last_event_it_has_seen() -> None:
    live = Live()
    broadcast = live.open(new_turn_id())
    broadcast.begin(1)
    for word in ("a", "b", "c"):
        broadcast.publish(TextDelta(MESSAGE, word))
    live.end(broadcast.turn_id, None)

    events = await collect(broadcast, after=3)

    assert [numbered.number for numbered in events] == [4]


async def test_numbers_rise_over_attempts() -> None:
    broadcast = Live().open(new_turn_id())
    broadcast.begin(1)
    broadcast.begin(3)

    numbers = [numbered.number for numbered in broadcast.events]

    assert numbers == [1, 2 * EVENTS_PER_ATTEMPT + 1]


async def test_a_very_long_answer_is_held_back_and_comes_as_one_piece() -> None:
    broadcast = Live().open(new_turn_id())
    for number in range(live_module.MAX_BUFFERED_EVENTS + 50):
        broadcast.publish(TextDelta(MESSAGE, f"{number} "))
    broadcast.publish(HandedOff("a", "b"))

    texts = [e.event.text for e in broadcast.events if isinstance(e.event, TextDelta)]

    assert len(broadcast.events) == live_module.MAX_BUFFERED_EVENTS + 2
    assert "".join(texts) == "".join(
        f"{number} " for number in range(live_module.MAX_BUFFERED_EVENTS + 50)
    )


async def test_holding_an_endless_answer_back_costs_the_same_for_every_piece() -> None:
    broadcast = Live().open(new_turn_id())
    began = perf_counter()

    for _ in range(400_000):
        broadcast.publish(TextDelta(MESSAGE, "four"))
    broadcast.publish(HandedOff("a", "b"))

    assert perf_counter() - began < 5
    assert sum(len(e.event.text) for e in broadcast.events if isinstance(e.event, TextDelta)) == (
        1_600_000
    )


async def test_waiting_for_the_end_gives_nothing_when_the_time_is_over() -> None:
    broadcast = Live().open(new_turn_id())

    assert await broadcast.ended(timeout_s=0.01) is None


async def test_an_ended_turn_is_forgotten() -> None:
    live = Live()
    broadcast = live.open(new_turn_id())

    live.end(broadcast.turn_id, None)

    assert live.find(broadcast.turn_id) is None


async def test_a_stop_sends_only_listeners_of_idle_turns_to_the_store() -> None:
    live = Live()
    running, queued = live.open(new_turn_id()), live.open(new_turn_id())

    live.end_all(but=lambda turn_id: turn_id == running.turn_id)

    assert live.find(running.turn_id) is running
    assert await queued.ended(timeout_s=0.01) is None
    assert live.find(queued.turn_id) is None


async def test_the_first_end_of_a_turn_stands() -> None:
    broadcast = Live().open(new_turn_id())

    broadcast.end(None)
    broadcast.end(None)

    assert broadcast.is_over
    assert await collect(broadcast) == []


async def test_a_listener_that_hears_nothing_for_too_long_stops() -> None:
    broadcast = Live().open(new_turn_id())
    broadcast.begin(1)

    async with asyncio.timeout(5):
        heard = [one.event async for one in broadcast.stream(after=0, quiet_s=0.01)]

    assert heard == [TurnBegan(1)]
    assert not broadcast.is_over


async def test_a_listener_that_went_away_does_not_disturb_the_others() -> None:
    live = Live()
    broadcast = live.open(new_turn_id())
    gone = asyncio.create_task(collect(broadcast))
    listener = asyncio.create_task(collect(broadcast))
    await asyncio.sleep(0)

    gone.cancel()
    await asyncio.wait((gone,))
    broadcast.begin(1)
    live.end(broadcast.turn_id, None)

    assert [numbered.event for numbered in await listener] == [TurnBegan(1)]
    assert live.waiting == 0


async def test_a_turn_that_nobody_listens_to_leaves_nothing() -> None:
    live = Live()

    live.open(new_turn_id())

    assert live.waiting == 0


async def test_a_turn_is_known_as_long_as_somebody_listens() -> None:
    live = Live()
    held = live.open(new_turn_id())

    assert live.find(held.turn_id) is held
