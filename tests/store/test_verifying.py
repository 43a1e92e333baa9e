"""The invariants of a store: damage of every kind is found, and nothing else."""

import pytest

from gateway.contract import Address
from gateway.domain.turns import TurnOutcome
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import MoveAddress
from tests.store.builders import (
    ACCOUNT,
    CHAT,
    PROJECT,
    accept_one,
    api_turn,
    begin_sends,
    chat_turn,
    claimed_turn,
    command,
    commit,
    end_send,
    event,
    kept,
    part,
    repeat_key,
    reply,
    talk,
    write,
)
from tests.store.test_finishing import asking
from tests.store.worlds import World


async def live(store: Store) -> None:
    """A store in which a bit of everything has happened and some of it goes on."""
    await talk(store, "done", parts=3, new=chat_turn("done", event=event("1")))
    (first,) = await begin_sends(store)
    await end_send(store, first)
    await talk(store, "more", parts=1)
    await claimed_turn(store, chat_turn("runs"))
    await accept_one(store, chat_turn("queued"))
    await accept_one(store, command("/help", deliveries=(part("help"),)))
    await commit(store, await claimed_turn(store, api_turn("asks")), asking())
    dead = await claimed_turn(store, chat_turn("dead", address=Address("tg", "200")))
    await commit(store, dead, TurnOutcome(state="dead"))
    await talk(store, parts=1, new=chat_turn("doubt", address=Address("tg", "300")))
    for doubtful in await begin_sends(store):
        if doubtful.address.chat == "300":
            await end_send(store, doubtful, "ambiguous")
    await accept_one(store, api_turn("late", idempotency=repeat_key("k")))
    await kept(store, b"abc", b"def", session_id=dead.session.id)
    await write(store, b"half")


DAMAGE = [
    ("pending_counts_unfinished_turns", "UPDATE session SET pending = pending + 1"),
    ("pending_counts_unfinished_turns", "UPDATE session SET queued = queued + 1"),
    ("queue_counters_are_right", "UPDATE project SET queued = 7 WHERE project_id = ''"),
    ("queue_counters_are_right", "UPDATE project SET queued = 7 WHERE project_id = 'p1'"),
    ("owner_has_one_running_turn", "UPDATE session SET owner = NULL"),
    ("owner_has_one_running_turn", "UPDATE session SET owner = 'x' WHERE owner IS NULL"),
    ("queued_session_is_ready", "UPDATE session SET ready_at = NULL WHERE owner IS NULL"),
    ("queued_session_is_ready", "UPDATE session SET ready_at = 1 WHERE pending = 0"),
    ("turn_seq_has_no_gap", "UPDATE turn SET seq = 99 WHERE seq = 2"),
    ("turn_seq_has_no_gap", "UPDATE session SET next_seq = next_seq + 1"),
    ("message_seq_has_no_gap", "DELETE FROM message WHERE seq = 1"),
    ("message_seq_has_no_gap", "UPDATE session SET next_message_seq = 99"),
    ("message_time_rises", "UPDATE message SET created_at = 1"),
    ("message_belongs_to_its_turn", "UPDATE message SET turn_id = 'turn_none' WHERE seq = 1"),
    ("message_belongs_to_its_turn", "UPDATE turn SET last_message = first_message - 1"),
    ("message_turn_has_its_user_message", "UPDATE message SET role = 'system'"),
    ("unfinished_turn_leaves_no_reply", "UPDATE message SET role = 'assistant'"),
    ("terminal_turn_is_finished", "UPDATE turn SET finished_at = NULL WHERE state = 'done'"),
    ("terminal_turn_is_finished", "UPDATE turn SET finished_at = 1 WHERE state = 'queued'"),
    ("done_turn_has_its_deliveries", "DELETE FROM outbox WHERE part_no = 2"),
    ("event_points_to_a_turn", "UPDATE inbox SET turn_id = 'turn_none'"),
    ("sending_has_a_sender", "UPDATE outbox SET owner = NULL"),
    ("sending_has_a_sender", "UPDATE outbox SET sent_started_at = 1"),
    ("open_has_an_unfinished_turn", "UPDATE outbox SET state = 'open' WHERE settled_at IS NULL"),
    ("settled_delivery_is_over", "UPDATE outbox SET settled_at = 1 WHERE state = 'pending'"),
    ("settled_delivery_is_over", "UPDATE outbox SET settled_at = NULL WHERE state = 'sent'"),
    ("out_no_is_unique", "UPDATE outbox SET out_no = 1"),
    ("out_no_is_unique", "UPDATE address SET next_out_no = 1"),
    ("lane_moves_from_its_front", "UPDATE outbox SET next_at = 1 WHERE settled_at IS NULL"),
    (
        "lane_moves_from_its_front",
        "UPDATE outbox SET state = 'pending', next_at = NULL WHERE settled_at IS NULL",
    ),
    ("file_has_all_its_pieces", "DELETE FROM file_piece WHERE piece_no = 0"),
    ("file_has_all_its_pieces", "UPDATE file_piece SET data = x'01'"),
    ("piece_belongs_to_a_file", "UPDATE file_piece SET file_id = 'file_' || piece_id"),
    ("used_file_is_used", "UPDATE file SET used_at = NULL"),
]


async def test_a_store_at_work_holds_every_invariant(store: Store) -> None:
    await live(store)

    assert await store.verify() == []


@pytest.mark.parametrize(("invariant", "damage"), DAMAGE)
async def test_planted_damage_is_found(world: World, invariant: str, damage: str) -> None:
    async with world.open() as store:
        await live(store)
        world.execute(damage)

        found = await store.verify()

    assert invariant in {finding.invariant for finding in found}
    assert all(finding.where and finding.detail for finding in found)


async def test_two_sends_whose_chats_became_one_are_no_finding(store: Store) -> None:
    new = Address("tg", "-100")
    await talk(store, parts=1)
    await talk(store, parts=1, new=chat_turn(address=new))
    first, _second = await begin_sends(store)
    move = MoveAddress(project_id=PROJECT, event=event("move"), account=ACCOUNT, old=CHAT, new=new)
    await accept_one(store, move)

    await end_send(store, first, "pending", again_in_s=5, counts=False)

    assert await store.verify() == []


async def test_a_send_without_end_is_found_when_its_time_is_over(world: World) -> None:
    async with world.open() as store:
        await talk(store, parts=1)
        await begin_sends(store)
        before = await store.verify()
        world.clock.advance(3600)

        after = await store.verify()

    assert before == []
    assert [finding.invariant for finding in after] == ["sending_has_a_sender"]


async def test_findings_of_one_kind_are_bounded(world: World) -> None:
    async with world.open() as store:
        for number in range(130):
            new = chat_turn(address=Address("tg", str(number)))
            await commit(store, await claimed_turn(store, new), reply())
        world.execute("UPDATE session SET pending = 5")

        found = await store.verify()

    assert len(found) == 100
