"""T4 and T5: lanes, retries, doubt, dead letters, and an operator's word on them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.contract import Address
from gateway.domain.delivery import Delivery
from gateway.domain.ids import DeliveryId
from gateway.store.protocol import Store
from gateway.store.protocol.outbox import DeliveryFilter, SendResult
from tests.store.builders import (
    OTHER_PROJECT,
    PROJECT,
    accept_one,
    begin_sends,
    chat_turn,
    claimed_turn,
    command,
    commit,
    delivery_of,
    end_send,
    event,
    part,
    reply,
    said,
    talk,
)
from tests.store.worlds import FixedClock

B = Address("tg", "200")


def at(clock: FixedClock, seconds: float) -> datetime:
    """So many seconds from now."""
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=clock())
    return now + timedelta(seconds=seconds)


def all_said(deliveries: list[Delivery]) -> list[str]:
    """The texts of parts."""
    return [said(delivery) for delivery in deliveries]


class TestLanes:
    async def test_a_committed_reply_is_sent_with_everything_its_channel_needs(
        self, store: Store
    ) -> None:
        claimed = await talk(store, "hi", parts=1)

        (delivery,) = await begin_sends(store)

        assert (delivery.state, delivery.attempts, said(delivery)) == ("sending", 1, "re: hi 0")
        assert (delivery.address, delivery.account) == (claimed.session.address, "bot1")
        assert (delivery.turn_id, delivery.session_id) == (claimed.turn.id, claimed.session.id)
        assert delivery.sent_started_at is not None

    async def test_the_end_of_a_part_begins_the_next_one(self, store: Store) -> None:
        await talk(store, "hi", parts=3)
        (first,) = await begin_sends(store)

        (second,) = await end_send(store, first)
        (third,) = await end_send(store, second)
        nothing = await end_send(store, third)

        assert all_said([first, second, third]) == ["re: hi 0", "re: hi 1", "re: hi 2"]
        assert nothing == []
        assert await begin_sends(store) == []

    async def test_nothing_of_a_lane_leaves_while_an_earlier_part_is_sent(
        self, store: Store
    ) -> None:
        await talk(store, "one", parts=1)
        await begin_sends(store)
        await talk(store, "two", parts=1)

        assert await begin_sends(store) == []

    async def test_a_part_that_is_tried_again_keeps_its_lane_in_order(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, "one", parts=1)
        await talk(store, "two", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "pending", again_in_s=5)

        early = await begin_sends(store)
        clock.advance(6)
        (again,) = await begin_sends(store)
        (following,) = await end_send(store, again)

        assert early == []
        assert (again.id, again.attempts) == (first.id, 2)
        assert said(following) == "re: two 0"

    async def test_a_lane_keeps_its_order_over_sessions(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, "old", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "pending", again_in_s=5)
        await accept_one(store, command("/new", ends_session="new"))
        await talk(store, "new", parts=1)

        early = await begin_sends(store)
        clock.advance(6)
        (again,) = await begin_sends(store)

        assert early == []
        assert said(again) == "re: old 0"

    async def test_lanes_do_not_wait_for_each_other(self, store: Store) -> None:
        await talk(store, "a", parts=2)
        await talk(store, parts=2, new=chat_turn("b", address=B))

        begun = await begin_sends(store)

        assert {delivery.address.chat for delivery in begun} == {"100", "200"}

    async def test_only_the_asked_channels_and_the_limit_are_begun(self, store: Store) -> None:
        for number in range(5):
            address = Address("tg" if number else "sms", str(number))
            await talk(store, parts=1, new=chat_turn(address=address))

        begun = await begin_sends(store, channels=("tg",), limit=3)

        assert [delivery.address.channel for delivery in begun] == ["tg"] * 3

    async def test_answers_to_commands_pass_a_lane_that_waits(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, "one", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "pending", again_in_s=600)

        await accept_one(store, command("/status", deliveries=(part("a"), part("b", number=1))))
        (answer,) = await begin_sends(store)
        (second,) = await end_send(store, answer)

        assert (said(answer), said(second)) == ("a", "b")
        assert answer.is_command_answer

    async def test_answers_to_commands_leave_one_after_the_other(self, store: Store) -> None:
        for text in ("/a", "/b"):
            await accept_one(store, command(text, deliveries=(part(text),)))

        (first,) = await begin_sends(store)
        meanwhile = await begin_sends(store)
        await end_send(store, first)
        (second,) = await begin_sends(store)

        assert (said(first), meanwhile, said(second)) == ("/a", [], "/b")

    async def test_an_answer_to_a_command_passes_one_that_is_to_be_tried_again(
        self, store: Store
    ) -> None:
        for text in ("/a", "/b"):
            await accept_one(store, command(text, deliveries=(part(text),)))
        (first,) = await begin_sends(store)
        await end_send(store, first, "pending", again_in_s=600)

        (second,) = await begin_sends(store)

        assert said(second) == "/b"

    async def test_what_nobody_else_was_told_to_send_is_not_sent_twice(self, store: Store) -> None:
        await talk(store, "hi", parts=1)

        first = await begin_sends(store, owner="a")
        second = await begin_sends(store, owner="b")

        assert (len(first), second) == (1, [])


class TestEnds:
    async def test_a_sent_part_keeps_the_platforms_id(self, store: Store) -> None:
        await talk(store, "hi", parts=1)
        (delivery,) = await begin_sends(store)

        await end_send(store, delivery, provider_id="55")

        stored = await delivery_of(store, delivery.id)
        assert (stored.state, stored.provider_id, stored.next_at) == ("sent", "55", None)

    async def test_an_end_by_somebody_else_changes_nothing(self, store: Store) -> None:
        await talk(store, "hi", parts=2)
        (delivery,) = await begin_sends(store)

        following = await end_send(store, delivery, owner="other")

        assert following == []
        assert (await delivery_of(store, delivery.id)).state == "sending"

    async def test_an_end_told_twice_changes_nothing_more(self, store: Store) -> None:
        await talk(store, "hi", parts=1)
        (delivery,) = await begin_sends(store)
        await end_send(store, delivery)

        await end_send(store, delivery, "dead")

        assert (await delivery_of(store, delivery.id)).state == "sent"

    async def test_a_throttled_try_is_taken_back(self, store: Store, clock: FixedClock) -> None:
        await talk(store, "hi", parts=1)
        (delivery,) = await begin_sends(store)

        await end_send(store, delivery, "pending", again_in_s=3, counts=False)

        assert (await delivery_of(store, delivery.id)).attempts == 0

    @pytest.mark.parametrize("end", ["dead", "expired", "held"])
    async def test_later_parts_of_a_turn_end_with_an_earlier_one(
        self, store: Store, end: str
    ) -> None:
        await talk(store, "one", parts=3)
        await talk(store, "two", parts=1)
        (first,) = await begin_sends(store)

        (following,) = await end_send(store, first, end, error="refused")

        states = [(one.state, one.error) for one in await _deliveries(store)]
        assert states == [
            (end, "refused"),
            ("dead", "earlier_part"),
            ("dead", "earlier_part"),
            ("sending", None),
        ]
        assert said(following) == "re: two 0"

    async def test_a_refused_address_is_told_nothing_more(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        await talk(store, "two", parts=1)
        (first,) = await begin_sends(store)

        following = await end_send(store, first, "dead", error="blocked", scope="address")
        await commit(
            store,
            await claimed_turn(store, chat_turn(kind="prompt", message=None)),
            reply("three", parts=1),
        )

        assert following == []
        states = [(one.state, one.error) for one in await _deliveries(store)]
        assert states == [
            ("dead", "blocked"),
            ("cancelled", "unreachable"),
            ("cancelled", "unreachable"),
        ]

    async def test_a_person_who_writes_again_can_be_reached_again(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "dead", error="blocked", scope="address")

        await talk(store, parts=1, new=chat_turn("back", event=event("9")))

        assert all_said(await begin_sends(store)) == ["re: back 0"]


class TestBlocks:
    async def test_a_blocked_address_waits_with_all_it_has(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, "one", parts=2)
        (first,) = await begin_sends(store)

        following = await end_send(store, first, blocked_s=10, scope="address")
        await accept_one(store, command("/status", deliveries=(part("status"),)))

        assert following == []
        assert await begin_sends(store) == []
        clock.advance(11)
        assert sorted(all_said(await begin_sends(store))) == ["re: one 1", "status"]

    async def test_a_blocked_address_holds_up_no_other(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, "one", parts=2)
        await talk(store, parts=1, new=chat_turn("b", address=B))
        first, other = await begin_sends(store)

        await end_send(store, first, blocked_s=10, scope="address")

        assert (await end_send(store, other)) == []
        await talk(store, parts=1, new=chat_turn("c", address=B))
        assert all_said(await begin_sends(store)) == ["re: c 0"]

    async def test_a_blocked_account_holds_up_all_its_addresses(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, "a", parts=1)
        await talk(store, parts=1, new=chat_turn("b", address=B))
        (first,) = await begin_sends(store, limit=1)
        await end_send(
            store,
            first,
            "pending",
            again_in_s=10,
            blocked_s=10,
            scope="account",
            counts=False,
        )
        await talk(store, parts=1, new=chat_turn("c", address=Address("tg", "300")))
        other_account = chat_turn("d", address=Address("tg", "400"), account="bot2")
        await talk(store, parts=1, new=other_account)

        assert all_said(await begin_sends(store)) == ["re: d 0"]
        clock.advance(11)
        assert sorted(all_said(await begin_sends(store))) == ["re: a 0", "re: b 0", "re: c 0"]


class TestDoubt:
    async def test_sends_of_a_dead_owner_become_doubtful(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        (delivery,) = await begin_sends(store, owner="dead")

        assert await store.doubt_abandoned(living=["me"]) == 1
        (doubtful,) = await store.ambiguous(limit=10)

        assert (doubtful.id, doubtful.state) == (delivery.id, "ambiguous")
        assert doubtful.sent_started_at == delivery.sent_started_at

    async def test_sends_of_a_living_owner_are_left_alone(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        await begin_sends(store)

        assert await store.doubt_abandoned(living=["me"]) == 0

    async def test_a_doubtful_part_blocks_its_lane_until_it_is_decided(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        await talk(store, "two", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "ambiguous")

        blocked = await begin_sends(store)
        following = await end_send(store, first, "sent", owner="anybody")

        assert blocked == []
        assert all_said(following) == ["re: two 0"]

    async def test_a_doubtful_part_may_be_sent_again(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "ambiguous")

        (again,) = await end_send(store, first, "pending")

        assert (again.id, again.state, again.attempts) == (first.id, "sending", 2)

    async def test_a_doubtful_part_is_asked_about_only_when_it_is_due(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, "one", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "ambiguous", again_in_s=30)

        early = await store.ambiguous(limit=10)
        clock.advance(31)

        assert early == []
        assert [one.id for one in await store.ambiguous(limit=10)] == [first.id]


class TestStranded:
    async def test_what_no_channel_can_send_is_given_up_when_its_time_is_over(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, "doubtful", parts=2)
        (doubtful,) = await begin_sends(store)
        await end_send(store, doubtful, "ambiguous")
        waiting = await talk(store, "waiting", parts=2, new=chat_turn("waiting", address=B))
        clock.advance(60)
        await talk(store, "young", parts=1)

        early = await store.expire_stranded(connected=frozenset(), after_s=70)
        late = await store.expire_stranded(connected={"another"}, after_s=60)

        assert (early, late) == (0, 2)
        assert (await delivery_of(store, doubtful.id)).state == "held"
        which = DeliveryFilter(turn_id=waiting.turn.id)
        assert [one.state for one in await store.deliveries(which)] == ["expired", "dead"]
        assert all_said(await begin_sends(store)) == ["re: young 0"]
        assert await store.verify() == []

    async def test_what_a_connected_channel_may_still_send_is_left_to_it(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, "old", parts=1)
        clock.advance(1_000_000)

        assert await store.expire_stranded(connected={"tg"}, after_s=60) == 0
        assert all_said(await begin_sends(store)) == ["re: old 0"]


class TestOperators:
    async def test_a_dead_part_is_replayed_with_the_parts_it_took_along(self, store: Store) -> None:
        await talk(store, "one", parts=3)
        (first,) = await begin_sends(store)
        await end_send(store, first, "dead")

        replayed = await store.replay(PROJECT, first.id, to="pending")
        sent = []
        waiting = await begin_sends(store)
        while waiting:
            sent.append(waiting[0])
            waiting = await end_send(store, waiting[0])

        assert replayed is not None
        assert replayed.state == "pending"
        assert all_said(sent) == ["re: one 0", "re: one 1", "re: one 2"]

    async def test_a_replayed_part_goes_behind_what_waits(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "dead")
        await talk(store, "two", parts=1)

        await store.replay(PROJECT, first.id, to="pending")
        (second,) = await begin_sends(store)
        (third,) = await end_send(store, second)

        assert all_said([second, third]) == ["re: two 0", "re: one 0"]

    async def test_a_held_part_can_be_given_up(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "held")

        given_up = await store.replay(PROJECT, first.id, to="cancelled")

        assert given_up is not None
        assert given_up.state == "cancelled"
        assert await store.replay(PROJECT, first.id, to="pending") is None

    async def test_a_part_of_another_project_cannot_be_touched(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        (first,) = await begin_sends(store)
        await end_send(store, first, "dead")

        assert await store.replay(OTHER_PROJECT, first.id, to="pending") is None
        assert await store.replay(PROJECT, DeliveryId("dlv_none"), to="pending") is None

    async def test_deliveries_are_listed_by_what_is_asked(self, store: Store) -> None:
        first = await talk(store, "one", parts=2)
        await talk(store, parts=1, new=chat_turn("b", address=B))
        (begun, _) = await begin_sends(store)
        await end_send(store, begun, "dead")

        dead = await _deliveries(store, states=frozenset({"dead"}))
        of_turn = await _deliveries(store, turn_id=first.turn.id)
        of_session = await _deliveries(store, session_id=first.session.id, limit=1)
        of_others = await _deliveries(store, project_id=OTHER_PROJECT)

        assert [one.state for one in dead] == ["dead", "dead"]
        assert all_said(of_turn) == ["re: one 0", "re: one 1"]
        assert all_said(of_session) == ["re: one 0"]
        assert of_others == []


async def test_results_of_several_lanes_are_ended_together(store: Store) -> None:
    await talk(store, "a", parts=2)
    await talk(store, parts=2, new=chat_turn("b", address=B))
    begun = await begin_sends(store)

    results = [SendResult(delivery_id=one.id, state="sent") for one in begun]
    following = await store.end_sends(results, owner="me")

    assert sorted(all_said(following)) == ["re: a 1", "re: b 1"]


async def _deliveries(store: Store, **which: Any) -> list[Delivery]:
    return await store.deliveries(DeliveryFilter(**which))
