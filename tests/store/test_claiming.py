"""T2: who works on which session, in which order, and what a lease is worth."""

import asyncio

import pytest

from gateway.contract import Address
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import ClaimedTurn
from gateway.errors import Unprocessable
from gateway.store.protocol import Store
from tests.store.builders import (
    OTHER_PROJECT,
    PROJECT,
    accept,
    accept_one,
    api_turn,
    chat_turn,
    claim_one,
    claimed_turn,
    command,
    commit,
    message,
    reply,
    state_of,
    talk,
    terms,
)
from tests.store.worlds import FixedClock, World


class TestOrder:
    async def test_the_session_that_waits_longest_is_claimed_first(self, store: Store) -> None:
        for chat in "abc":
            await accept_one(store, chat_turn(address=Address("tg", chat)))

        claimed = await store.claim(terms(limit=2))

        assert [_chat(one) for one in claimed] == ["a", "b"]

    async def test_turns_of_a_session_run_one_at_a_time_in_accept_order(self, store: Store) -> None:
        for text in ("one", "two", "three"):
            await accept_one(store, chat_turn(text))

        ran = []
        while claimed := await store.claim(terms()):
            assert len(claimed) == 1
            ran.append(claimed[0].history[-1].text)
            await commit(store, claimed[0])

        assert ran == ["one", "two", "three"]

    async def test_a_session_goes_to_the_tail_after_each_turn(self, store: Store) -> None:
        await accept(store, *(chat_turn(f"n{number}") for number in range(3)))
        await accept_one(store, chat_turn("quiet", address=Address("tg", "quiet")))

        first = await claim_one(store)
        await commit(store, first)
        second = await claim_one(store)

        assert (_chat(first), _chat(second)) == ("100", "quiet")

    async def test_who_writes_again_keeps_the_place_in_line(
        self, store: Store, clock: FixedClock
    ) -> None:
        await accept_one(store, chat_turn("hello?"))
        clock.advance(1)
        await accept_one(store, chat_turn("quiet", address=Address("tg", "quiet")))
        clock.advance(1)
        await accept_one(store, chat_turn("hello??"))

        assert _chat(await claim_one(store)) == "100"

    async def test_the_order_of_the_source_goes_first_among_queued_turns(
        self, store: Store
    ) -> None:
        running = await claimed_turn(store, chat_turn("now", source_order=1))
        await accept_one(store, chat_turn("late", source_order=9))
        await accept_one(store, chat_turn("early", source_order=5))

        await commit(store, running)

        assert (await claim_one(store)).history[-1].text == "early"

    async def test_a_turn_that_was_begun_goes_before_an_earlier_one_of_the_source(
        self, store: Store
    ) -> None:
        running = await claimed_turn(store, chat_turn("begun", source_order=9))
        await accept_one(store, chat_turn("earlier", source_order=1))

        await commit(store, running, reply(state="queued", messages=()))

        assert (await claim_one(store)).history[-1].text == "begun"

    async def test_concurrent_claims_share_no_session(self, store: Store) -> None:
        for number in range(30):
            await accept_one(store, chat_turn(address=Address("tg", str(number))))

        found = await asyncio.gather(*(store.claim(terms(f"w{n}", limit=7)) for n in range(6)))

        sessions = [one.session.id for claimed in found for one in claimed]
        assert len(sessions) == len(set(sessions)) == 30


class TestShares:
    async def test_a_busy_project_leaves_half_of_the_slots_to_others(self, store: Store) -> None:
        for _ in range(8):
            await accept_one(store, api_turn())
        for _ in range(2):
            await accept_one(store, api_turn(project_id=OTHER_PROJECT))

        claimed = await store.claim(terms(limit=4, limits=QueueLimits(turns=4)))

        projects = [one.turn.project_id for one in claimed]
        assert projects.count(OTHER_PROJECT) == 2

    async def test_a_project_alone_gets_every_slot(self, store: Store) -> None:
        for _ in range(8):
            await accept_one(store, api_turn())

        claimed = await store.claim(terms(limit=4, limits=QueueLimits(turns=4)))

        assert len(claimed) == 4

    async def test_a_set_share_holds_even_alone(self, store: Store) -> None:
        for _ in range(8):
            await accept_one(store, api_turn())
        limits = QueueLimits(turns=4, turns_per_project=1)

        first = await store.claim(terms(limit=4, limits=limits))
        second = await store.claim(terms(limit=4, limits=limits))

        assert (len(first), len(second)) == (1, 0)


