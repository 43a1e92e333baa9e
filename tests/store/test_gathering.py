"""T1: which messages become one turn, and which are none of our business."""

from itertools import product
from typing import cast

import pytest

from gateway.contract import Address
from gateway.domain.channels import WhenBusy
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import TurnOutcome
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import Accepted
from tests.store.builders import (
    PROJECT,
    accept,
    accept_one,
    chat_turn,
    claim_one,
    claimed_turn,
    command,
    commit,
    event,
    reply,
    state_of,
    talk,
    terms,
    texts,
)
from tests.store.worlds import FixedClock

THREAD = Address("tg", "100", "55")


async def said_in(store: Store, accepted: Accepted) -> list[str]:
    """What people said in a turn, oldest first."""
    assert accepted.turn_id is not None
    turn = await store.turn(PROJECT, accepted.turn_id, with_messages=True)
    assert turn is not None
    return [each.text for each in turn.messages if each.role == "user"]


class TestCollecting:
    async def test_all_that_came_while_a_turn_ran_is_the_next_one(self, store: Store) -> None:
        running = await claimed_turn(store, chat_turn("one", when_busy="collect"))
        later = [chat_turn(text, when_busy="collect") for text in ("two", "three", "four")]

        first, second, third = await accept(store, *later)
        await commit(store, running)
        following = await claim_one(store)

        assert [first.was_joined, second.was_joined, third.was_joined] == [False, True, True]
        assert following.turn.id == first.turn_id
        assert [one.text for one in following.history[-3:]] == ["two", "three", "four"]
        assert len({one.id for one in following.history[-3:]}) == 3

    async def test_what_waits_in_the_queue_takes_more_until_it_is_claimed(
        self, store: Store
    ) -> None:
        first = await accept_one(store, chat_turn("one", when_busy="collect"))
        await accept_one(store, chat_turn("two", when_busy="collect"))
        claimed = await claim_one(store)

        late = await accept_one(store, chat_turn("three", when_busy="collect"))

        assert claimed.turn.id == first.turn_id
        assert await said_in(store, first) == ["one", "two"]
        assert not late.was_joined
        assert await said_in(store, late) == ["three"]

    async def test_a_turn_that_was_tried_before_is_not_added_to(self, store: Store) -> None:
        claimed = await claimed_turn(store, chat_turn("one", when_busy="collect"))
        await commit(store, claimed, TurnOutcome(state="queued"))

        late = await accept_one(store, chat_turn("two", when_busy="collect"))

        assert not late.was_joined

    async def test_each_of_them_keeps_its_own_event(self, store: Store) -> None:
        await claimed_turn(store)
        await accept_one(store, chat_turn("two", when_busy="collect", event=event("2")))
        joined = await accept_one(store, chat_turn("three", when_busy="collect", event=event("3")))

        copy = await accept_one(store, chat_turn("three", when_busy="collect", event=event("3")))

        assert (copy.is_new, copy.turn_id, copy.message_id) == (
            False,
            joined.turn_id,
            joined.message_id,
        )

    async def test_other_sessions_go_their_own_way(self, store: Store) -> None:
        await claimed_turn(store)
        await accept_one(store, chat_turn("two", when_busy="collect"))

        other = await accept_one(
            store, chat_turn("hi", address=Address("tg", "7"), when_busy="collect")
        )

        assert not other.was_joined


