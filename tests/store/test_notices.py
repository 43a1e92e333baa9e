"""T1 for what makes no turn: edits, moved chats, reachability, platforms' reports."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.contract import Address
from gateway.domain.delivery import Delivery
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import (
    EditMessage,
    KeepUnreadable,
    MoveAddress,
    ReportDelivery,
    SetReachability,
)
from gateway.store.protocol.outbox import DeliveryFilter
from tests.store.builders import (
    ACCOUNT,
    CHAT,
    PROJECT,
    accept,
    accept_one,
    begin_sends,
    chat_turn,
    claim_one,
    claimed_turn,
    command,
    commit,
    delivery_of,
    end_send,
    event,
    message,
    part,
    reply,
    said,
    talk,
    texts,
)
from tests.store.worlds import World

NEW_CHAT = Address("tg", "-1001")


def edit(ref: str, text: str, *, event_id: str = "e1") -> EditMessage:
    """A person's change of a message."""
    return EditMessage(
        project_id=PROJECT,
        event=event(event_id),
        account=ACCOUNT,
        address=CHAT,
        message_ref=ref,
        text=text,
    )


def move(event_id: str = "m1") -> MoveAddress:
    """The test chat gets a new id."""
    return MoveAddress(
        project_id=PROJECT, event=event(event_id), account=ACCOUNT, old=CHAT, new=NEW_CHAT
    )


def reachability(is_reachable: bool, *, event_id: str = "r1") -> SetReachability:
    """A person blocks or unblocks us."""
    return SetReachability(
        project_id=PROJECT,
        event=event(event_id),
        account=ACCOUNT,
        address=CHAT,
        is_reachable=is_reachable,
    )


def report(status: Any, *, event_id: str, **found_by: Any) -> ReportDelivery:
    """A platform's word on a delivery."""
    return ReportDelivery(
        project_id=PROJECT, event=event(event_id), account=ACCOUNT, status=status, **found_by
    )


class TestEdits:
    async def test_an_edited_message_is_edited_in_history(self, store: Store) -> None:
        said_first = message("on teusday", message_ref="55")
        claimed = await talk(store, new=chat_turn(message=said_first))

        accepted = await accept_one(store, edit("55", "on tuesday"))

        assert accepted.message_id == said_first.id
        assert (await texts(store, claimed.session.id))[0] == "on tuesday"

    async def test_a_queued_turn_sees_the_edited_text(self, store: Store) -> None:
        for number in range(20):
            await talk(store, f"m{number}")
        running = await claimed_turn(store)
        await accept_one(store, chat_turn(message=message("old", message_ref="55")))
        await accept_one(store, edit("55", "new"))
        await commit(store, running)

        assert (await claim_one(store)).history[-1].text == "new"

    async def test_an_edit_of_an_unknown_message_changes_nothing(self, store: Store) -> None:
        claimed = await talk(store)

        accepted = await accept_one(store, edit("none", "x"))

        assert (accepted.is_new, accepted.message_id) == (True, None)
        assert (await texts(store, claimed.session.id))[0] == "hi"

    async def test_a_second_copy_of_an_edit_changes_nothing(self, store: Store) -> None:
        claimed = await talk(store, new=chat_turn(message=message("a", message_ref="55")))
        await accept_one(store, edit("55", "b", event_id="e1"))
        await accept_one(store, edit("55", "c", event_id="e2"))

        copy = await accept_one(store, edit("55", "b", event_id="e1"))

        assert not copy.is_new
        assert (await texts(store, claimed.session.id))[0] == "c"


class TestMoves:
    async def test_a_moved_chat_keeps_its_session_and_what_waits(self, store: Store) -> None:
        claimed = await talk(store, "one", parts=1)

        await accept_one(store, move())

        (delivery,) = await begin_sends(store)
        assert delivery.address == NEW_CHAT
        later = await accept_one(store, chat_turn(address=NEW_CHAT))
        assert later.session_id == claimed.session.id

    async def test_a_chat_known_under_its_new_id_already_takes_everything_over(
        self, store: Store
    ) -> None:
        await talk(store, "new", parts=1, new=chat_turn("new", address=NEW_CHAT))
        await talk(store, "old", parts=2)

        await accept_one(store, move())

        sent = []
        waiting = await begin_sends(store)
        while waiting:
            assert len(waiting) == 1
            sent.append(said(waiting[0]))
            waiting = await end_send(store, waiting[0])
        assert sent == ["re: new 0", "re: old 0", "re: old 1"]

    async def test_a_move_while_a_part_is_sent_sends_it_once(self, store: Store) -> None:
        await talk(store, "new", parts=1, new=chat_turn("new", address=NEW_CHAT))
        await talk(store, "old", parts=2)
        begun = await begin_sends(store)

        await accept_one(store, move())

        assert len(begun) == 2
        assert await begin_sends(store) == []
        for delivery in begun:
            waiting = await end_send(store, delivery)
        assert [said(one) for one in waiting] == ["re: old 1"]

    async def test_a_dead_part_of_a_moved_chat_is_replayed_to_the_new_one(
        self, store: Store
    ) -> None:
        await talk(store, new=chat_turn("new", address=NEW_CHAT))
        await talk(store, "old", parts=2)
        (first,) = await begin_sends(store)
        await end_send(store, first, "dead")
        await accept_one(store, move())

        await store.replay(PROJECT, first.id, to="pending")

        (again,) = await begin_sends(store)
        (following,) = await end_send(store, again)
        assert (again.address, following.address) == (NEW_CHAT, NEW_CHAT)

    async def test_a_chat_that_moves_to_where_it_is_stays_as_it_was(self, store: Store) -> None:
        await talk(store, "one", parts=2)
        (first,) = await begin_sends(store)
        await end_send(store, first, "dead")

        await accept_one(store, replace(move(), new=CHAT))
        async with asyncio.timeout(5):
            await store.replay(PROJECT, first.id, to="pending")

        (again,) = await begin_sends(store)
        assert again.id == first.id
        assert await store.verify() == []

    async def test_a_move_of_an_unknown_chat_changes_nothing(self, store: Store) -> None:
        assert (await accept_one(store, move())).is_new


