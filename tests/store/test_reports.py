"""Platforms' later words on deliveries, in any order and any number of times."""

from itertools import permutations
from typing import Any

import pytest

from gateway.domain.delivery import Delivery
from gateway.store.protocol import Store
from gateway.store.protocol.history import Page
from gateway.store.protocol.inbox import ReportDelivery
from gateway.store.protocol.turns import Committed
from tests.store.builders import (
    ACCOUNT,
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
from tests.store.test_notices import NEW_CHAT, move, reachability
from tests.store.worlds import FixedClock

AGAIN_S = 600.0
_STEPS = ["sent", "delivered", "read"]


def report(status: Any, event_id: str, **fields: Any) -> ReportDelivery:
    """A platform's word on a delivery."""
    return ReportDelivery(
        project_id=PROJECT, event=event(event_id), account=ACCOUNT, status=status, **fields
    )


async def sent(store: Store, *, parts: int = 1, provider_id: str = "SM1") -> Delivery:
    """The first part of a reply, taken by the platform."""
    await talk(store, "one", parts=parts)
    (delivery,) = await begin_sends(store)
    await end_send(store, delivery, provider_id=provider_id)
    return delivery


async def fail(store: Store, delivery: Delivery, event_id: str, **fields: Any) -> None:
    """The platform reports that it could not deliver it; worth another try unless told."""
    values: dict[str, Any] = {"delivery_id": delivery.id, "again_in_s": AGAIN_S, "error": "30003"}
    await accept_one(store, report("failed", event_id, **{**values, **fields}))


@pytest.mark.proves("TW-35")
@pytest.mark.parametrize("order", list(permutations(_STEPS)), ids="-".join)
async def test_tw_35_reports_move_forward_in_whatever_order_they_come(
    store: Store, order: tuple[str, ...]
) -> None:
    delivery = await sent(store)

    best, seen, expected = 0, [], []
    for number, status in enumerate((*order, *order)):
        await accept_one(store, report(status, f"s{number}", delivery_id=delivery.id))
        best = max(best, _STEPS.index(status))
        seen.append((await delivery_of(store, delivery.id)).receipt)
        expected.append([None, "delivered", "read"][best])

    assert seen == expected


@pytest.mark.proves("TW-35")
@pytest.mark.parametrize("before", [[], ["sent"]], ids=["at once", "after sent"])
async def test_tw_35_a_failure_ends_it_and_nothing_follows(store: Store, before: list[str]) -> None:
    delivery = await sent(store)
    for number, status in enumerate([*before, "failed", "delivered", "sent", "read", "failed"]):
        await accept_one(store, report(status, f"s{number}", delivery_id=delivery.id, error="e"))

    stored = await delivery_of(store, delivery.id)

    assert (stored.state, stored.receipt, stored.error) == ("dead", "failed", "e")


async def test_a_failure_after_it_was_delivered_is_no_news(store: Store) -> None:
    delivery = await sent(store)
    await accept_one(store, report("delivered", "s1", delivery_id=delivery.id))

    await fail(store, delivery, "s2")

    stored = await delivery_of(store, delivery.id)
    assert (stored.state, stored.receipt) == ("sent", "delivered")


async def test_a_failed_part_is_sent_once_more_after_its_time(
    store: Store, clock: FixedClock
) -> None:
    delivery = await sent(store)

    await fail(store, delivery, "s1")

    shown = await store.messages(PROJECT, delivery.session_id, page=Page(limit=10, order="asc"))
    assert shown[-1].delivery is not None
    assert (shown[-1].delivery.status, shown[-1].delivery.error) == ("pending", "30003")
    assert await begin_sends(store) == []
    clock.advance(AGAIN_S + 1)
    (again,) = await begin_sends(store)
    assert (again.id, again.attempts) == (delivery.id, 2)
    await end_send(store, again, provider_id="SM2")
    stored = await delivery_of(store, delivery.id)
    assert (stored.state, stored.provider_id, stored.receipt) == ("sent", "SM2", None)


async def test_a_second_failure_is_the_end(store: Store, clock: FixedClock) -> None:
    delivery = await sent(store)
    await fail(store, delivery, "s1", provider_id="SM1")
    clock.advance(AGAIN_S + 1)
    (again,) = await begin_sends(store)
    await end_send(store, again, provider_id="SM2")

    await fail(store, delivery, "s2", provider_id="SM2")

    stored = await delivery_of(store, delivery.id)
    assert (stored.state, stored.receipt, stored.error) == ("dead", "failed", "30003")


@pytest.mark.parametrize("is_sent_again", [False, True], ids=["while it waits", "afterwards"])
async def test_what_is_said_of_the_failed_try_later_changes_nothing(
    store: Store, clock: FixedClock, *, is_sent_again: bool
) -> None:
    delivery = await sent(store)
    await fail(store, delivery, "s1", provider_id="SM1")
    if is_sent_again:
        clock.advance(AGAIN_S + 1)
        (again,) = await begin_sends(store)
        await end_send(store, again, provider_id="SM2")
    before = await delivery_of(store, delivery.id)

    await fail(store, delivery, "s2", provider_id="SM1")
    await accept_one(store, report("delivered", "s3", delivery_id=delivery.id, provider_id="SM1"))

    assert await delivery_of(store, delivery.id) == before


async def test_what_follows_in_the_lane_waits_for_the_part_that_came_back(
    store: Store, clock: FixedClock
) -> None:
    delivery = await sent(store)
    await talk(store, "two", parts=1)
    await fail(store, delivery, "s1")

    assert await begin_sends(store) == []
    assert await store.verify() == []

    clock.advance(AGAIN_S + 1)
    (first,) = await begin_sends(store)
    (second,) = await end_send(store, first)
    assert [said(first), said(second)] == ["re: one 0", "re: two 0"]


async def test_what_is_being_sent_meanwhile_ends_as_it_will(
    store: Store, clock: FixedClock
) -> None:
    delivery = await sent(store)
    await talk(store, "two", parts=2)
    (sending,) = await begin_sends(store)

    await fail(store, delivery, "s1")

    assert await store.verify() == []
    assert await end_send(store, sending) == []
    clock.advance(AGAIN_S + 1)
    (first,) = await begin_sends(store)
    assert first.id == delivery.id


async def test_a_message_that_grows_meanwhile_is_finished_behind_it(
    store: Store, clock: FixedClock
) -> None:
    delivery = await sent(store)
    growing = await claimed_turn(store, chat_turn("two"))
    opened = await store.open_part(growing.lease, growing.turn.id, delivery_id=part().id)
    assert opened is not None

    await fail(store, delivery, "s1")
    committed: Committed = await commit(store, growing, reply("there", parts=1))

    assert committed.is_committed
    assert await begin_sends(store) == []
    clock.advance(AGAIN_S + 1)
    (first,) = await begin_sends(store)
    (second,) = await end_send(store, first)
    assert [first.id, second.id] == [delivery.id, opened.delivery.id]


async def test_a_part_that_failed_for_good_lets_the_next_reply_go(
    store: Store, clock: FixedClock
) -> None:
    delivery = await sent(store)
    await talk(store, "two", parts=1)
    await fail(store, delivery, "s1")
    clock.advance(AGAIN_S + 1)
    (again,) = await begin_sends(store)

    (following,) = await end_send(store, again, "dead", error="refused")

    assert said(following) == "re: two 0"


async def test_a_part_of_a_closed_address_does_not_come_back(store: Store) -> None:
    delivery = await sent(store)
    await accept_one(store, reachability(False))

    await fail(store, delivery, "s1")

    assert (await delivery_of(store, delivery.id)).state == "dead"


async def test_a_part_of_a_moved_chat_goes_to_the_new_one(store: Store, clock: FixedClock) -> None:
    delivery = await sent(store)
    await talk(store, new=chat_turn("new", address=NEW_CHAT))
    await accept_one(store, move())

    await fail(store, delivery, "s1")

    clock.advance(AGAIN_S + 1)
    (again,) = await begin_sends(store)
    assert (again.id, again.address) == (delivery.id, NEW_CHAT)


async def test_an_answer_to_a_command_comes_back_beside_the_lane(
    store: Store, clock: FixedClock
) -> None:
    answers = (part("a"), part("b", number=1))
    await accept_one(store, command("/help", deliveries=answers))
    (first,) = await begin_sends(store)
    (second,) = await end_send(store, first, provider_id="SM1")

    await fail(store, first, "s1")
    await end_send(store, second)

    assert await begin_sends(store) == []
    clock.advance(AGAIN_S + 1)
    (again,) = await begin_sends(store)
    assert again.id == first.id


async def test_what_was_held_for_an_operator_is_settled_by_its_report(store: Store) -> None:
    await talk(store, "one", parts=1)
    (delivery,) = await begin_sends(store)
    await end_send(store, delivery, "ambiguous")
    await end_send(store, delivery, "held")

    await accept_one(store, report("delivered", "s1", delivery_id=delivery.id, provider_id="SM1"))

    stored = await delivery_of(store, delivery.id)
    assert (stored.state, stored.receipt, stored.provider_id) == ("sent", "delivered", "SM1")


async def test_what_arrived_after_all_is_not_sent_again(store: Store) -> None:
    await talk(store, "one", parts=1)
    (delivery,) = await begin_sends(store)
    await end_send(store, delivery, "ambiguous")
    await end_send(store, delivery, "pending", again_in_s=5)

    await accept_one(store, report("sent", "s1", delivery_id=delivery.id))

    assert (await delivery_of(store, delivery.id)).state == "sent"


async def test_a_failure_that_overtakes_the_answer_to_our_call_counts(store: Store) -> None:
    await talk(store, "one", parts=1)
    (delivery,) = await begin_sends(store)
    await fail(store, delivery, "s1", provider_id="SM1", error="30005")

    await end_send(store, delivery, provider_id="SM1")

    stored = await delivery_of(store, delivery.id)
    assert (stored.state, stored.error) == ("dead", "30005")