class TestLeases:
    async def test_a_session_whose_lease_expired_is_taken_over(
        self, store: Store, clock: FixedClock
    ) -> None:
        lost = await claimed_turn(store)
        clock.advance(31)

        taken = await claim_one(store, "other")

        assert taken.turn.id == lost.turn.id
        assert (taken.turn.attempts, taken.turn.crash_count) == (2, 2)
        assert taken.lease.epoch > lost.lease.epoch

    async def test_nobody_takes_a_session_whose_lease_holds(
        self, store: Store, clock: FixedClock
    ) -> None:
        await claimed_turn(store)
        clock.advance(29)

        assert await store.claim(terms("other")) == []

    async def test_a_heartbeat_prolongs_a_lease(self, store: Store, clock: FixedClock) -> None:
        claimed = await claimed_turn(store)
        for _ in range(5):
            clock.advance(20)
            assert not (await store.heartbeat([claimed.lease], lease_s=30)).lost

        assert await store.claim(terms("other")) == []

    async def test_a_heartbeat_tells_what_was_lost(self, store: Store, clock: FixedClock) -> None:
        claimed = await claimed_turn(store)
        clock.advance(31)
        await claim_one(store, "other")

        news = await store.heartbeat([claimed.lease], lease_s=30)

        assert news.lost == {claimed.session.id}

    async def test_the_commit_of_a_lost_lease_changes_nothing(
        self, store: Store, clock: FixedClock
    ) -> None:
        lost = await claimed_turn(store)
        clock.advance(31)
        taken = await claim_one(store, "other")

        fenced = await commit(store, lost, reply("too late", parts=1))
        kept = await commit(store, taken, reply("in time"))

        assert (fenced.is_committed, fenced.has_deliveries) == (False, False)
        assert kept.turn is not None
        assert [one.text for one in kept.turn.messages] == ["hi", "in time"]

    async def test_the_same_owner_is_fenced_by_its_own_newer_claim(
        self, store: Store, clock: FixedClock
    ) -> None:
        lost = await claimed_turn(store)
        clock.advance(31)
        await claim_one(store)

        assert not (await commit(store, lost)).is_committed

    async def test_a_lease_that_expired_and_was_not_taken_still_commits(
        self, store: Store, clock: FixedClock
    ) -> None:
        claimed = await claimed_turn(store)
        clock.advance(300)

        assert (await commit(store, claimed)).is_committed

    async def test_sessions_of_a_dead_owner_are_released_at_once(self, store: Store) -> None:
        dead = await claimed_turn(store)
        living = await claimed_turn(store, chat_turn(address=Address("tg", "other")))
        living_lease = living.lease

        released = await store.release_abandoned(living=["someone"])
        taken = await store.claim(terms("new"))

        assert released == 2
        assert {one.turn.id for one in taken} == {dead.turn.id, living.turn.id}
        assert (await store.heartbeat([living_lease], lease_s=30)).lost

    async def test_sessions_of_a_living_owner_are_left_alone(self, store: Store) -> None:
        await claimed_turn(store)

        assert await store.release_abandoned(living=["me"]) == 0
        assert await store.claim(terms("other")) == []

    async def test_every_claim_counts_until_the_turn_ends_cleanly(
        self, store: Store, clock: FixedClock
    ) -> None:
        await accept_one(store, chat_turn())
        counts = []
        for _ in range(3):
            claimed = await claim_one(store)
            counts.append(claimed.turn.crash_count)
            clock.advance(31)
        claimed = await claim_one(store)
        await commit(store, claimed, reply(state="queued", messages=()))

        again = await claim_one(store)

        assert counts == [1, 2, 3]
        assert (again.turn.crash_count, again.turn.attempts) == (1, 5)

    async def test_a_turn_that_was_to_stop_is_not_taken_over(
        self, store: Store, clock: FixedClock
    ) -> None:
        claimed = await claimed_turn(store)
        second = await accept_one(store, chat_turn("two"))
        await store.request_cancel(PROJECT, claimed.turn.id)
        clock.advance(31)

        taken = await claim_one(store, "other")

        assert taken.turn.id == second.turn_id
        assert await state_of(store, claimed.turn.id) == "cancelled"


class TestWindows:
    async def test_a_turn_sees_the_newest_messages_oldest_first(self, store: Store) -> None:
        for number in range(4):
            await talk(store, f"m{number}")
        await accept_one(store, chat_turn("last"))

        claimed = await claim_one(store, history_messages=3)

        assert [one.text for one in claimed.history] == ["m3", "re: m3", "last"]

    async def test_later_queued_messages_are_not_seen_and_own_ones_come_last(
        self, store: Store
    ) -> None:
        running = await claimed_turn(store, chat_turn("one"))
        await accept_one(store, chat_turn("two"))
        await accept_one(store, chat_turn("three"))
        await commit(store, running, reply("re: one"))

        second = await claim_one(store)

        assert [one.text for one in second.history] == ["one", "re: one", "two"]

    @pytest.mark.parametrize("window", [1, 2, 3, 7, 16, 20, 100])
    async def test_the_window_is_the_same_however_it_is_read(
        self, store: Store, world: World, window: int
    ) -> None:
        """Long talks are kept in memory: what a turn sees must not depend on that."""
        for number in range(30):
            await talk(store, f"m{number}")
            if number % 7 == 3:
                answer = (message("status", "assistant"),)
                await accept_one(store, command("/status", messages=answer))
        await accept_one(store, chat_turn("last"))
        warm = await claim_one(store, history_messages=window)
        await store.release_abandoned(living=[])

        async with world.open() as fresh:
            cold = await claim_one(fresh, "fresh", history_messages=window)

        assert warm.history == cold.history
        assert len(warm.history) == min(window, 69)

    async def test_a_deleted_session_leaves_nothing_to_the_next_of_its_id(
        self, store: Store
    ) -> None:
        for number in range(20):
            last = await talk(store, f"m{number}")
        await store.delete_session(PROJECT, last.session.id)

        claimed = await claimed_turn(
            store, chat_turn("fresh", session_id=last.session.id, fresh_session=True)
        )

        assert [one.text for one in claimed.history] == ["fresh"]

    async def test_what_an_undone_group_had_read_is_forgotten(self, store: Store) -> None:
        for number in range(20):
            await talk(store, f"m{number}")

        with pytest.raises(Unprocessable):
            await accept(store, chat_turn("undone"), api_turn("bad\0"), claim=terms())
        claimed = await claimed_turn(store, chat_turn("kept"))

        assert [one.text for one in claimed.history][-2:] == ["re: m19", "kept"]


def _chat(claimed: ClaimedTurn) -> str:
    assert claimed.session.address is not None
    return claimed.session.address.chat
