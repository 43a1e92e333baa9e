"""A caller's turn is never tied to the call: it may wait, go away, come back, cancel."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.access import Principal
from gateway.domain.bots import Agent
from gateway.domain.conversation import TextPart, ToolCall
from gateway.domain.ids import ParticipantId, ProjectId, SessionId, TurnId, new_turn_id
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import (
    EVENTS_PER_ATTEMPT,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TurnOptions,
)
from gateway.errors import Conflict, Forbidden, NotFound, Unavailable, Unprocessable
from gateway.flow.live import LiveEvent, NumberedEvent, TurnBegan, TurnEnded
from gateway.service import chat as chat_module
from gateway.service.chat import SendRequest, Started
from gateway.store.protocol.inbox import IdempotencyKey
from gateway.testing.models import Hold, asks
from tests.flow.house import BOT, PRINCIPAL, PROJECT, House, house

CALL = ToolCall("c1", "lookup", "{}")
CLIENT_TOOLS = TurnOptions(client_tools=True)
STRANGER = replace(PRINCIPAL, id="key_2", project_id=ProjectId("other"))
IDLE = QueueLimits(turns=0)
TWO_BOTS = (
    replace(BOT, is_default=False),
    replace(BOT, slug="sales", is_default=False),
    replace(BOT, slug="hers", project_id=ProjectId("other")),
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path


def request(text: str = "hi", **fields: Any) -> SendRequest:
    return SendRequest(content=(TextPart(text),), **fields)


def repeat_key(name: str, body: bytes = b"body") -> IdempotencyKey:
    return IdempotencyKey(principal_id="key_1", route="POST /chat", key=name, fingerprint=body)


async def heard(home: House, started: Started, *, after: int = 0) -> list[NumberedEvent]:
    async with asyncio.timeout(5):
        events = home.chat.events(PRINCIPAL, started, after=after)
        return [numbered async for numbered in events]


def kinds(events: list[NumberedEvent]) -> list[type[LiveEvent]]:
    return [type(numbered.event) for numbered in events]


async def waiting_turn(home: House) -> Started:
    """A turn that asks its caller to run a tool."""
    started: Started = await home.api("look", options=CLIENT_TOOLS)
    turn = await home.chat.result(PRINCIPAL, started, timeout_s=5)
    assert turn.state == "waiting"
    return started


# ------------------------------------------------------------ send and wait


async def test_a_caller_gets_the_turn_with_its_messages(data: Path) -> None:
    async with house(data, "Hello.") as home, home.at_work():
        started = await home.api("hi")
        turn = await home.chat.result(PRINCIPAL, started, timeout_s=5)

    assert not started.is_replay
    assert turn.state == "done"
    assert [message.text for message in turn.messages] == ["hi", "Hello."]


async def test_a_session_goes_on(data: Path) -> None:
    async with house(data, "One.", "Two.") as home, home.at_work():
        first = await home.chat.result(PRINCIPAL, await home.api("1"), timeout_s=5)
        again = await home.api("2", session_id=first.session_id)
        second = await home.chat.result(PRINCIPAL, again, timeout_s=5)

    assert second.session_id == first.session_id
    assert second.seq == 2


async def test_a_wait_that_is_over_gives_the_turn_as_it_stands(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        started = await home.api("hi")
        turn = await home.chat.result(PRINCIPAL, started, timeout_s=0.02)
        waited = await home.chat.wait(PRINCIPAL, started.turn.id, timeout_s=0)
        hold.release.set()
        over = await home.chat.wait(PRINCIPAL, started.turn.id, timeout_s=5)

    assert (turn.state, waited.state, over.state) == ("running", "running", "done")


async def test_a_turn_that_is_over_is_not_waited_for(data: Path) -> None:
    async with house(data, "Hello.") as home, home.at_work():
        started = await home.api("hi")
        await home.settled()
        turn = await home.chat.wait(PRINCIPAL, started.turn.id, timeout_s=60)

    assert turn.state == "done"


async def test_a_turn_that_runs_in_another_process_is_looked_up(data: Path) -> None:
    async with house(data, limits=IDLE) as home:
        other_home = house(data, "Hello.", store=home.store)
        async with other_home as other, other.at_work():
            started = await home.api("hi")
            turn = await home.chat.result(PRINCIPAL, started, timeout_s=5)
            events = await heard(home, started)

    assert started.broadcast is None
    assert turn.state == "done"
    assert kinds(events) == [TurnBegan, MessageStarted, TextDelta, MessageCompleted, TurnEnded]


async def test_a_repeated_request_gets_the_first_turn(data: Path) -> None:
    async with house(data, "Hello.") as home, home.at_work():
        first = await home.api("hi", idempotency=repeat_key("k1"))
        await home.settled()
        again = await home.api("hi", idempotency=repeat_key("k1"))

        assert len(await home.turns()) == 1
    assert again.is_replay
    assert again.turn.id == first.turn.id
    assert again.turn.messages[-1].text == "Hello."


async def test_a_repeat_while_the_first_request_is_at_work_waits_with_it(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        first = await home.api("hi", idempotency=repeat_key("k1"))
        again = await home.api("hi", idempotency=repeat_key("k1"))
        hold.release.set()
        turns = await asyncio.gather(
            *(home.chat.result(PRINCIPAL, one, timeout_s=5) for one in (first, again))
        )

    assert turns[0] == turns[1]
    assert again.is_replay


async def test_a_repeat_key_for_another_request_is_refused(data: Path) -> None:
    async with house(data, limits=IDLE) as home:
        await home.api("hi", idempotency=repeat_key("k1"))

        with pytest.raises(Unprocessable) as caught:
            await home.api("bye", idempotency=repeat_key("k1", b"other"))

        assert caught.value.code == "idempotency_key_reused"
        assert len(await home.turns()) == 1


async def test_a_repeat_key_that_another_kind_of_request_holds_is_refused(data: Path) -> None:
    async with house(data, limits=IDLE) as home:
        await home.store.begin_answer(repeat_key("k1"))

        with pytest.raises(Unprocessable):
            await home.api("hi", idempotency=repeat_key("k1"))

        assert await home.turns() == []
        assert home.live.waiting == 0


async def test_a_removed_session_is_not_found_though_its_bot_was_remembered(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "MAX_SESSIONS_REMEMBERED", 1)
    async with house(data, limits=IDLE) as home:
        first, second = await home.api("1"), await home.api("2")
        for started in (first, second, first):
            await home.api("more", session_id=started.turn.session_id)
        await home.store.delete_session(PROJECT, first.turn.session_id)

        with pytest.raises(NotFound):
            await home.api("more", session_id=first.turn.session_id)


# ------------------------------------------------------------ who may what


async def test_a_bot_may_be_named_or_be_the_default(data: Path) -> None:
    async with house(data, limits=IDLE, bots=TWO_BOTS) as home:
        named = await home.chat.send(PRINCIPAL, request(bot="sales"))
        with pytest.raises(NotFound, match="no default bot"):
            await home.chat.send(PRINCIPAL, request())
        with pytest.raises(NotFound, match="no such bot"):
            await home.chat.send(PRINCIPAL, request(bot="hers"))

    assert named.turn.bot == "sales"


async def test_a_key_for_some_bots_reaches_no_other(data: Path) -> None:
    only = replace(PRINCIPAL, bots=frozenset({"support"}))
    async with house(data, limits=IDLE, bots=TWO_BOTS) as home:
        with pytest.raises(Forbidden) as caught:
            await home.chat.send(only, request(bot="sales"))
        started = await home.chat.send(PRINCIPAL, request(bot="sales"))

        with pytest.raises(NotFound):
            await home.chat.turn(only, started.turn.id)
        with pytest.raises(NotFound):
            await home.chat.send(only, request(session_id=started.turn.session_id))
    assert caught.value.code == "agent_not_allowed"


async def test_an_agent_must_be_one_of_the_bots(data: Path) -> None:
    agents = {**BOT.agents, "Billing": Agent(name="Billing", instructions="", model="m")}
    async with house(data, "Pay.", bots=(replace(BOT, agents=agents),)) as home, home.at_work():
        with pytest.raises(NotFound):
            await home.chat.send(PRINCIPAL, request(agent="Nobody"))
        started = await home.chat.send(PRINCIPAL, request(agent="Billing"))
        turn = await home.chat.result(PRINCIPAL, started, timeout_s=5)

    assert turn.final_agent == "Billing"


async def test_another_project_sees_nothing(data: Path) -> None:
    async with house(data, limits=IDLE) as home:
        started = await home.api("hi")
        for call in (
            home.chat.turn(STRANGER, started.turn.id),
            home.chat.wait(STRANGER, started.turn.id, timeout_s=0),
            home.chat.follow(STRANGER, started.turn.id),
            home.chat.cancel(STRANGER, started.turn.id),
            home.chat.resume(STRANGER, started.turn.id, {}),
            home.chat.send(STRANGER, request(session_id=started.turn.session_id)),
        ):
            with pytest.raises(NotFound):
                await call


async def test_a_visitor_sees_the_own_session_only(data: Path) -> None:
    async with house(data, limits=IDLE) as home:
        own, other = await home.api("hi"), await home.api("ho")
        visitor = visitor_of(own.turn.session_id, own.turn.participant_id)

        sent = await home.chat.send(visitor, request(session_id=own.turn.session_id))
        seen = await home.chat.turn(visitor, own.turn.id)

        assert sent.turn.session_id == own.turn.session_id
        assert seen.id == own.turn.id
        with pytest.raises(NotFound):
            await home.chat.turn(visitor, other.turn.id)
        with pytest.raises(NotFound):
            await home.chat.cancel(visitor, other.turn.id)
        with pytest.raises(NotFound):
            await home.chat.send(visitor, request(session_id=other.turn.session_id))
        with pytest.raises(Forbidden):
            await home.chat.send(visitor, request())


def visitor_of(session_id: SessionId, participant_id: str | None) -> Principal:
    assert participant_id is not None
    return replace(
        PRINCIPAL, id="vis_1", session_id=session_id, participant_id=ParticipantId(participant_id)
    )


@pytest.mark.parametrize(
    "turn_id",
    [new_turn_id(), TurnId("nonsense"), TurnId("")],
    ids=["well formed", "nonsense", "empty"],
)
async def test_an_unknown_turn_is_not_found(data: Path, turn_id: TurnId) -> None:
    async with house(data) as home:
        with pytest.raises(NotFound):
            await home.chat.turn(PRINCIPAL, turn_id)
        with pytest.raises(NotFound):
            await home.chat.cancel(PRINCIPAL, turn_id)
        with pytest.raises(NotFound):
            await home.chat.resume(PRINCIPAL, turn_id, {})


async def test_a_request_that_is_refused_leaves_no_listener_behind(data: Path) -> None:
    async with house(data, limits=IDLE) as home:
        home.flaky.errors["accept"] = Unavailable("full", retry_after_s=5)
        home.flaky.away["accept"] = 1
        with pytest.raises(Unavailable):
            await home.api("hi")
        unknown = SessionId("ses_unknown")
        with pytest.raises(NotFound):
            await home.api("hi", session_id=unknown)

        assert home.live.waiting == 0


# ------------------------------------------------------------ events


async def test_a_listener_hears_a_turn_as_it_runs(data: Path) -> None:
    hold = Hold(text="Good ", rest="day.")
    async with house(data, hold) as home, home.at_work():
        started = await home.api("hi", wants_stream=True)
        listening = asyncio.create_task(heard(home, started))
        await hold.reached.wait()
        hold.release.set()
        events = await listening

    assert kinds(events) == [
        TurnBegan,
        MessageStarted,
        TextDelta,
        TextDelta,
        MessageCompleted,
        TurnEnded,
    ]
    assert home.model.requests[0].wants_stream


async def test_a_listener_that_comes_back_hears_the_rest(data: Path) -> None:
    hold = Hold(text="Good ", rest="day.")
    async with house(data, hold) as home, home.at_work():
        started = await home.api("hi", wants_stream=True)
        await hold.reached.wait()
        seen = await first_events(home, started, 3)
        follower = await home.chat.follow(PRINCIPAL, started.turn.id)
        hold.release.set()
        rest = await heard(home, follower, after=seen[-1].number)

    assert kinds(seen + rest) == [
        TurnBegan,
        MessageStarted,
        TextDelta,
        TextDelta,
        MessageCompleted,
        TurnEnded,
    ]


async def first_events(home: House, started: Started, count: int) -> list[NumberedEvent]:
    seen: list[NumberedEvent] = []
    async with asyncio.timeout(5), aclosing(home.chat.events(PRINCIPAL, started)) as events:
        async for numbered in events:
            seen.append(numbered)
            if len(seen) == count:
                break
    return seen


async def test_a_turn_that_is_over_is_told_again(data: Path) -> None:
    async with house(data, "Hello.") as home, home.at_work():
        started = await home.api("hi", options=TurnOptions(is_resumable=True))
        live = await heard(home, started)
        await home.until(lambda: _are_kept(home, started.turn.id))
        again = await heard(home, await home.chat.follow(PRINCIPAL, started.turn.id))
        rest = await heard(home, await home.chat.follow(PRINCIPAL, started.turn.id), after=2)

    assert [one.number for one in again] == [one.number for one in live]
    assert kinds(again) == kinds(live)
    assert rest == again[2:]
    assert isinstance(again[-1].event, TurnEnded)


async def _are_kept(home: House, turn_id: TurnId) -> bool:
    kept = await home.store.events(PROJECT, turn_id, after=0)
    return bool(kept) and kept[-1].data["type"] == "completed"


async def test_a_stream_goes_on_over_attempts(data: Path) -> None:
    hold = Hold(text="Good ")
    async with house(data, hold, limits=QueueLimits()) as home:
        async with home.at_work():
            started = await home.api("hi", options=TurnOptions(is_resumable=True))
            seen = await first_events(home, started, 3)
        after_restart = house(data, "Good day.", store=home.store, clock=home.clock)
        async with after_restart as later, later.at_work():
            follower = await later.chat.follow(PRINCIPAL, started.turn.id)
            rest = await heard(later, follower, after=seen[-1].number)

    numbers = [numbered.number for numbered in (*seen, *rest)]
    assert numbers == sorted(set(numbers))
    assert rest[0] == NumberedEvent(EVENTS_PER_ATTEMPT + 1, TurnBegan(2))
    assert isinstance(rest[-1].event, TurnEnded)
    assert rest[-1].event.turn.state == "done"


async def test_a_listener_of_a_turn_cancelled_in_the_queue_is_not_left_waiting(
    data: Path,
) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        [running] = await home.turns()
        second = await home.api("two", session_id=running.session_id)
        third = await home.api("three", session_id=running.session_id)
        listening = asyncio.create_task(heard(home, second))
        waiting = asyncio.create_task(home.chat.result(PRINCIPAL, third, timeout_s=5))
        await asyncio.sleep(0)
        await home.say("/stop")

        events, turn = await listening, await waiting

    assert kinds(events) == [TurnBegan, TurnEnded]
    assert turn.state == "cancelled"
    assert home.live.waiting == 0


async def test_who_listens_to_a_removed_turn_is_told_and_nothing_is_kept_for_it(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        first = await home.api("one")
        await hold.reached.wait()
        second = await home.api("two", session_id=first.turn.session_id)
        await home.store.delete_session(PROJECT, first.turn.session_id)

        with pytest.raises(NotFound):
            await heard(home, second)

        hold.release.set()
        await home.until(lambda: home.live.waiting == 0)


async def test_a_turn_that_waits_long_in_the_queue_is_listened_to(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold, "Two.") as home, home.at_work():
        first = await home.api("one")
        await hold.reached.wait()
        second = await home.api("two", session_id=first.turn.session_id)
        listening = asyncio.create_task(heard(home, second))
        await home.until(lambda: home.flaky.calls["turn"] > 2)
        hold.release.set()
        events = await listening

    assert kinds(events)[0] is TurnBegan
    assert isinstance(events[-1].event, TurnEnded)


async def test_a_quiet_turn_that_runs_is_waited_for(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        started = await home.api("hi")
        listening = asyncio.create_task(heard(home, started))
        waiting = asyncio.create_task(home.chat.result(PRINCIPAL, started, timeout_s=5))
        reads = home.flaky.calls["turn"]
        await hold.reached.wait()
        await asyncio.wait((listening,), timeout=0.15)
        assert home.flaky.calls["turn"] == reads
        hold.release.set()
        await listening
        turn = await waiting

    assert turn.state == "done"


# ------------------------------------------------------------ waiting for the caller


async def test_a_turn_waits_for_its_caller_and_goes_on(data: Path) -> None:
    async with house(data, asks(CALL), "It is 12.") as home, home.at_work():
        started = await waiting_turn(home)
        resumed = await home.chat.resume(
            PRINCIPAL, started.turn.id, {"c1": "12"}, wants_stream=True
        )
        events = await heard(home, resumed)
        turn = await home.chat.turn(PRINCIPAL, started.turn.id)

    assert turn.state == "done"
    assert turn.messages[-1].text == "It is 12."
    assert events[0].number == EVENTS_PER_ATTEMPT + 1
    assert isinstance(events[-1].event, TurnEnded)
    assert "12" in str(home.model.requests[1].messages)


async def test_the_stream_of_a_waiting_turn_ends(data: Path) -> None:
    async with house(data, asks(CALL)) as home, home.at_work():
        started = await home.api("look", options=CLIENT_TOOLS)
        live = await heard(home, started)
        again = await heard(home, await home.chat.follow(PRINCIPAL, started.turn.id))

    for events in (live, again):
        assert isinstance(events[-1].event, TurnEnded)
        assert events[-1].event.turn.state == "waiting"


async def test_results_for_a_turn_that_does_not_wait_are_refused(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        started = await home.api("hi")
        with pytest.raises(Conflict) as caught:
            await home.chat.resume(PRINCIPAL, started.turn.id, {"c1": "12"})
        hold.release.set()
        turn = await home.chat.result(PRINCIPAL, started, timeout_s=5)

    assert caught.value.code == "already_completed"
    assert turn.state == "done"


async def test_a_call_without_a_result_is_refused_and_the_turn_still_waits(data: Path) -> None:
    async with house(data, asks(CALL)) as home, home.at_work():
        started = await waiting_turn(home)
        with pytest.raises(Unprocessable):
            await home.chat.resume(PRINCIPAL, started.turn.id, {})
        turn = await home.chat.turn(PRINCIPAL, started.turn.id)

        assert turn.state == "waiting"
        assert home.live.waiting == 0


async def test_results_that_come_second_do_not_cut_off_who_came_first(data: Path) -> None:
    hold = Hold(rest="It is 12.")
    async with house(data, asks(CALL), hold) as home, home.at_work():
        started = await waiting_turn(home)
        resuming = home.flaky.holds["resume_turn"] = asyncio.Event()
        late = asyncio.create_task(home.chat.resume(PRINCIPAL, started.turn.id, {"c1": "13"}))
        await home.until(lambda: home.flaky.calls["resume_turn"])
        await home.store.resume_turn(PROJECT, started.turn.id, results={"c1": "12"})
        await hold.reached.wait()
        first = await home.chat.follow(PRINCIPAL, started.turn.id)
        resuming.set()
        with pytest.raises(Conflict):
            await late
        hold.release.set()
        events = await heard(home, first)

    assert isinstance(events[-1].event, TurnEnded)
    assert events[-1].event.turn.state == "done"


async def test_results_for_a_turn_that_is_removed_meanwhile_are_not_found(data: Path) -> None:
    async with house(data, asks(CALL)) as home, home.at_work():
        started = await waiting_turn(home)
        resuming = home.flaky.holds["resume_turn"] = asyncio.Event()
        late = asyncio.create_task(home.chat.resume(PRINCIPAL, started.turn.id, {"c1": "12"}))
        await home.until(lambda: home.flaky.calls["resume_turn"])
        await home.store.delete_session(PROJECT, started.turn.session_id)
        resuming.set()
        with pytest.raises(NotFound):
            await late

        assert home.live.waiting == 0


# ------------------------------------------------------------ cancel


async def test_a_queued_turn_is_cancelled_at_once(data: Path) -> None:
    async with house(data, limits=IDLE) as home:
        started = await home.api("hi")

        turn = await home.chat.cancel(PRINCIPAL, started.turn.id)

        assert turn.state == "cancelled"
        assert [message.text for message in turn.messages] == ["hi"]
        await home.sound()


async def test_a_cancelled_turn_in_the_queue_is_told_to_its_listeners(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        first = await home.api("one")
        await hold.reached.wait()
        second = await home.api("two", session_id=first.turn.session_id)
        listening = asyncio.create_task(heard(home, second))
        await asyncio.sleep(0)
        await home.chat.cancel(PRINCIPAL, second.turn.id)
        events = await listening

    assert kinds(events) == [TurnEnded]


async def test_a_running_turn_is_stopped_with_the_text_so_far(data: Path) -> None:
    hold = Hold(text="Once upon")
    async with house(data, hold) as home, home.at_work():
        started = await home.api("tell", wants_stream=True)
        await first_events(home, started, 3)
        turn = await home.chat.cancel(PRINCIPAL, started.turn.id)

    assert turn.state == "cancelled"
    assert [(m.text, m.is_incomplete) for m in turn.messages[1:]] == [("Once upon", True)]
    assert home.model.closed_early == 1


async def test_a_waiting_turn_is_cancelled(data: Path) -> None:
    async with house(data, asks(CALL)) as home, home.at_work():
        started = await waiting_turn(home)

        turn = await home.chat.cancel(PRINCIPAL, started.turn.id)
        await home.sound()

    assert turn.state == "cancelled"


async def test_a_turn_that_is_over_stays_as_it_is(data: Path) -> None:
    async with house(data, "Hello.") as home, home.at_work():
        started = await home.api("hi")
        await home.settled()
        done = await home.chat.cancel(PRINCIPAL, started.turn.id)

    assert done.state == "done"


async def test_a_cancelled_turn_may_be_cancelled_again(data: Path) -> None:
    async with house(data, limits=IDLE) as home:
        started = await home.api("hi")
        first = await home.chat.cancel(PRINCIPAL, started.turn.id)
        second = await home.chat.cancel(PRINCIPAL, started.turn.id)

    assert first == second


async def test_a_turn_that_was_removed_meanwhile_cannot_be_cancelled(data: Path) -> None:
    async with house(data, limits=IDLE) as home:
        started = await home.api("hi")
        asking = home.flaky.holds["request_cancel"] = asyncio.Event()
        late = asyncio.create_task(home.chat.cancel(PRINCIPAL, started.turn.id))
        await home.until(lambda: home.flaky.calls["request_cancel"])
        await home.store.delete_session(PROJECT, started.turn.session_id)
        asking.set()

        with pytest.raises(NotFound):
            await late


# ------------------------------------------------------------ draining


async def test_while_stopping_nothing_new_is_taken(data: Path) -> None:
    async with house(data, asks(CALL)) as home, home.at_work():
        started = await waiting_turn(home)
        home.chat.begin_drain()

        for call in (home.api("hi"), home.chat.resume(PRINCIPAL, started.turn.id, {"c1": "1"})):
            with pytest.raises(Unavailable) as caught:
                await call
            assert caught.value.code == "draining"


async def test_while_stopping_callers_of_queued_turns_are_sent_away(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        first = await home.api("one")
        await hold.reached.wait()
        second = await home.api("two", session_id=first.turn.session_id)
        waiting = asyncio.create_task(home.chat.result(PRINCIPAL, second, timeout_s=60))
        listening = asyncio.create_task(heard(home, second))
        await asyncio.sleep(0)
        home.chat.begin_drain()

        for call in (waiting, listening):
            with pytest.raises(Unavailable):
                await call
        hold.release.set()
        turn = await home.chat.result(PRINCIPAL, first, timeout_s=5)

    assert turn.state == "done"


async def test_while_stopping_whoever_comes_back_to_a_running_turn_may_wait(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        started = await home.api("one")
        await hold.reached.wait()
        home.chat.begin_drain()
        forgotten = replace(started, broadcast=None)
        waiting = asyncio.create_task(home.chat.result(PRINCIPAL, forgotten, timeout_s=5))
        await asyncio.sleep(0)
        hold.release.set()
        turn = await waiting

    assert turn.state == "done"


async def test_while_stopping_a_turn_that_ends_while_it_is_looked_up_is_given(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        started = await home.api("one")
        await hold.reached.wait()
        home.chat.begin_drain()
        reading = home.flaky.late["turn"] = asyncio.Event()
        forgotten = replace(started, broadcast=None)
        waiting = asyncio.create_task(home.chat.result(PRINCIPAL, forgotten, timeout_s=5))
        await asyncio.wait((waiting,), timeout=0.1)
        hold.release.set()
        await home.until(lambda: home.worker.running == 0)
        reading.set()
        turn = await waiting

    assert turn.state == "done"


async def test_callers_of_a_turn_that_is_given_back_are_sent_away(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work(home.worker.run):
        started = await home.api("one")
        await hold.reached.wait()
        waiting = asyncio.create_task(home.chat.result(PRINCIPAL, started, timeout_s=60))
        listening = asyncio.create_task(heard(home, started))
        await asyncio.sleep(0)
        home.chat.begin_drain()
        await home.worker.drain(within_s=0)

        for call in (waiting, listening):
            with pytest.raises(Unavailable):
                await call
