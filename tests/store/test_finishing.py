"""T3 and what may happen to a turn beside it: retry, wait, cancel, tools, events."""

import pytest

from gateway.domain.conversation import Message, TextPart, ToolCall, Usage
from gateway.domain.ids import TurnId, new_message_id
from gateway.domain.turns import ClaimedTurn, TurnError, TurnOptions, TurnOutcome
from gateway.errors import Conflict, Unprocessable
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import NewTurn
from gateway.store.protocol.turns import StoredEvent
from tests.store.builders import (
    CHAT,
    PROJECT,
    accept_one,
    api_turn,
    chat_turn,
    claim_one,
    claimed_turn,
    commit,
    part,
    reply,
    state_of,
    talk,
    terms,
    texts,
)
from tests.store.worlds import FixedClock, World

CALL = ToolCall("call_1", "get_balance", '{"user":"7"}')
AGAIN = TurnOutcome(state="queued")


def asking() -> TurnOutcome:
    """A turn that waits for the caller's tool result."""
    ask = Message(id=new_message_id(), role="assistant", tool_calls=(CALL,))
    return TurnOutcome(state="waiting", messages=(ask,), tool_calls=(CALL,))


class TestCommit:
    async def test_a_reply_stands_in_history_with_all_its_facts(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        answer = Message(
            id=new_message_id(),
            role="assistant",
            content=(TextPart("Your balance is 40."),),
            visibility="internal",
            agent="Billing",
            tool_calls=(CALL,),
            is_incomplete=True,
            model="m-1",
            usage=Usage(3, 4),
        )
        result = Message(
            id=new_message_id(),
            role="tool",
            content=(TextPart("40"),),
            tool_call_id="call_1",
            tool_name="get_balance",
        )
        outcome = TurnOutcome(
            state="done",
            messages=(answer, result),
            usage=Usage(10, 20),
            model="m-1",
            final_agent="Billing",
            next_agent="Desk",
            is_incomplete=True,
            bot_version=3,
        )

        committed = await commit(store, claimed, outcome)

        assert committed.turn == await store.turn(PROJECT, claimed.turn.id, with_messages=True)
        assert committed.turn is not None
        user, first, second = committed.turn.messages
        assert (user.text, first.content, second.tool_call_id) == ("hi", answer.content, "call_1")
        assert (first.tool_calls, first.usage, first.is_incomplete) == ((CALL,), Usage(3, 4), True)
        assert (committed.turn.usage, committed.turn.bot_version) == (Usage(10, 20), 3)
        session = await store.session(PROJECT, claimed.session.id)
        assert session is not None
        assert (session.agent, session.pending) == ("Desk", 0)

    async def test_the_committed_turn_is_the_stored_one_also_where_it_was_not_claimed_here(
        self, store: Store, world: World
    ) -> None:
        claimed = await claimed_turn(store)

        async with world.open() as other:
            committed = await commit(other, claimed, reply(usage=Usage(1, 2)))

        assert committed.turn == await store.turn(PROJECT, claimed.turn.id, with_messages=True)

    async def test_a_second_commit_of_the_same_turn_is_fenced(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await commit(store, claimed, reply("first"))

        again = await commit(store, claimed, reply("second"))

        assert not again.is_committed
        assert again.turn is not None
        assert again.turn.state == "done"
        assert await texts(store, claimed.session.id) == ["hi", "first"]

    async def test_the_commit_says_whether_the_session_has_more(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await accept_one(store, chat_turn("two"))

        first = await commit(store, claimed)
        second = await commit(store, await claim_one(store))

        assert (first.has_more, second.has_more) == (True, False)

    async def test_a_failed_turn_keeps_its_error(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        error = TurnError("model_error", "The model did not answer.", True)

        await commit(store, claimed, TurnOutcome(state="failed", error=error))

        turn = await store.turn(PROJECT, claimed.turn.id)
        assert turn is not None
        assert (turn.state, turn.error) == ("failed", error)

    async def test_a_dead_turn_lets_the_session_go_on(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        second = await accept_one(store, chat_turn("two"))

        await commit(store, claimed, reply("sorry", state="dead", parts=1))

        assert (await claim_one(store)).turn.id == second.turn_id

    async def test_parts_of_a_session_without_an_address_are_a_mistake(self, store: Store) -> None:
        claimed = await claimed_turn(store, api_turn())

        with pytest.raises(ValueError, match="address"):
            await commit(store, claimed, reply(parts=1))

        assert (await commit(store, claimed)).is_committed

    async def test_a_session_deleted_under_a_turn_fences_it(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await store.delete_session(PROJECT, claimed.session.id)

        committed = await commit(store, claimed)

        assert (committed.is_committed, committed.turn) == (False, None)

    async def test_text_of_a_model_that_cannot_be_stored_is_refused(self, store: Store) -> None:
        claimed = await claimed_turn(store)

        with pytest.raises(Unprocessable):
            await commit(store, claimed, reply("half \ud83d"))

        assert (await commit(store, claimed)).is_committed


class TestRetry:
    async def test_a_turn_tried_again_comes_back(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await commit(store, claimed, AGAIN)

        again = await claim_one(store)

        assert (again.turn.id, again.turn.attempts) == (claimed.turn.id, 2)
        assert [one.text for one in again.history] == ["hi"]

    async def test_a_begun_turn_goes_before_those_that_its_source_puts_first(
        self, store: Store
    ) -> None:
        await accept_one(store, chat_turn("third", source_order=3))
        await accept_one(store, chat_turn("second", source_order=2))
        begun = await claim_one(store)
        await accept_one(store, chat_turn("first", source_order=1))
        await commit(store, begun, AGAIN)

        asked = []
        for _ in range(3):
            claimed = await claim_one(store)
            asked.append(claimed.history[-1].text)
            await commit(store, claimed)

        assert asked == ["second", "first", "third"]

    async def test_a_turn_given_back_has_its_attempt_back(self, store: Store) -> None:
        claimed = await claimed_turn(store)

        await commit(store, claimed, TurnOutcome(state="queued", counts_attempt=False))

        again = await claim_one(store)
        assert (again.turn.attempts, again.turn.crash_count) == (1, 1)

    async def test_a_turn_tried_again_leaves_nothing(self, store: Store) -> None:
        claimed = await claimed_turn(store)

        with pytest.raises(ValueError, match="leaves neither"):
            await commit(store, claimed, reply(state="queued"))


class TestWaiting:
    async def test_a_waiting_turn_goes_on_with_the_results_of_its_caller(
        self, store: Store
    ) -> None:
        claimed = await _waiting(store, api_turn(options=TurnOptions(client_tools=True)))

        resumed = await store.resume_turn(PROJECT, claimed.turn.id, results={"call_1": "40"})

        assert resumed is not None
        assert resumed.state == "queued"
        again = await claim_one(store)
        assert again.turn.id == claimed.turn.id
        assert again.turn.options == TurnOptions(client_tools=True, tool_results={"call_1": "40"})
        assert [one.role for one in again.history] == ["user", "assistant"]

    async def test_a_waiting_turn_keeps_its_calls(self, store: Store) -> None:
        claimed = await _waiting(store)

        turn = await store.turn(PROJECT, claimed.turn.id)

        assert turn is not None
        assert (turn.state, turn.tool_calls) == ("waiting", (CALL,))
        assert await store.claim(terms()) == []

    async def test_every_call_needs_a_result(self, store: Store) -> None:
        claimed = await _waiting(store)

        with pytest.raises(Unprocessable, match="call_1"):
            await store.resume_turn(PROJECT, claimed.turn.id, results={"other": "x"})

        assert await state_of(store, claimed.turn.id) == "waiting"

    async def test_only_a_waiting_turn_can_be_resumed(self, store: Store) -> None:
        claimed = await talk(store)

        with pytest.raises(Conflict) as refused:
            await store.resume_turn(PROJECT, claimed.turn.id, results={})

        assert refused.value.code == "already_completed"
        assert await store.resume_turn(PROJECT, TurnId("turn_none"), results={}) is None

    async def test_the_persons_next_message_declines_what_was_asked(self, store: Store) -> None:
        claimed = await _waiting(store, chat_turn())

        second = await accept_one(store, chat_turn("never mind"), claim=terms())

        first = await claim_one(store)
        assert first.turn.id == claimed.turn.id
        assert first.turn.options.tool_results == {}
        await commit(store, first)
        assert (await claim_one(store)).turn.id == second.turn_id

    async def test_a_message_that_came_before_the_question_declines_it_too(
        self, store: Store
    ) -> None:
        claimed = await claimed_turn(store)
        await accept_one(store, chat_turn("two"))

        committed = await commit(store, claimed, asking())

        assert committed.turn is not None
        assert (committed.turn.state, committed.has_more) == ("queued", True)
        assert (await claim_one(store)).turn.options.tool_results == {}

    async def test_a_schedule_does_not_decline_a_question(self, store: Store) -> None:
        claimed = await _waiting(store, chat_turn())

        await accept_one(store, chat_turn(kind="prompt", message=None))

        assert await state_of(store, claimed.turn.id) == "waiting"
        assert await store.claim(terms()) == []

    async def test_a_question_nobody_answers_is_declined_after_its_time(
        self, store: Store, clock: FixedClock
    ) -> None:
        claimed = await _waiting(store)
        clock.advance(60)
        too_early = await store.expire_waiting(after_s=3600)
        clock.advance(3600)

        expired = await store.expire_waiting(after_s=3600)

        assert (too_early, expired) == (0, 1)
        again = await claim_one(store)
        assert again.turn.id == claimed.turn.id
        assert again.turn.options.tool_results == {}

    async def test_parts_of_a_turn_that_waited_are_numbered_on(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        question = TurnOutcome(state="waiting", deliveries=(part("sure?"),), tool_calls=(CALL,))
        await commit(store, claimed, question)
        await store.resume_turn(PROJECT, claimed.turn.id, results={"call_1": "yes"})

        await commit(store, await claim_one(store), reply(parts=2))

        trace = (await store.traces(PROJECT, claimed.session.id))[0]
        assert [delivery.part_no for delivery in trace.deliveries] == [0, 1, 2]


class TestCancel:
    async def test_a_queued_turn_is_cancelled_at_once(self, store: Store) -> None:
        accepted = await accept_one(store, chat_turn())
        assert accepted.turn_id is not None

        cancelled = await store.request_cancel(PROJECT, accepted.turn_id)

        assert cancelled is not None
        assert cancelled.state == "cancelled"
        assert await store.claim(terms()) == []

    async def test_cancelling_the_first_of_two_lets_the_second_run(self, store: Store) -> None:
        first = await accept_one(store, chat_turn("one"))
        second = await accept_one(store, chat_turn("two"))
        assert first.turn_id is not None

        await store.request_cancel(PROJECT, first.turn_id)

        claimed = await claim_one(store)
        assert claimed.turn.id == second.turn_id

    async def test_a_waiting_turn_is_cancelled_at_once(self, store: Store) -> None:
        claimed = await _waiting(store)

        cancelled = await store.request_cancel(PROJECT, claimed.turn.id)

        assert cancelled is not None
        assert cancelled.state == "cancelled"

    async def test_a_running_turn_is_asked_to_stop(self, store: Store) -> None:
        claimed = await claimed_turn(store)

        asked = await store.request_cancel(PROJECT, claimed.turn.id)

        assert asked is not None
        assert (asked.state, asked.cancel_requested) == ("running", True)
        news = await store.heartbeat([claimed.lease], lease_s=30)
        assert news.cancel_requested == {claimed.turn.id}

    async def test_a_turn_that_was_to_stop_is_not_tried_again(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await store.request_cancel(PROJECT, claimed.turn.id)

        committed = await commit(store, claimed, AGAIN)

        assert committed.turn is not None
        assert committed.turn.state == "cancelled"
        assert await store.claim(terms()) == []

    async def test_a_turn_that_is_over_stays_as_it_is(self, store: Store) -> None:
        claimed = await talk(store)

        turn = await store.request_cancel(PROJECT, claimed.turn.id)

        assert turn is not None
        assert turn.state == "done"

    async def test_an_unknown_turn_cannot_be_cancelled(self, store: Store) -> None:
        assert await store.request_cancel(PROJECT, TurnId("turn_none")) is None


class TestTools:
    async def test_calls_of_an_earlier_attempt_are_remembered(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        other = ToolCall("call_2", "send", "{}")
        await store.begin_tool(claimed.lease, claimed.turn.id, step=0, call=CALL)
        await store.end_tool(claimed.lease, claimed.turn.id, step=0, result="40", is_ok=True)
        await store.begin_tool(claimed.lease, claimed.turn.id, step=1, call=other)

        found = await store.tool_results(PROJECT, claimed.turn.id)

        assert (found[0].call, found[0].result, found[0].is_ok) == (CALL, "40", True)
        assert (found[1].call, found[1].result) == (other, None)

    async def test_a_lost_lease_writes_no_call(self, store: Store, clock: FixedClock) -> None:
        claimed = await claimed_turn(store)
        clock.advance(31)
        await claim_one(store, "other")

        is_ours = await store.begin_tool(claimed.lease, claimed.turn.id, step=0, call=CALL)

        assert not is_ours
        assert await store.tool_results(PROJECT, claimed.turn.id) == {}


class TestEvents:
    async def test_events_come_back_in_order_above_a_number(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        events = [StoredEvent(number, {"text": f"w{number}"}) for number in (1, 2, 3)]
        await store.add_events(PROJECT, claimed.turn.id, events[:2])
        await store.add_events(PROJECT, claimed.turn.id, events[1:])

        assert await store.events(PROJECT, claimed.turn.id, after=1) == events[1:]

    async def test_events_of_an_unknown_turn_are_dropped(self, store: Store) -> None:
        await store.add_events(PROJECT, TurnId("turn_none"), [StoredEvent(1, {})])

        assert await store.events(PROJECT, TurnId("turn_none"), after=0) == []


class TestPending:
    async def test_a_chat_knows_how_much_waits_in_it(self, store: Store) -> None:
        await claimed_turn(store)
        await accept_one(store, chat_turn("two"))

        session = await store.session_at(PROJECT, account="bot1", address=CHAT)
        unknown = await store.session_at(PROJECT, account="bot2", address=CHAT)

        assert session is not None
        assert (session.pending, unknown) == (2, None)


async def _waiting(store: Store, new: NewTurn | None = None) -> ClaimedTurn:
    claimed = await claimed_turn(store, new or api_turn())
    await commit(store, claimed, asking())
    return claimed