class TestInterrupting:
    async def test_a_new_message_stops_the_one_that_is_answered(self, store: Store) -> None:
        running = await claimed_turn(store, chat_turn("one", when_busy="interrupt"))

        new = await accept_one(store, chat_turn("two", when_busy="interrupt"))

        assert new.interrupts == running.turn.id
        assert not new.was_joined
        news = await store.heartbeat([running.lease], lease_s=30)
        assert news.cancel_requested == {running.turn.id}

    async def test_its_own_turn_runs_next_and_sees_both(self, store: Store) -> None:
        running = await claimed_turn(store, chat_turn("one", when_busy="interrupt"))
        new = await accept_one(store, chat_turn("two", when_busy="interrupt"))
        await commit(store, running, TurnOutcome(state="cancelled"))

        following = await claim_one(store)

        assert following.turn.id == new.turn_id
        assert [one.text for one in following.history] == ["one", "two"]

    async def test_what_came_before_it_could_run_is_answered_with_it(self, store: Store) -> None:
        running = await claimed_turn(store, chat_turn("one", when_busy="interrupt"))
        second = await accept_one(store, chat_turn("two", when_busy="interrupt"))

        third = await accept_one(store, chat_turn("three", when_busy="interrupt"))

        assert (third.was_joined, third.turn_id) == (True, second.turn_id)
        assert third.interrupts == running.turn.id

    async def test_a_turn_that_was_to_stop_is_not_tried_again(self, store: Store) -> None:
        running = await claimed_turn(store, chat_turn("one", when_busy="interrupt"))
        new = await accept_one(store, chat_turn("two", when_busy="interrupt"))

        await commit(store, running, TurnOutcome(state="queued"))

        assert await state_of(store, running.turn.id) == "cancelled"
        assert (await claim_one(store)).turn.id == new.turn_id

    async def test_a_reply_that_is_ready_is_kept(self, store: Store) -> None:
        running = await claimed_turn(store, chat_turn("one", when_busy="interrupt"))
        await accept_one(store, chat_turn("two", when_busy="interrupt"))

        await commit(store, running, reply("hello", parts=1))

        assert await state_of(store, running.turn.id) == "done"
        assert await texts(store, running.session.id) == ["one", "two", "hello"]

    async def test_who_cannot_be_answered_stops_nobody(self, store: Store) -> None:
        running = await claimed_turn(store, chat_turn("one", when_busy="interrupt"))
        full = QueueLimits(queued_per_project=0)

        busy = await accept_one(store, chat_turn("two", when_busy="interrupt"), limits=full)

        assert (busy.state, busy.interrupts) == ("failed", None)
        news = await store.heartbeat([running.lease], lease_s=30)
        assert news.cancel_requested == frozenset()

    async def test_a_copy_interrupts_nobody(self, store: Store) -> None:
        new = chat_turn("one", when_busy="interrupt", event=event("1"))
        running = await claimed_turn(store, new)

        copy = await accept_one(store, new)

        assert copy.interrupts is None
        news = await store.heartbeat([running.lease], lease_s=30)
        assert news.cancel_requested == frozenset()

    async def test_what_the_bot_was_told_to_write_is_not_interrupted(self, store: Store) -> None:
        await claimed_turn(store, chat_turn("remind", kind="prompt"))

        new = await accept_one(store, chat_turn("two", when_busy="interrupt"))

        assert new.interrupts is None

    async def test_a_turn_whose_process_died_is_cancelled_and_the_new_one_runs(
        self, store: Store, clock: FixedClock
    ) -> None:
        running = await claimed_turn(store, chat_turn("one", when_busy="interrupt"))
        new = await accept_one(store, chat_turn("two", when_busy="interrupt"))
        clock.advance(31)

        following = await claim_one(store, "other")

        assert following.turn.id == new.turn_id
        assert await state_of(store, running.turn.id) == "cancelled"


