"""T2b and what becomes of an open part: rows of messages that are shown while their turn runs."""

from collections.abc import Sequence

import pytest

from gateway.contract import Address
from gateway.domain.delivery import Delivery
from gateway.domain.ids import SessionId, new_delivery_id
from gateway.domain.turns import ClaimedTurn, TurnOutcome
from gateway.store.protocol import Store
from gateway.store.protocol.history import Page
from gateway.store.protocol.inbox import MoveAddress, SetReachability
from gateway.store.protocol.outbox import DeliveryFilter
from gateway.store.protocol.turns import OpenPart
from tests.store.builders import (
    ACCOUNT,
    CHAT,
    PROJECT,
    accept_one,
    api_turn,
    begin_sends,
    chat_turn,
    claim_one,
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
    terms,
)
from tests.store.test_finishing import asking
from tests.store.worlds import FixedClock, World


async def try_to_open(store: Store, claimed: ClaimedTurn) -> OpenPart | None:
    return await store.open_part(claimed.lease, claimed.turn.id, delivery_id=new_delivery_id())


async def opened(store: Store, claimed: ClaimedTurn, ref: str | None = "ref-1") -> Delivery:
    """An open part of a running turn, shown on the platform unless there is no `ref`."""
    place = await try_to_open(store, claimed)
    assert place is not None
    if ref is not None:
        assert await store.keep_open_ref(claimed.lease, place.delivery.id, open_ref=ref)
    return await delivery_of(store, place.delivery.id)


def unreachable() -> SetReachability:
    """The person blocked us."""
    return SetReachability(
        project_id=PROJECT,
        event=event("left"),
        account=ACCOUNT,
        address=CHAT,
        is_reachable=False,
    )


def moved(new: Address) -> MoveAddress:
    """The chat has a new id."""
    return MoveAddress(project_id=PROJECT, event=event("move"), account=ACCOUNT, old=CHAT, new=new)


async def all_parts(store: Store) -> Sequence[Delivery]:
    return await store.deliveries(DeliveryFilter(limit=100))


async def send_all(store: Store) -> list[tuple[object, str | None]]:
    """Send whatever may leave, part after part: its text and the message it finishes."""
    gone = []
    while due := await begin_sends(store):
        while due:
            delivery = due.pop()
            gone.append((delivery.part.get("text"), delivery.open_ref))
            due += await end_send(store, delivery)
    return gone


async def run_again(store: Store) -> ClaimedTurn:
    """The running turn, taken over after its process died."""
    await store.release_abandoned(living=[])
    return await claim_one(store, owner="next")


