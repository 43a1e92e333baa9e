"""Dead letters in the store: found, sent again, dropped, and every decision kept."""

from datetime import UTC, datetime

from gateway.contract import Address
from gateway.domain.delivery import Delivery
from gateway.store.protocol import Store
from gateway.store.protocol.dead_letters import DeadLetterFilter
from gateway.store.protocol.inbox import KeepUnreadable
from tests.store.builders import (
    PROJECT,
    accept_one,
    begin_sends,
    chat_turn,
    delivery_of,
    end_send,
    event,
    talk,
)
from tests.store.worlds import FixedClock

A = Address("tg", "100")
B = Address("tg", "200")
SLACK = Address("slack", "C1")


async def given_up(
    store: Store, text: str, *, state: str = "dead", address: Address = A
) -> Delivery:
    """A reply of one part that ended in a state."""
    await talk(store, parts=1, new=chat_turn(text, address=address))
    (part,) = await begin_sends(store, channels=(address.channel,))
    await end_send(store, part, state, error=f"why {text}")
    return part


async def unreadable(store: Store, event_id: str) -> None:
    """An event that nobody could read."""
    arrived = event(event_id)
    entry = KeepUnreadable(project_id=PROJECT, event=arrived, raw=b"{", reason="no JSON")
    await accept_one(store, entry)


class TestListing:
    async def test_the_last_one_given_up_comes_first(self, store: Store, clock: FixedClock) -> None:
        first = await given_up(store, "one")
        clock.advance(60)
        second = await given_up(store, "two", state="held")

        found = await store.dead_deliveries(DeadLetterFilter())

        assert [dead.delivery.id for dead in found] == [second.id, first.id]
        assert found[0].since > found[1].since
        assert found[0].delivery.error == "why two"

    async def test_parts_are_narrowed_by_state_channel_and_number(self, store: Store) -> None:
        dead = await given_up(store, "one")
        held = await given_up(store, "two", state="held", address=SLACK)
        await given_up(store, "three", state="sent", address=B)

        by_state = await store.dead_deliveries(DeadLetterFilter(states=frozenset({"held"})))
        by_channel = await store.dead_deliveries(DeadLetterFilter(channel="tg"))
        one = await store.dead_deliveries(DeadLetterFilter(limit=1, oldest_first=True))

        assert [each.delivery.id for each in by_state] == [held.id]
        assert [each.delivery.id for each in by_channel] == [dead.id]
        assert [each.delivery.id for each in one] == [dead.id]

    async def test_an_unreadable_event_is_listed_with_its_bytes(self, store: Store) -> None:
        await unreadable(store, "1")
        await unreadable(store, "2")

        newest, oldest = await store.unreadable_events(limit=10)

        assert (newest.event_id, oldest.event_id) == ("2", "1")
        assert (newest.raw, newest.reason) == (b"{", "no JSON")
        assert newest.received_at == datetime(2026, 1, 1, tzinfo=UTC)


class TestReplaying:
    async def test_what_goes_along_is_known_before(self, store: Store) -> None:
        await talk(store, "one", parts=3)
        (first,) = await begin_sends(store)
        await end_send(store, first, "dead")
        cut_off = await store.cut_off(first.id)

        await store.replay(PROJECT, first.id, to="pending")
        sent = []
        waiting = await begin_sends(store)
        while waiting:
            sent.append(waiting[0].id)
            waiting = await end_send(store, waiting[0])

        assert sent == [first.id, *cut_off]

    async def test_an_expired_part_has_all_its_time_again(
        self, store: Store, clock: FixedClock
    ) -> None:
        part = await given_up(store, "one", state="expired")
        clock.advance(90_000)

        again = await store.replay(PROJECT, part.id, to="pending")

        assert again is not None
        assert (again.created_at - part.created_at).total_seconds() > 90_000
        assert again.attempts == 0

    async def test_only_what_was_given_up_can_be_replayed(self, store: Store) -> None:
        sent = await given_up(store, "one", state="sent")

        assert await store.replay(PROJECT, sent.id, to="pending") is None
        assert await store.cut_off("dlv_none") == []


class TestDropping:
    async def test_a_dropped_part_stays_in_history_as_cancelled(self, store: Store) -> None:
        part = await given_up(store, "one", state="held")

        await store.replay(PROJECT, part.id, to="cancelled")

        kept = await delivery_of(store, part.id)
        assert (kept.state, kept.error) == ("cancelled", "given up by an operator")
        assert await store.dead_deliveries(DeadLetterFilter()) == []

    async def test_a_dropped_event_is_kept_and_not_listed(self, store: Store) -> None:
        await unreadable(store, "1")
        (one,) = await store.unreadable_events(limit=1)

        was_dropped = await store.drop_event(one.id), await store.drop_event(one.id)
        kept = await store.unreadable_event(one.id)

        assert was_dropped == (True, False)
        assert kept is not None
        assert (kept.is_dropped, kept.raw) == (True, b"{")
        assert await store.unreadable_events(limit=10) == []

    async def test_the_copy_of_a_dropped_event_is_still_known(self, store: Store) -> None:
        await unreadable(store, "1")
        (one,) = await store.unreadable_events(limit=1)
        await store.drop_event(one.id)

        await unreadable(store, "1")

        assert await store.unreadable_events(limit=10) == []

    async def test_an_id_of_something_else_drops_nothing(self, store: Store) -> None:
        await accept_one(store, chat_turn(event=event("1")))

        assert not await store.drop_event("evt_1")
        assert not await store.drop_event("evt_x")
        assert await store.unreadable_event("evt_1") is None


class TestDecisions:
    async def test_what_was_decided_is_kept_with_what_was_before(self, store: Store) -> None:
        part = await given_up(store, "one", state="expired")

        await store.replay(PROJECT, part.id, to="pending")
        (again,) = await begin_sends(store)
        await end_send(store, again, "held")
        await store.replay(PROJECT, part.id, to="cancelled")

        first, second = await store.decisions([part.id])
        assert first.action == "delivery_replayed"
        assert first.detail == {"state": "expired", "error": "why one", "attempts": 1}
        assert second.action == "delivery_dropped"
        assert second.detail["state"] == "held"

    async def test_parts_that_went_along_have_their_own_record(self, store: Store) -> None:
        await talk(store, "one", parts=2)
        (first,) = await begin_sends(store)
        await end_send(store, first, "dead")

        (second,) = await store.cut_off(first.id)
        await store.replay(PROJECT, first.id, to="pending")

        (decided,) = await store.decisions([second])
        assert decided.detail["error"] == "earlier_part"
