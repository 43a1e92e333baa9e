"""Turns run one at a time in each session, are committed under a lease, and are never lost."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.agents.journal import TurnJournal
from gateway.contract import Capabilities
from gateway.domain.bots import Bot
from gateway.domain.conversation import Message, TextPart, Usage
from gateway.domain.ids import MessageId, new_message_id
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import (
    ClaimedTurn,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TurnEvent,
    TurnFinished,
    TurnOptions,
)
from gateway.errors import Unprocessable
from gateway.flow.live import TurnBegan, TurnEnded
from gateway.flow.worker import WorkerTimes
from gateway.store.protocol.inbox import ClaimTerms
from gateway.testing.models import Hold
from tests.flow.house import BOT, PRINCIPAL, QUICK, House, house, queued, said

PREVIEW = Capabilities(live="preview")


class Thinker:
    """Answers every turn with its number after `release`; notes who ran, and how many at once."""

    def __init__(self, *, is_held: bool = False) -> None:
        self.release = asyncio.Event()
        if not is_held:
            self.release.set()
        self.ran: list[str] = []
        self.sessions: set[str] = set()
        self.overlaps = 0
        self.at_once = 0
        self.most_at_once = 0
        self.error: Exception | None = None
        self.partial: str | None = None

    async def __call__(
        self, bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        session = claimed.session.id
        self.overlaps += session in self.sessions
        self.sessions.add(session)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        text = claimed.history[-1].text
        self.ran.append(text)
        message_id = new_message_id()
        try:
            yield MessageStarted(message_id, "Desk")
            if self.partial:
                yield TextDelta(message_id, self.partial)
            await self.release.wait()
            if self.error:
                raise self.error
            yield MessageCompleted(reply(message_id, f"re {text}"))
            yield TurnFinished("Desk", "Desk", Usage(1, 1), "m")
        finally:
            self.sessions.discard(session)
            self.at_once -= 1


def reply(message_id: MessageId, text: str) -> Message:
    return Message(id=message_id, role="assistant", agent="Desk", content=(TextPart(text),))


async def test_turns_of_a_session_run_one_at_a_time_in_the_order_they_came(data: Path) -> None:
    thinker = Thinker()
    async with house(data, think=thinker) as home, home.at_work():
        for number in range(5):
            await home.say(str(number))

        await home.settled()
        sent = await home.channel.wait_for_sent(5)

    assert thinker.ran == list("01234")
    assert [one.text for one in sent] == [f"re {number}" for number in range(5)]
    assert thinker.overlaps == 0


async def test_sessions_do_not_wait_for_each_other(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work():
        for chat in range(3):
            await home.say("hi", chat=str(chat))

        await home.until(lambda: thinker.at_once == 3)
        thinker.release.set()
        await home.settled()


async def test_only_so_many_turns_run_at_once_under_a_rush(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker, limits=QueueLimits(turns=4)) as home, home.at_work():
        await asyncio.gather(*(home.say("hi", chat=str(n)) for n in range(500)))
        await home.until(lambda: thinker.at_once == 4)
        thinker.release.set()
        await home.until(lambda: len(thinker.ran) == 500, timeout_s=20)
        await home.until(lambda: _free_slots(home) == 4)
        depth = await home.store.depth()

    assert thinker.most_at_once == 4
    assert (depth.queued_turns, depth.running_turns) == (0, 0)


def _free_slots(home: House) -> int:
    terms = home.worker.reserve(100)
    home.worker.release(terms)
    return terms.limit if terms else 0


async def test_nothing_waits_for_a_poll(data: Path) -> None:
    thinker = Thinker(is_held=True)
    slow = replace(QUICK, poll_s=60)
    home_of = house(data, think=thinker, worker_times=slow, outbox_poll_s=60)
    async with home_of as home, home.at_work():
        await home.until(lambda: home.worker.last_pass_at and home.outbox.last_pass_at)
        await home.say("one")
        await home.say("two")
        await home.say("/status")
        await home.channel.wait_for_sent(1)
        thinker.release.set()
        await home.channel.wait_for_sent(3)

    assert thinker.ran == ["one", "two"]


async def test_no_slot_is_given_away_twice(data: Path) -> None:
    async with house(data, limits=QueueLimits(turns=3)) as home:
        first, second = home.worker.reserve(2), home.worker.reserve(2)

        assert first is not None
        assert second is not None
        assert (first.limit, second.limit) == (2, 1)
        assert home.worker.reserve(1) is None
        home.worker.release(first)
        assert home.worker.reserve(5) is not None


async def test_a_process_without_slots_runs_no_turns(data: Path) -> None:
    async with house(data, limits=QueueLimits(turns=0)) as home, home.at_work():
        await home.say("hi")

        assert not home.worker.runs_turns
        assert [turn.state for turn in await home.turns()] == ["queued"]


async def test_an_unexpected_error_becomes_an_apology_and_the_session_goes_on(data: Path) -> None:
    thinker = Thinker()
    thinker.error = RuntimeError("boom")
    async with house(data, think=thinker) as home, home.at_work():
        await home.say("one")
        await home.channel.wait_for_sent(1)
        thinker.error = None
        await home.say("two")
        turns = await home.settled()
        await home.channel.wait_for_sent(2)

    assert home.channel.texts == ["Sorry.", "re two"]
    assert [turn.state for turn in turns] == ["failed", "done"]
    assert turns[0].error is not None
    assert turns[0].error.code == "internal"


async def test_on_a_pull_channel_a_failed_turn_says_so_and_apologises_to_nobody(
    data: Path,
) -> None:
    thinker = Thinker()
    thinker.error = RuntimeError("boom")
    async with house(data, think=thinker) as home, home.at_work():
        started = await home.api("hi")
        turn = await home.chat.result(PRINCIPAL, started, timeout_s=5)

    assert turn.state == "failed"
    assert turn.error is not None
    assert "boom" not in turn.error.message
    assert [message.role for message in turn.messages] == ["user"]


async def test_thinking_that_stops_itself_fails_instead_of_being_tried_for_ever(
    data: Path,
) -> None:
    class Stopping(Thinker):
        async def __call__(
            self, bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
        ) -> AsyncGenerator[TurnEvent, None]:
            yield MessageStarted(new_message_id(), "Desk")
            raise asyncio.CancelledError

    async with house(data, think=Stopping()) as home, home.at_work():
        await home.say("hi")
        [turn] = await home.settled()
        await home.channel.wait_for_sent(1)

    assert turn.state == "failed"
    assert home.channel.texts == ["Sorry."]


async def test_thinking_that_ends_without_a_result_fails(data: Path) -> None:
    async def nothing(
        bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        return
        yield

    async with house(data, think=nothing) as home, home.at_work():
        await home.say("hi")
        [turn] = await home.settled()

    assert turn.state == "failed"


async def test_a_channel_that_cannot_render_costs_one_turn_and_not_the_process(
    data: Path,
) -> None:
    async with house(data, think=Thinker()) as home, home.at_work():
        await home.say("warm up")
        await home.channel.wait_for_sent(1)
        home.channel.render_error = ValueError("no such font")
        await home.say("one")
        await home.until(lambda: _is_failed(home))
        home.channel.render_error = None
        await home.say("two")
        await home.channel.wait_for_sent(2)

    assert home.channel.texts == ["re warm up", "re two"]


async def _is_failed(home: House) -> bool:
    return any(turn.state == "failed" for turn in await home.turns())


async def test_a_turn_that_killed_the_process_three_times_dies_with_one_apology(
    data: Path,
) -> None:
    async with house(data, think=Thinker()) as home:
        await home.store.accept([queued("poison"), queued("next")], limits=QueueLimits())
        for _ in range(3):
            await _crash(home)

        async with home.at_work():
            turns = await home.settled()
            await home.channel.wait_for_sent(2)
        await home.sound()

    assert [turn.state for turn in turns] == ["dead", "done"]
    assert turns[0].error is not None
    assert turns[0].error.code == "poison"
    assert home.channel.texts == ["Sorry.", "re next"]


async def _work_on(home: House, *texts: str) -> None:
    """Be at work on these until that breaks."""
    async with home.at_work(), asyncio.timeout(5):
        for number, text in enumerate(texts):
            await home.say(text, chat=str(number))
        await asyncio.Event().wait()


async def _crash(home: House) -> None:
    """Claim a turn as a process that dies of it."""
    await home.store.claim(ClaimTerms(owner="ins_dead", limit=1))
    await home.store.release_abandoned(living=[home.owner])


async def test_a_stopped_turn_keeps_the_text_the_person_had_seen(data: Path) -> None:
    thinker = Thinker(is_held=True)
    thinker.partial = "Once upon"
    async with house(data, think=thinker, capabilities=PREVIEW) as home, home.at_work():
        await home.say("tell me a story")
        await home.channel.wait_for(lambda one: "show: Once upon" in one.live_log)
        await home.say("/stop")
        turns = await home.settled()
        await home.channel.wait_for_sent(2)

        stopped = await home.store.turn(turns[0].project_id, turns[0].id, with_messages=True)

    assert stopped is not None
    assert stopped.state == "cancelled"
    assert [(m.text, m.is_incomplete) for m in stopped.messages[1:]] == [("Once upon", True)]
    assert sorted(home.channel.texts) == ["Once upon", "Stopped."]


async def test_a_stopped_turn_sends_nothing_that_was_never_shown(data: Path) -> None:
    thinker = Thinker(is_held=True)
    thinker.partial = "Once upon"
    async with house(data, think=thinker) as home, home.at_work():
        await home.say("tell me a story")
        await home.until(lambda: thinker.at_once)
        await home.say("/stop")
        turns = await home.settled()
        await home.channel.wait_for_sent(1)
        stopped = await home.store.turn(turns[0].project_id, turns[0].id, with_messages=True)

    assert home.channel.texts == ["Stopped."]
    assert stopped is not None
    assert len(stopped.messages) == 1


async def test_a_stop_that_comes_before_a_turn_has_begun_is_not_lost(data: Path) -> None:
    thinker = Thinker()
    async with house(data, think=thinker) as home:
        terms = home.worker.reserve(1)
        await home.store.accept([queued("hi")], limits=QueueLimits())
        assert terms is not None
        [claimed] = await home.store.claim(terms)

        home.worker.start(claimed, asked_at=asyncio.get_running_loop().time())
        home.worker.release(terms)
        home.worker.cancel_turn(claimed.turn.id)
        home.worker.cancel_turn(claimed.turn.id)
        [turn] = await home.settled()

    assert turn.state == "cancelled"
    assert thinker.ran == []
    assert home.worker.running == 0


async def test_a_turn_whose_answer_is_being_stored_is_not_stopped_any_more(data: Path) -> None:
    async with house(data, think=Thinker()) as home, home.at_work():
        home.flaky.holds["commit_turn"] = asyncio.Event()
        await home.say("hi")
        await home.until(lambda: home.flaky.calls["commit_turn"])
        [turn] = await home.turns()
        home.worker.cancel_turn(turn.id)
        home.flaky.holds["commit_turn"].set()
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == ["re hi"]


async def test_a_turn_that_has_just_got_its_answer_is_not_stopped_any_more(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker, capabilities=PREVIEW) as home, home.at_work():
        await home.say("hi")
        await home.until(lambda: thinker.at_once)
        [turn] = await home.turns()
        loop = asyncio.get_running_loop()
        home.channel.on_render = lambda: loop.call_soon(home.worker.cancel_turn, turn.id)
        thinker.release.set()
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == ["re hi"]


async def test_stopping_one_turn_leaves_the_others(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work():
        await home.say("one", chat="1")
        await home.say("two", chat="2")
        await home.say("three", chat="3")
        await home.until(lambda: thinker.at_once == 3)
        turns = await home.turns()
        home.worker.cancel_turn(turns[0].id)
        home.worker.cancel_session(turns[1].session_id)
        await home.until(lambda: thinker.at_once == 1)
        thinker.release.set()
        states = [turn.state for turn in await home.settled()]

    assert states == ["cancelled", "cancelled", "done"]


async def test_one_can_wait_until_everything_at_work_has_ended(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work():
        await home.worker.settled()
        await home.say("one")
        await home.until(lambda: thinker.at_once)
        settling = asyncio.create_task(home.worker.settled())
        await asyncio.sleep(0)
        assert not settling.done()
        thinker.release.set()
        await settling

        assert home.worker.running == 0


async def test_whoever_lost_the_lease_commits_nothing(data: Path) -> None:
    held, quick = Thinker(is_held=True), Thinker()
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(house(data, think=held))
        second = house(data, think=quick, store=slow.store, clock=slow.clock)
        other = await stack.enter_async_context(second)
        async with slow.at_work(slow.worker.run):
            await slow.say("hi")
            await slow.until(lambda: held.at_once)
            await slow.store.release_abandoned(living=[other.owner])
            async with other.at_work():
                await other.channel.wait_for_sent(1)
                await slow.until(lambda: slow.worker.running == 0)
        await slow.sound()
        [turn] = await slow.turns()

    assert turn.state == "done"
    assert (held.ran, quick.ran) == (["hi"], ["hi"])


async def test_a_result_that_comes_after_the_lease_was_lost_is_thrown_away(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    held, quick = Thinker(is_held=True), Thinker()
    never = replace(QUICK, heartbeat_s=60)
    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(house(data, think=held, worker_times=never))
        second = house(data, think=quick, store=slow.store, clock=slow.clock)
        other = await stack.enter_async_context(second)
        async with slow.at_work(slow.worker.run):
            await slow.say("hi")
            await slow.until(lambda: held.at_once)
            await slow.store.release_abandoned(living=[other.owner])
            async with other.at_work():
                await other.channel.wait_for_sent(1)
            held.release.set()
            await slow.until(lambda: slow.worker.running == 0)
        messages = (await slow.turns())[0].messages

    assert any(entry["event"] == "turn_not_committed" and entry["fenced"] for entry in logs)
    assert [message.role for message in messages] == ["user", "assistant"]


async def test_a_process_takes_its_own_expired_turn_over_without_breaking(data: Path) -> None:
    thinker = Thinker(is_held=True)
    never = replace(QUICK, heartbeat_s=60)
    async with house(data, think=thinker, worker_times=never) as home, home.at_work():
        await home.say("hi")
        await home.until(lambda: thinker.at_once)
        home.clock.ahead_s += 31
        await home.until(lambda: len(thinker.ran) == 2)
        thinker.release.set()
        await home.channel.wait_for_sent(1)
        await home.until(lambda: home.worker.running == 0)
        await home.sound()

    assert home.channel.texts == ["re hi"]


async def test_listeners_stay_with_a_turn_that_its_process_takes_over(data: Path) -> None:
    thinker = Thinker(is_held=True)
    never = replace(QUICK, heartbeat_s=60)
    async with house(data, think=thinker, worker_times=never) as home, home.at_work():
        started = await home.api("hi")
        await home.until(lambda: thinker.at_once)
        home.clock.ahead_s += 31
        await home.until(lambda: len(thinker.ran) == 2 and home.worker.running == 1)
        thinker.release.set()
        events = [one.event async for one in home.chat.events(PRINCIPAL, started)]

    assert [type(event) for event in events].count(TurnBegan) == 2
    assert isinstance(events[-1], TurnEnded)
    assert home.flaky.calls["events"] == 0


async def test_turns_go_on_after_the_store_was_away_for_longer_than_a_lease(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work():
        await home.say("hi")
        await home.until(lambda: thinker.at_once)
        home.flaky.away["heartbeat"] = 1_000_000
        beats = home.flaky.calls["heartbeat"]
        await home.until(lambda: home.flaky.calls["heartbeat"] > beats + 1)
        home.clock.ahead_s += 31
        claims, passed = home.flaky.calls["claim"], home.worker.last_pass_at
        await home.until(lambda: home.worker.last_pass_at > passed + 0.1)
        assert home.flaky.calls["claim"] == claims
        home.flaky.away.clear()
        await home.until(lambda: home.flaky.calls["claim"] > claims + 1)
        thinker.release.set()
        await home.channel.wait_for_sent(1)

    assert thinker.ran == ["hi"]


async def test_a_heartbeat_keeps_the_lease(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work():
        await home.say("hi")
        for _ in range(3):
            home.flaky.calls["heartbeat"] = 0
            home.clock.ahead_s += 20
            await home.until(lambda: home.flaky.calls["heartbeat"] > 1)
        thinker.release.set()
        await home.channel.wait_for_sent(1)

    assert thinker.ran == ["hi"]


async def test_news_of_an_old_lease_do_not_stop_the_next_turn_of_the_session(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work():
        await home.say("one")
        await home.until(lambda: thinker.at_once)
        held = home.flaky.holds["heartbeat"] = asyncio.Event()
        await home.until(lambda: home.flaky.calls["heartbeat"])
        beats = home.flaky.calls["heartbeat"]
        thinker.release.set()
        await home.channel.wait_for_sent(1)
        thinker.release.clear()
        await home.say("two")
        await home.until(lambda: thinker.ran == ["one", "two"])

        held.set()
        await home.until(lambda: home.flaky.calls["heartbeat"] > beats)
        thinker.release.set()
        await home.channel.wait_for_sent(2)

    assert home.channel.texts == ["re one", "re two"]
    assert thinker.ran == ["one", "two"]


async def test_a_heartbeat_hears_of_a_cancellation_elsewhere(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work():
        await home.say("hi")
        await home.until(lambda: thinker.at_once)
        [turn] = await home.turns()
        await home.store.request_cancel(turn.project_id, turn.id)
        [turn] = await home.settled()

    assert turn.state == "cancelled"


async def test_a_heartbeat_that_fails_is_tried_again(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work():
        home.flaky.away["heartbeat"] = 2
        await home.say("hi")
        await home.until(lambda: home.flaky.calls["heartbeat"] >= 3)
        thinker.release.set()
        await home.channel.wait_for_sent(1)


async def test_a_result_is_kept_while_the_store_is_away(data: Path) -> None:
    async with house(data, think=Thinker()) as home, home.at_work():
        home.flaky.away["commit_turn"] = 3
        await home.say("hi")
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == ["re hi"]
    assert home.flaky.calls["commit_turn"] == 4


async def test_a_store_that_stays_away_gets_the_result_no_more(data: Path) -> None:
    thinker = Thinker()
    times = replace(QUICK, commit_patience_s=0.05, heartbeat_s=60)
    async with (
        house(data, think=thinker, worker_times=times) as home,
        home.at_work(home.worker.run),
    ):
        home.flaky.away["commit_turn"] = 1000
        await home.say("hi")
        await home.until(lambda: thinker.ran and home.worker.running == 0)
        home.flaky.away.clear()
        [turn] = await home.turns()

    assert turn.state == "running"


async def test_an_answer_that_cannot_be_stored_fails_its_turn_only(data: Path) -> None:
    async with house(data, think=Thinker()) as home, home.at_work():
        home.flaky.errors["commit_turn"] = Unprocessable("half a surrogate pair")
        home.flaky.away["commit_turn"] = 1
        await home.say("one")
        turns = await home.settled()
        await home.say("two")
        await home.channel.wait_for_sent(2)

    assert [turn.state for turn in turns] == ["failed"]
    assert home.channel.texts == ["Sorry.", "re two"]


async def test_a_turn_that_cannot_even_fail_ends_the_process(data: Path) -> None:
    async with house(data, think=Thinker()) as home:
        home.flaky.errors["commit_turn"] = Unprocessable("no")
        home.flaky.away["commit_turn"] = 2
        with pytest.raises(ExceptionGroup) as caught:
            await _work_on(home, "one")

    assert caught.group_contains(Unprocessable)


async def test_an_unexpected_error_of_a_commit_ends_the_process(data: Path) -> None:
    async with house(data, think=Thinker()) as home:
        home.flaky.errors["commit_turn"] = ValueError("a bug")
        home.flaky.away["commit_turn"] = 2
        with pytest.raises(ExceptionGroup) as caught:
            await _work_on(home, "one", "two")

    assert caught.group_contains(ValueError)


async def test_a_claim_that_fails_is_tried_again(data: Path) -> None:
    async with house(data, think=Thinker()) as home:
        await home.store.accept([queued("hi")], limits=QueueLimits())
        home.flaky.away["claim"] = 2
        async with home.at_work():
            await home.channel.wait_for_sent(1)

    assert home.flaky.calls["claim"] >= 3


async def test_a_drain_finishes_what_runs_and_claims_nothing_more(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work(home.worker.run):
        await home.say("one")
        await home.until(lambda: thinker.at_once)
        draining = asyncio.create_task(home.worker.drain(within_s=5))
        await asyncio.sleep(0)
        await home.say("two", chat="2")
        thinker.release.set()
        await draining
        states = [turn.state for turn in await home.turns()]

    assert states == ["done", "queued"]
    assert thinker.ran == ["one"]


async def test_a_drain_with_nothing_at_work_is_over_at_once(data: Path) -> None:
    async with house(data) as home:
        async with asyncio.timeout(1):
            await home.worker.drain(within_s=60)


async def test_a_drain_gives_back_what_is_not_done_in_time(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work(home.worker.run):
        await home.say("one")
        await home.until(lambda: thinker.at_once)

        await home.worker.drain(within_s=0)

        [turn] = await home.turns()
        await home.sound()
    assert (turn.state, turn.attempts, turn.crash_count) == ("queued", 0, 0)


async def test_a_turn_whose_events_were_kept_is_given_back_as_an_attempt(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home, home.at_work(home.worker.run):
        await home.api("hi", options=TurnOptions(is_resumable=True))
        await home.until(lambda: thinker.at_once)

        await home.worker.drain(within_s=0)

        [turn] = await home.turns()
    assert (turn.state, turn.attempts) == ("queued", 1)


async def test_a_turn_claimed_while_stopping_is_given_back(data: Path) -> None:
    thinker = Thinker()
    async with house(data, think=thinker) as home:
        await home.store.accept([queued("hi")], limits=QueueLimits())
        claiming = home.flaky.holds["claim"] = asyncio.Event()
        async with home.at_work(home.worker.run):
            await home.until(lambda: home.flaky.calls["claim"])
            draining = asyncio.create_task(home.worker.drain(within_s=5))
            await asyncio.sleep(0)
            claiming.set()
            await draining
            [turn] = await home.turns()

    assert (turn.state, turn.attempts) == ("queued", 0)
    assert thinker.ran == []


async def test_stopping_the_worker_gives_its_turns_back(data: Path) -> None:
    thinker = Thinker(is_held=True)
    async with house(data, think=thinker) as home:
        async with home.at_work(home.worker.run):
            await home.say("one")
            await home.until(lambda: thinker.at_once)
        [turn] = await home.turns()

    assert (turn.state, turn.attempts) == ("queued", 0)


async def test_a_store_that_hangs_does_not_keep_the_process_from_stopping(data: Path) -> None:
    times = replace(QUICK, give_back_patience_s=0.05)
    async with house(data, think=Thinker(), worker_times=times) as home:
        async with home.at_work(home.worker.run):
            home.flaky.holds["commit_turn"] = asyncio.Event()
            await home.say("one")
            await home.until(lambda: home.flaky.calls["commit_turn"])
            async with asyncio.timeout(2):
                await home.worker.drain(within_s=0)

        assert home.worker.running == 0


async def test_a_turn_that_is_done_when_it_is_given_back_is_done(data: Path) -> None:
    class Deaf(Thinker):
        async def __call__(
            self, bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
        ) -> AsyncGenerator[TurnEvent, None]:
            message_id = new_message_id()
            self.at_once += 1
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                yield MessageCompleted(reply(message_id, "made it"))
                yield TurnFinished("Desk", "Desk", Usage(), "m")

    thinker = Deaf(is_held=True)
    async with house(data, think=thinker) as home, home.at_work(home.worker.run):
        await home.say("one")
        await home.until(lambda: thinker.at_once)
        await home.worker.drain(within_s=0)
        [turn] = await home.turns()

    assert turn.state == "done"


async def test_a_turn_of_a_bot_that_is_gone_fails(data: Path) -> None:
    async with house(data, bots=(replace(BOT, slug="other"),)) as home, home.at_work():
        await home.say("hi")
        [turn] = await home.settled()

    assert turn.error is not None
    assert turn.error.code == "bot_gone"


async def test_the_worker_tells_when_it_looked_last(data: Path) -> None:
    async with house(data) as home, home.at_work():
        await home.until(lambda: home.worker.last_pass_at > 0)


async def test_the_daemon_times_are_the_ones_of_the_policy() -> None:
    assert WorkerTimes() == WorkerTimes(
        poll_s=0.25, heartbeat_s=10, lease_s=30, commit_patience_s=60, give_back_patience_s=5
    )


async def test_a_real_model_is_followed_to_its_reply(data: Path) -> None:
    hold = Hold(text="Good ", rest="day.")
    async with house(data, hold) as home, home.at_work():
        await home.port.accept([said("hi")])
        async with asyncio.timeout(5):
            await hold.reached.wait()
        hold.release.set()
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == ["Good day."]