class TestOpening:
    async def test_an_open_part_stands_in_the_lane_before_anything_is_shown(
        self, store: Store
    ) -> None:
        claimed = await claimed_turn(store)
        wanted = new_delivery_id()

        place = await store.open_part(claimed.lease, claimed.turn.id, delivery_id=wanted)

        assert place is not None
        assert place.is_new
        assert place.delivery == await delivery_of(store, wanted)
        assert (place.delivery.state, place.delivery.part_no) == ("open", 0)
        assert (place.delivery.open_ref, place.delivery.address) == (None, CHAT)

    async def test_its_reference_is_stored_with_it(self, store: Store) -> None:
        claimed = await claimed_turn(store)

        assert (await opened(store, claimed, "ts-77")).open_ref == "ts-77"

    async def test_nothing_is_opened_behind_a_reply_that_is_on_its_way(self, store: Store) -> None:
        await talk(store, parts=1)

        assert await try_to_open(store, await claimed_turn(store)) is None

    async def test_answers_to_commands_are_not_waited_for(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await accept_one(store, command("/help", deliveries=(part("help"),)))

        assert await try_to_open(store, claimed) is not None

    async def test_nothing_is_opened_for_whoever_lost_the_lease(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await run_again(store)

        assert await try_to_open(store, claimed) is None

    async def test_whoever_lost_the_lease_stores_no_reference(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        mine = await opened(store, claimed, None)
        await run_again(store)

        assert not await store.keep_open_ref(claimed.lease, mine.id, open_ref="late")
        assert (await delivery_of(store, mine.id)).open_ref is None

    async def test_nothing_is_opened_where_nobody_can_be_reached(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await accept_one(store, unreachable())

        assert await try_to_open(store, claimed) is None

    async def test_nothing_is_opened_where_the_platform_throttles(
        self, store: Store, clock: FixedClock
    ) -> None:
        await talk(store, parts=1)
        (sending,) = await begin_sends(store)
        await end_send(store, sending, blocked_s=60, scope="address")

        assert await try_to_open(store, await claimed_turn(store)) is None

    async def test_nothing_is_opened_in_a_session_without_an_address(self, store: Store) -> None:
        assert await try_to_open(store, await claimed_turn(store, api_turn())) is None

    async def test_nothing_is_opened_for_a_turn_that_is_over(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await commit(store, claimed)

        assert await try_to_open(store, claimed) is None

    async def test_what_comes_later_waits_behind_an_open_part(self, store: Store) -> None:
        await opened(store, await claimed_turn(store))
        await talk(store, "later", parts=1, new=chat_turn("later", fresh_session=True))

        assert await begin_sends(store) == []


class TestTheNextAttempt:
    async def test_it_finds_the_open_part_with_its_reference(self, store: Store) -> None:
        first = await opened(store, await claimed_turn(store), "ref-7")

        place = await try_to_open(store, await run_again(store))

        assert place == OpenPart(first, is_new=False)

    async def test_a_turn_that_is_given_back_keeps_its_open_part(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        first = await opened(store, claimed)
        await commit(store, claimed, TurnOutcome(state="queued", counts_attempt=False))

        assert await store.verify() == []
        place = await try_to_open(store, await claim_one(store))

        assert place == OpenPart(first, is_new=False)

    async def test_it_goes_on_in_nothing_that_came_behind_others_when_its_chat_moved(
        self, store: Store
    ) -> None:
        new = Address("tg", "-100")
        await talk(store, "there", parts=1, new=chat_turn("there", address=new))
        (on_its_way,) = await begin_sends(store)
        await opened(store, await claimed_turn(store))
        await accept_one(store, moved(new))

        again = await run_again(store)
        assert await try_to_open(store, again) is None

        await end_send(store, on_its_way)
        assert await try_to_open(store, again) is not None


class TestTheEnd:
    async def test_the_reply_fills_the_message_and_goes_on_behind_it(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        first = await opened(store, claimed)

        answer = reply("hello", parts=3)
        committed = await commit(store, claimed, answer)

        parts = await all_parts(store)
        assert committed.has_deliveries
        assert [(one.part_no, one.state) for one in parts] == [
            (number, "pending") for number in range(3)
        ]
        assert parts[0].id == first.id
        assert await send_all(store) == [
            ("hello 0", "ref-1"),
            ("hello 1", None),
            ("hello 2", None),
        ]
        _question, said = await store.messages(
            PROJECT, claimed.session.id, page=Page(order="asc"), with_internal=True
        )
        assert said.delivery is not None
        assert said.delivery.status == "sent"

    async def test_a_message_that_was_never_opened_is_sent_as_a_new_one(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await opened(store, claimed, None)

        await commit(store, claimed, reply("hello", parts=1))

        assert await send_all(store) == [("hello 0", None)]

    @pytest.mark.parametrize("state", ["failed", "dead", "cancelled", "done", "waiting"])
    async def test_a_turn_that_leaves_nothing_takes_the_message_back(
        self, store: Store, state: str
    ) -> None:
        claimed = await claimed_turn(store)
        await opened(store, claimed)

        outcome = asking() if state == "waiting" else TurnOutcome(state=state)  # type: ignore[arg-type] # parametrized
        committed = await commit(store, claimed, outcome)

        assert committed.has_deliveries
        assert [dict(one.part) for one in await all_parts(store)] == [{}]
        assert await send_all(store) == [(None, "ref-1")]

    async def test_a_turn_that_leaves_nothing_frees_the_lane_if_nothing_was_shown(
        self, store: Store
    ) -> None:
        claimed = await claimed_turn(store)
        first = await opened(store, claimed, None)
        await store.keep_open_ref(claimed.lease, first.id, open_ref=None)
        await talk(store, "later", parts=1, new=chat_turn("later", fresh_session=True))

        committed = await commit(store, claimed, TurnOutcome(state="cancelled"))

        assert not committed.has_deliveries
        closed = await delivery_of(store, first.id)
        assert (closed.state, closed.error) == ("cancelled", "nothing_shown")
        assert await send_all(store) == [("re: later 0", None)]

    async def test_what_may_stand_there_without_a_reference_is_to_be_taken_back(
        self, store: Store
    ) -> None:
        claimed = await claimed_turn(store)
        first = await opened(store, claimed, None)

        committed = await commit(store, claimed, TurnOutcome(state="cancelled"))

        assert committed.has_deliveries
        (taken_back,) = await begin_sends(store)
        assert (taken_back.id, taken_back.part, taken_back.open_ref) == (first.id, {}, None)
        assert taken_back.opened_at is not None
        await end_send(store, taken_back, "cancelled")

    async def test_a_reply_knows_that_its_message_may_stand_there(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        first = await opened(store, claimed, None)

        await commit(store, claimed, reply("hello", parts=1))

        (filled,) = await begin_sends(store)
        assert (filled.id, filled.open_ref) == (first.id, None)
        assert filled.opened_at is not None
        await end_send(store, filled)

    async def test_nothing_is_forgotten_of_a_message_that_was_opened(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        first = await opened(store, claimed, "7")

        await store.keep_open_ref(claimed.lease, first.id, open_ref=None)

        stored = await delivery_of(store, first.id)
        assert stored.open_ref == "7"
        assert stored.opened_at is not None

    async def test_a_resumed_turn_opens_its_next_part(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await opened(store, claimed, "question")
        ask = asking()
        question = TurnOutcome(
            state="waiting",
            messages=ask.messages,
            tool_calls=ask.tool_calls,
            deliveries=(part("Which one?"),),
        )
        await commit(store, claimed, question)
        assert await send_all(store) == [("Which one?", "question")]
        await store.resume_turn(PROJECT, claimed.turn.id, results={"call_1": "7"})

        again = await claim_one(store)
        assert (await opened(store, again, "answer")).part_no == 1
        await commit(store, again, reply("seven", parts=2))

        assert await send_all(store) == [("seven 0", "answer"), ("seven 1", None)]

    async def test_nothing_is_sent_to_somebody_who_left_meanwhile(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        first = await opened(store, claimed)
        await accept_one(store, unreachable())

        committed = await commit(store, claimed, reply(parts=2))

        assert not committed.has_deliveries
        assert {one.state for one in await all_parts(store)} == {"cancelled"}
        assert (await delivery_of(store, first.id)).error == "unreachable"

    async def test_whoever_lost_the_lease_leaves_the_part_to_the_next(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        first = await opened(store, claimed)
        again = await run_again(store)

        assert not (await commit(store, claimed, reply("stale", parts=1))).is_committed
        await commit(store, again, reply("fresh", parts=1))

        assert (await delivery_of(store, first.id)).part == {"text": "fresh 0"}
        assert await send_all(store) == [("fresh 0", "ref-1")]

    async def test_an_open_part_moves_with_its_chat(self, store: Store) -> None:
        new = Address("tg", "-100")
        claimed = await claimed_turn(store)
        await talk(store, "there", parts=1, new=chat_turn("there", address=new))
        await opened(store, claimed)
        await accept_one(store, moved(new))

        assert await send_all(store) == []
        await commit(store, claimed, reply("here", parts=1))

        assert await send_all(store) == [("here 0", "ref-1"), ("re: there 0", None)]

    async def test_it_ends_behind_what_is_being_sent_where_its_chat_moved(
        self, store: Store
    ) -> None:
        new = Address("tg", "-100")
        claimed = await claimed_turn(store)
        await opened(store, claimed)
        await talk(store, "there", parts=1, new=chat_turn("there", address=new))
        (on_its_way,) = await begin_sends(store)

        await accept_one(store, moved(new))
        await commit(store, claimed, reply("here", parts=1))

        assert await store.verify() == []
        assert await begin_sends(store) == []
        assert [said(one) for one in await end_send(store, on_its_way)] == ["here 0"]

    async def test_a_message_that_grew_keeps_its_place_when_its_chat_moves(
        self, store: Store
    ) -> None:
        new = Address("tg", "-100")
        await talk(store, "there", new=chat_turn("there", address=new))
        claimed = await claimed_turn(store)
        await opened(store, claimed)
        await talk(store, "later", parts=1, new=chat_turn("later", fresh_session=True))
        await commit(store, claimed, reply("first", parts=1))

        await accept_one(store, moved(new))

        assert await send_all(store) == [("first 0", "ref-1"), ("re: later 0", None)]


class TestTurnsThatAreEndedWithoutRunning:
    async def test_a_queued_turn_that_is_cancelled_takes_its_message_back(
        self, store: Store
    ) -> None:
        claimed = await claimed_turn(store)
        await opened(store, claimed)
        await commit(store, claimed, TurnOutcome(state="queued"))

        await store.request_cancel(PROJECT, claimed.turn.id)

        assert await send_all(store) == [(None, "ref-1")]

    async def test_a_stop_of_everything_takes_the_message_of_a_queued_turn_back(
        self, store: Store
    ) -> None:
        claimed = await claimed_turn(store)
        await opened(store, claimed)
        await commit(store, claimed, TurnOutcome(state="queued"))

        await accept_one(store, command("/stop", cancels=True))

        assert await send_all(store) == [(None, "ref-1")]

    async def test_a_turn_that_was_to_stop_when_its_process_died_takes_its_message_back(
        self, store: Store
    ) -> None:
        claimed = await claimed_turn(store)
        await opened(store, claimed)
        await store.request_cancel(PROJECT, claimed.turn.id)
        await store.release_abandoned(living=[])

        await store.claim(terms())

        assert await send_all(store) == [(None, "ref-1")]

    async def test_a_turn_that_was_to_stop_when_it_is_given_back_takes_its_message_back(
        self, store: Store
    ) -> None:
        claimed = await claimed_turn(store)
        await opened(store, claimed)
        await store.request_cancel(PROJECT, claimed.turn.id)

        committed = await commit(store, claimed, TurnOutcome(state="queued"))

        assert committed.has_deliveries
        assert await send_all(store) == [(None, "ref-1")]

    async def test_a_running_turn_that_is_asked_to_stop_keeps_it_to_its_end(
        self, store: Store
    ) -> None:
        claimed = await claimed_turn(store)
        first = await opened(store, claimed)

        await accept_one(store, command("/stop", cancels=True))

        assert (await delivery_of(store, first.id)).state == "open"
        await commit(store, claimed, reply("so far", parts=1, state="cancelled"))
        assert await send_all(store) == [("so far 0", "ref-1")]

    async def test_what_waits_behind_an_erased_session_goes_on(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await opened(store, claimed)
        await talk(store, "later", parts=1, new=chat_turn("later", fresh_session=True))

        await store.delete_session(PROJECT, SessionId(claimed.session.id))

        assert await send_all(store) == [("re: later 0", None)]


async def test_upkeep_leaves_an_open_part_alone(store: Store) -> None:
    first = await opened(store, await claimed_turn(store))

    await store.release_abandoned(living=[])
    await store.doubt_abandoned(living=[])

    assert await store.ambiguous(limit=10) == []
    assert await delivery_of(store, first.id) == first


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE turn SET state = 'waiting', waiting_at = 1",
        "UPDATE turn SET parts = parts + 1",
        "UPDATE outbox SET next_at = 1",
        "UPDATE outbox SET is_command_answer = 1",
    ],
    ids=["of a waiting turn", "not the last", "due", "of a command"],
)
async def test_an_open_part_that_cannot_be_is_found_by_verify(world: World, damage: str) -> None:
    async with world.open() as store:
        await opened(store, await claimed_turn(store))
        before = await store.verify()
        world.execute(damage)

        found = {finding.invariant for finding in await store.verify()}

    assert before == []
    assert "open_has_an_unfinished_turn" in found