class TestReachability:
    async def test_what_waits_for_somebody_who_left_is_cancelled(self, store: Store) -> None:
        await talk(store, "one", parts=1)
        (sending,) = await begin_sends(store)
        await end_send(store, sending, "held")
        await talk(store, "two", parts=2)

        await accept_one(store, reachability(False))

        assert await begin_sends(store) == []
        assert (await delivery_of(store, sending.id)).state == "cancelled"

    async def test_what_is_said_meanwhile_is_written_with_its_reason(self, store: Store) -> None:
        await talk(store, "one")
        await accept_one(store, reachability(False))

        committed = await commit(store, await claimed_turn(store), reply(parts=1))

        assert not committed.has_deliveries
        found = await store.deliveries(DeliveryFilter())
        assert [(one.state, one.error) for one in found] == [("cancelled", "unreachable")]

    async def test_somebody_who_comes_back_is_answered_again(self, store: Store) -> None:
        await accept_one(store, reachability(False, event_id="r1"))
        await accept_one(store, reachability(True, event_id="r2"))

        await talk(store, "one", parts=1)

        assert len(await begin_sends(store)) == 1


class TestReports:
    async def test_a_receipt_only_moves_forward(self, store: Store) -> None:
        sent = await _sent(store)

        seen = []
        for number, status in enumerate(["delivered", "read", "delivered", "failed", "sent"]):
            await accept_one(store, report(status, event_id=f"d{number}", delivery_id=sent.id))
            seen.append((await delivery_of(store, sent.id)).receipt)

        assert seen == ["delivered", "read", "read", "read", "read"]

    async def test_a_delivery_is_found_by_the_platforms_id(self, store: Store) -> None:
        sent = await _sent(store)

        await accept_one(store, report("failed", event_id="d", provider_id="55", error="30005"))

        stored = await delivery_of(store, sent.id)
        assert (stored.receipt, stored.error, stored.state) == ("failed", "30005", "dead")

    @pytest.mark.parametrize(
        ("status", "state"), [("sent", "sent"), ("delivered", "sent"), ("failed", "dead")]
    )
    async def test_a_report_settles_a_doubtful_part(
        self, store: Store, status: str, state: str
    ) -> None:
        await talk(store, "one", parts=2)
        (first,) = await begin_sends(store)
        await end_send(store, first, "ambiguous")

        await accept_one(store, report(status, event_id="d", delivery_id=first.id))

        assert (await delivery_of(store, first.id)).state == state
        following = await begin_sends(store)
        assert [said(one) for one in following] == (["re: one 1"] if state == "sent" else [])

    async def test_a_report_on_something_unknown_changes_nothing(self, store: Store) -> None:
        accepted = await accept_one(store, report("read", event_id="d", delivery_id="dlv_none"))

        assert accepted.is_new


async def test_an_unreadable_event_is_kept_raw_for_operators(store: Store, world: World) -> None:
    kept = KeepUnreadable(project_id=PROJECT, event=event("u"), raw=b"\xff{", reason="no JSON")

    first, copy = await accept(store, kept, kept)

    assert (first.is_new, copy.is_new) == (True, False)
    assert world.execute("SELECT raw, reason FROM inbox") == [(b"\xff{", "no JSON")]


async def test_a_command_answer_in_two_parts_keeps_its_order(store: Store) -> None:
    await accept_one(store, command("/help", deliveries=(part("a"), part("b", number=1))))

    (first,) = await begin_sends(store)

    assert said(first) == "a"


async def _sent(store: Store) -> Delivery:
    await talk(store, "one", parts=1)
    (delivery,) = await begin_sends(store)
    await end_send(store, delivery, provider_id="55")
    return delivery
