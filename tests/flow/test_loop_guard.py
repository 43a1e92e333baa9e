"""A machine that answers us back is answered no more; people are, whatever they write."""

from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import InboundMessage, Sender
from gateway.flow import loop_guard
from gateway.flow.loop_guard import MAX_OF_BOTS, MAX_REPEATS, WINDOW_S, LoopGuard
from tests.flow.house import house, picture, said

BOT = Sender("telegram", "77", "Echo", is_bot=True)


class Clock:
    """Seconds that only pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def bots(count: int) -> list[InboundMessage]:
    """So many different messages of a bot."""
    return [said(f"beep {number}", sender=BOT) for number in range(count)]


def stopped(guard: LoopGuard, messages: list[InboundMessage]) -> list[bool]:
    return [guard.stops(message) for message in messages]


@pytest.mark.proves("C-8")
def test_c_8_bots_are_answered_a_few_times() -> None:
    guard = LoopGuard()

    assert stopped(guard, bots(MAX_OF_BOTS + 3)) == [False] * MAX_OF_BOTS + [True] * 3


@pytest.mark.proves("C-8")
def test_c_8_the_same_words_again_and_again_are_answered_a_few_times() -> None:
    guard = LoopGuard()
    same = [said("I am out of office.") for _ in range(MAX_REPEATS + 3)]

    assert stopped(guard, same) == [False] * (MAX_REPEATS + 1) + [True] * 2


def test_people_may_repeat_themselves_more_than_bots_may_write() -> None:
    assert (MAX_OF_BOTS, MAX_REPEATS, WINDOW_S) == (10, 30, 300.0)


def test_repeats_of_people_and_messages_of_bots_are_counted_apart() -> None:
    guard = LoopGuard()
    stopped(guard, [said("ping") for _ in range(MAX_REPEATS)])

    assert not any(stopped(guard, bots(MAX_OF_BOTS)))
    assert guard.stops(said("beep", sender=BOT))


@pytest.mark.proves("C-8")
def test_c_8_another_word_of_a_person_ends_it() -> None:
    guard = LoopGuard()
    stopped(guard, bots(MAX_OF_BOTS + 1))

    assert not guard.stops(said("Hello?"))
    assert not guard.stops(said("beep", sender=BOT))


@pytest.mark.proves("C-8")
def test_c_8_the_end_of_the_window_ends_it() -> None:
    clock = Clock()
    guard = LoopGuard(now=clock)
    stopped(guard, bots(MAX_OF_BOTS + 1))
    clock.now += WINDOW_S + 1

    assert not guard.stops(said("beep", sender=BOT))


def test_bots_that_take_their_time_are_answered_for_ever() -> None:
    clock = Clock()
    guard = LoopGuard(now=clock)
    for message in bots(5 * MAX_OF_BOTS):
        clock.now += WINDOW_S / (MAX_OF_BOTS - 1)

        assert not guard.stops(message)


def test_a_flood_of_different_words_is_answered() -> None:
    guard = LoopGuard()

    assert not any(stopped(guard, [said(f"word {number}") for number in range(500)]))


def test_pictures_without_words_are_never_the_same() -> None:
    guard = LoopGuard()

    assert not any(stopped(guard, [said("", attachments=(picture(),)) for _ in range(50)]))


@pytest.mark.parametrize("texts", [["a"], ["a", "a"], ["a", "b"]], ids=["one", "same", "other"])
def test_copies_of_an_event_count_once(texts: list[str]) -> None:
    guard = LoopGuard()
    batch = [said(text) for text in texts]

    for _ in range(5 * MAX_REPEATS):
        assert not any(stopped(guard, batch))


def test_an_event_with_two_ids_counts_once() -> None:
    guard = LoopGuard()
    first = said("beep", sender=BOT, second_id="c:1")

    for number in range(5 * MAX_OF_BOTS):
        assert not guard.stops(replace(first, external_id=f"other {number}"))


def test_a_copy_gets_the_verdict_of_its_event() -> None:
    guard = LoopGuard()
    messages = bots(MAX_OF_BOTS + 1)
    stopped(guard, messages)

    assert guard.stops(messages[-1])


def test_each_chat_counts_for_itself() -> None:
    guard = LoopGuard()
    stopped(guard, bots(MAX_OF_BOTS + 1))

    assert not guard.stops(said("beep", sender=BOT, chat="2"))


def test_only_so_many_chats_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_guard, "MAX_CHATS", 3)
    guard = LoopGuard()
    for number in range(10):
        guard.stops(said("hi", chat=str(number)))

    assert len(guard._chats) == 3
    for chat in guard._chats.values():
        assert len(chat.bots.events) <= MAX_OF_BOTS + 1
        assert len(chat.repeats.events) <= MAX_REPEATS + 1


@pytest.mark.proves("C-8")
async def test_c_8_what_stands_in_a_loop_is_kept_and_told_once(
    tmp_path: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(tmp_path, *["Hello."] * (MAX_OF_BOTS + 1)) as home, home.at_work():
        for message in bots(MAX_OF_BOTS + 3):
            await home.port.accept([message])
            await home.settled()
        turns = await home.settled()
        await home.channel.wait_for_sent(MAX_OF_BOTS)
        await home.say("Hello?")
        await home.channel.wait_for_sent(MAX_OF_BOTS + 1)
        await home.sound()

    left = turns[MAX_OF_BOTS:]
    assert [turn.state for turn in left] == ["cancelled"] * 3
    assert {turn.error.code for turn in left if turn.error} == {"loop_guard"}
    assert len(home.model.requests) == MAX_OF_BOTS + 1
    assert [entry["event"] for entry in logs].count("loop_guard_stopped") == 1


async def test_a_persons_commands_are_answered_however_often(tmp_path: Path) -> None:
    async with house(tmp_path) as home, home.at_work():
        for _ in range(MAX_REPEATS + 5):
            await home.say("/help")
        await home.channel.wait_for_sent(MAX_REPEATS + 5)
