"""Instances, notes, answers to repeats, versions of bots, upkeep."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.domain.policy import Retention
from gateway.errors import Unprocessable
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import ChannelDepth, Instance, StoredAnswer
from gateway.store.protocol.turns import StoredEvent
from tests.store.builders import (
    OTHER_PROJECT,
    PROJECT,
    accept_one,
    api_turn,
    begin_sends,
    chat_turn,
    claimed_turn,
    end_send,
    event,
    repeat_key,
    talk,
    terms,
)
from tests.store.worlds import FixedClock, World

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def instance(name: str, *, beat: datetime = NOON) -> Instance:
    """A process."""
    return Instance(name, "host", "1.0", NOON, beat, {"turns": 3})


def now(clock: FixedClock) -> datetime:
    """The time on the clock."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=clock())


class TestInstances:
    async def test_instances_are_known_by_their_last_heartbeat(self, store: Store) -> None:
        later = NOON + timedelta(seconds=10)
        await store.beat(instance("a"))
        await store.beat(instance("b"))
        await store.beat(instance("a", beat=later))

        assert await store.instances() == [instance("a", beat=later), instance("b")]

    async def test_an_instance_that_stops_is_forgotten(self, store: Store) -> None:
        await store.beat(instance("a"))

        await store.leave("a")

        assert await store.instances() == []


class TestNotes:
    async def test_a_note_is_kept_replaced_and_removed(self, store: Store) -> None:
        await store.keep_note("tg", "cursor", {"n": 1})
        await store.keep_note("tg", "cursor", {"n": 2})

        assert await store.note("tg", "cursor") == {"n": 2}
        assert await store.note("slack", "cursor") is None
        await store.keep_note("tg", "cursor", None)
        assert await store.note("tg", "cursor") is None


class TestAnswers:
    async def test_a_repeat_gets_the_answer_of_the_first(self, store: Store) -> None:
        answer = StoredAnswer(201, {"Location": "/x"}, b"\x00body")
        first = await store.begin_answer(repeat_key("k"))
        meanwhile = await store.begin_answer(repeat_key("k"))
        await store.keep_answer(repeat_key("k"), answer)

        assert first is None
        assert meanwhile is not None
        assert meanwhile.status == 0
        assert await store.begin_answer(repeat_key("k")) == answer

    async def test_a_key_given_free_can_be_used_again(self, store: Store) -> None:
        await store.begin_answer(repeat_key("k"))

        await store.keep_answer(repeat_key("k"), None)

        assert await store.begin_answer(repeat_key("k")) is None

    async def test_a_key_of_another_request_is_refused(self, store: Store) -> None:
        await store.begin_answer(repeat_key("k", body="a"))

        with pytest.raises(Unprocessable):
            await store.begin_answer(repeat_key("k", body="b"))


class TestBotVersions:
    async def test_each_new_configuration_gets_the_next_number(self, store: Store) -> None:
        async def version(digest: str, *, slug: str = "support") -> int:
            return await store.bot_version(PROJECT, slug, digest=digest, config={"of": digest})

        numbers = [await version(digest) for digest in ("a", "b", "a", "c")]

        assert numbers == [1, 2, 1, 3]
        assert await version("c", slug="other") == 1
        other = await store.bot_version(OTHER_PROJECT, "support", digest="a", config={})
        assert other == 1