class TestAlbums:
    async def test_an_album_is_one_turn_a_second_after_its_last_item(
        self, store: Store, clock: FixedClock
    ) -> None:
        items = []
        for name in "abcde":
            items.append(await accept_one(store, chat_turn(name, group_id="album"), claim=terms()))
            clock.advance(0.9)
            assert await store.claim(terms()) == []
        clock.advance(0.2)

        claimed = await claim_one(store)

        assert {item.turn_id for item in items} == {claimed.turn.id}
        assert [one.text for one in claimed.history] == list("abcde")

    async def test_an_item_that_comes_too_late_makes_a_turn_of_its_own(
        self, store: Store, clock: FixedClock
    ) -> None:
        await accept_one(store, chat_turn("a", group_id="album"))
        clock.advance(1.1)
        running = await claim_one(store)

        late = await accept_one(store, chat_turn("b", group_id="album"))
        await commit(store, running)
        clock.advance(1.1)

        assert (await claim_one(store)).turn.id == late.turn_id
        assert not late.was_joined

    @pytest.mark.parametrize("when_busy", ["queue", "collect", "interrupt"])
    async def test_what_is_left_of_an_album_does_not_stop_its_answer(
        self, store: Store, clock: FixedClock, when_busy: WhenBusy
    ) -> None:
        await accept_one(store, chat_turn("a", group_id="album", when_busy=when_busy))
        clock.advance(1.1)
        await claim_one(store)

        late = await accept_one(store, chat_turn("b", group_id="album", when_busy=when_busy))

        assert late.interrupts is None

    async def test_more_than_ten_items_are_not_one_turn(self, store: Store) -> None:
        items = [
            await accept_one(store, chat_turn(str(number), group_id="album"))
            for number in range(12)
        ]

        turns = [item.turn_id for item in items]
        assert turns == [turns[0]] * 10 + [turns[10]] * 2
        assert turns[0] != turns[10]

    async def test_two_albums_and_a_text_between_them_stay_apart(self, store: Store) -> None:
        one = await accept_one(store, chat_turn("a", group_id="first"))
        text = await accept_one(store, chat_turn("hi"))
        two = await accept_one(store, chat_turn("b", group_id="second"))

        assert len({one.turn_id, text.turn_id, two.turn_id}) == 3

    async def test_an_album_joins_what_is_still_gathering(
        self, store: Store, clock: FixedClock
    ) -> None:
        text = await accept_one(store, chat_turn("look", delay_s=0.5))
        first = await accept_one(store, chat_turn("a", delay_s=0.5, group_id="album"))
        clock.advance(0.8)

        second = await accept_one(store, chat_turn("b", delay_s=0.5, group_id="album"))

        assert text.turn_id == first.turn_id == second.turn_id


class TestOnlyWhereWeTalk:
    async def test_elsewhere_not_even_the_event_is_written(self, store: Store) -> None:
        overheard = chat_turn("psst", event=event("1", second_id="C1:1"), needs_session=True)

        accepted = await accept_one(store, overheard)
        same_elsewhere = chat_turn("@bot psst", event=event("2", second_id="C1:1"))
        taken = await accept_one(store, same_elsewhere)

        assert (accepted.is_new, accepted.turn_id, accepted.session_id) == (False, None, None)
        assert taken.is_new
        assert await said_in(store, taken) == ["@bot psst"]

    async def test_where_we_talk_it_is_an_ordinary_message(self, store: Store) -> None:
        claimed = await talk(store, new=chat_turn("@bot hi", address=THREAD))

        accepted = await accept_one(
            store, chat_turn("and now?", address=THREAD, needs_session=True, event=event("2"))
        )
        elsewhere = await accept_one(store, chat_turn("and now?", needs_session=True))

        assert (accepted.is_new, accepted.session_id) == (True, claimed.session.id)
        assert (elsewhere.is_new, elsewhere.turn_id) == (False, None)

    @pytest.mark.parametrize(("reason", "is_taken"), [("new", True), ("closed", False)])
    async def test_a_fresh_start_goes_on_and_an_ended_talk_does_not(
        self, store: Store, *, reason: str, is_taken: bool
    ) -> None:
        await talk(store)
        await accept_one(store, command("/new", ends_session=reason))

        accepted = await accept_one(store, chat_turn("so", needs_session=True))

        assert accepted.is_new == is_taken


@pytest.mark.parametrize(
    ("first", "second"), list(product(["queue", "collect", "interrupt"], repeat=2))
)
async def test_the_mode_may_change_while_messages_wait(
    store: Store, first: str, second: str
) -> None:
    running = await claimed_turn(store)
    modes = [cast(WhenBusy, mode) for mode in (first, second, first, second)]
    await accept(store, *[chat_turn(f"m{n}", when_busy=mode) for n, mode in enumerate(modes)])
    await commit(store, running, TurnOutcome(state="cancelled"))
    answered: list[str] = []
    while claimed := await store.claim(terms(limit=1)):
        own = [one for one in claimed[0].history if one.turn_id == claimed[0].turn.id]
        answered += [one.text for one in own]
        await commit(store, claimed[0])

    assert answered == ["m0", "m1", "m2", "m3"]