class TestSweep:
    async def test_what_is_over_its_time_goes_and_the_rest_stays(
        self, store: Store, clock: FixedClock
    ) -> None:
        old = await talk(
            store, new=chat_turn("old", event=event("1"), idempotency=repeat_key("k1"))
        )
        await store.add_events(PROJECT, old.turn.id, [StoredEvent(1, {})])
        clock.advance(40 * 86400)
        new = await talk(
            store, new=chat_turn("new", event=event("2"), idempotency=repeat_key("k2"))
        )
        await store.add_events(PROJECT, new.turn.id, [StoredEvent(1, {})])

        removed = await store.sweep(Retention())

        assert removed == {"turn_event": 1, "inbox": 1, "idempotency": 1}
        assert await store.events(PROJECT, new.turn.id, after=0) != []
        assert not (await accept_one(store, chat_turn(event=event("2")))).is_new
        assert (await accept_one(store, chat_turn(event=event("1")))).is_new

    async def test_copies_and_repeats_are_still_known_a_day_later(
        self, store: Store, clock: FixedClock
    ) -> None:
        first = await talk(
            store, new=chat_turn("hi", event=event("1"), idempotency=repeat_key("k1"))
        )
        clock.advance(86400 - 1)

        await store.sweep(Retention())

        copy = await accept_one(store, chat_turn("hi", event=event("1")))
        repeat = await accept_one(store, api_turn("hi", idempotency=repeat_key("k1")))
        assert (copy.is_new, copy.turn_id) == (False, first.turn.id)
        assert (repeat.is_new, repeat.turn_id) == (False, first.turn.id)

    async def test_messages_are_kept_for_ever_unless_a_time_is_set(
        self, store: Store, clock: FixedClock
    ) -> None:
        old = await talk(store, new=api_turn("old"))
        unfinished = await claimed_turn(store, api_turn("runs"))
        clock.advance(40 * 86400)
        new = await talk(store, new=chat_turn("new"))

        kept = await store.sweep(Retention())
        removed = await store.sweep(Retention(messages_days=30))

        assert "session" not in kept
        assert removed["session"] == 1
        assert await store.session(PROJECT, old.session.id) is None
        assert await store.session(PROJECT, new.session.id) is not None
        assert await store.session(PROJECT, unfinished.session.id) is not None

    async def test_a_call_removes_a_bounded_number_of_rows(
        self, store: Store, clock: FixedClock
    ) -> None:
        claimed = await claimed_turn(store)
        events = [StoredEvent(number, {}) for number in range(1200)]
        await store.add_events(PROJECT, claimed.turn.id, events)
        clock.advance(2 * 86400)

        counts = [(await store.sweep(Retention())).get("turn_event", 0) for _ in range(4)]

        assert counts == [500, 500, 200, 0]

    async def test_zero_keeps_for_ever(self, store: Store, clock: FixedClock) -> None:
        await talk(store, new=chat_turn(event=event("1")))
        clock.advance(1000 * 86400)

        assert await store.sweep(Retention(inbox_days=0)) == {}


class TestDepth:
    async def test_what_waits_is_counted_by_channel_of_a_project(self, store: Store) -> None:
        await talk(store, parts=2)
        await accept_one(store, chat_turn("more"))
        await accept_one(store, api_turn("by a call"))
        await accept_one(store, chat_turn("elsewhere", project_id=OTHER_PROJECT))

        assert await store.depth_by_channel(PROJECT) == {
            "tg": ChannelDepth(turns=1, deliveries=2),
            "api": ChannelDepth(turns=1),
        }
        assert await store.depth_by_channel(OTHER_PROJECT) == {"tg": ChannelDepth(turns=1)}

    async def test_what_waits_is_counted(self, store: Store, clock: FixedClock) -> None:
        await talk(store, parts=2)
        (first,) = await begin_sends(store)
        await end_send(store, first, "held")
        await claimed_turn(store)
        before = now(clock)
        await accept_one(store, chat_turn("two"))

        depth = await store.depth()

        assert (depth.queued_turns, depth.running_turns, depth.waiting_turns) == (1, 1, 0)
        assert depth.deliveries == {"held": 1, "dead": 1}
        assert depth.oldest_queued_at is not None
        assert depth.oldest_queued_at > before


class TestOthers:
    async def test_a_turn_of_another_process_can_be_claimed(
        self, store: Store, world: World
    ) -> None:
        async with world.open() as other:
            await accept_one(other, chat_turn("from beside"))

        claimed = await store.claim(terms())

        assert [one.history[-1].text for one in claimed] == ["from beside"]

    async def test_ping_writes_and_reads(self, store: Store, world: World) -> None:
        before = world.execute("SELECT at FROM pulse")

        await store.ping()

        assert world.execute("SELECT at FROM pulse") > before
