"""Nothing is sent to people who have opted out or are blocked, whatever was on its way to them."""

from typing import Any

import pytest

from gateway.domain.people import IdentityKey
from gateway.domain.turns import TurnOutcome
from gateway.errors import Forbidden
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import SetReachability, TerminalTurn
from gateway.store.protocol.outbox import DeliveryFilter
from tests.store.builders import (
    ACCOUNT,
    CHAT,
    PROJECT,
    accept_one,
    api_turn,
    begin_sends,
    claimed_turn,
    commit,
    delivery_of,
    end_send,
    event,
    reply,
    said,
    state_of,
    talk,
    terms,
    texts,
)
from tests.store.people_builders import by, consent, heard
from tests.store.worlds import World

OPTED_OUT = "the person has opted out of messages"


async def states(store: Store) -> list[tuple[str, str | None]]:
    """State and reason of every delivery."""
    found = await store.deliveries(DeliveryFilter(limit=100))
    return [(one.state, one.error) for one in found]


@pytest.mark.proves("TW-21")
async def test_tw_21_a_stop_is_kept_heeded_and_never_answered(store: Store) -> None:
    await talk(store, parts=1, new=heard("e1", "one"))
    (sending,) = await begin_sends(store)
    await end_send(store, sending, "held")
    await talk(store, parts=2, new=heard("e2", "two"))

    accepted = await accept_one(store, consent("e3"))

    assert accepted.session_id is not None
    assert (await texts(store, accepted.session_id))[-1] == "STOP"
    assert await state_of(store, accepted.turn_id) == "done"
    assert set(await states(store)) == {("cancelled", OPTED_OUT)}
    assert await begin_sends(store) == []


@pytest.mark.proves("TW-21")
async def test_tw_21_after_a_stop_messages_are_kept_without_a_turn_until_start(
    store: Store,
) -> None:
    await accept_one(store, consent("e1"))

    silent = await accept_one(store, heard("e2"), claim=terms())
    await accept_one(store, consent("e3", is_opted_out=False, text="START"))
    heeded = await accept_one(store, heard("e4"), claim=terms())

    assert silent.claimed is None
    stored = await store.turn(PROJECT, silent.turn_id, with_messages=True)  # type: ignore[arg-type] # it is new
    assert stored is not None
    assert stored.error is not None
    assert (stored.state, stored.error.code) == ("cancelled", "opted_out")
    assert [one.text for one in stored.messages] == ["hi"]
    assert heeded.claimed is not None


@pytest.mark.proves("TW-21")
async def test_tw_21_a_stop_ends_what_runs_waits_and_is_queued(store: Store) -> None:
    running = await claimed_turn(store, heard("e1"))
    queued = await accept_one(store, heard("e2"))

    accepted = await accept_one(store, consent("e3"))
    committed = await commit(store, running, reply(parts=1))

    assert accepted.stops == (running.session.id,)
    assert await state_of(store, queued.turn_id) == "cancelled"
    turn = await store.turn(PROJECT, running.turn.id)
    assert turn is not None
    assert turn.cancel_requested
    assert not committed.has_deliveries
    assert await states(store) == [("cancelled", OPTED_OUT)]


@pytest.mark.proves("TW-21")
async def test_tw_21_a_stop_takes_away_what_is_shown_growing(store: Store) -> None:
    running = await claimed_turn(store, heard("e1"))
    opened = await store.open_part(running.lease, running.turn.id, delivery_id="dlv_1")  # type: ignore[arg-type] # any text
    assert opened is not None

    await accept_one(store, consent("e2"))
    at_once = await states(store)
    await commit(store, running, TurnOutcome(state="cancelled"))

    assert at_once == await states(store) == [("cancelled", OPTED_OUT)]


async def test_a_copy_of_a_stop_does_not_undo_a_start(store: Store) -> None:
    await accept_one(store, consent("e1"))
    await accept_one(store, consent("e2", is_opted_out=False, text="START"))

    copy = await accept_one(store, consent("e1"))

    assert not copy.is_new
    await talk(store, parts=1, new=heard("e3"))
    assert len(await begin_sends(store)) == 1


async def test_a_call_for_help_is_only_kept(store: Store) -> None:
    accepted = await accept_one(store, consent("e1", is_opted_out=None, text="HELP"))
    await talk(store, parts=1, new=heard("e2"))

    assert await state_of(store, accepted.turn_id) == "done"
    assert len(await begin_sends(store)) == 1


@pytest.mark.parametrize("end", ["pending", "ambiguous"])
async def test_a_part_that_was_leaving_does_not_leave_again(store: Store, end: Any) -> None:
    await talk(store, parts=2, new=heard("e1"))
    (sending,) = await begin_sends(store)
    await accept_one(store, consent("e2"))

    await end_send(store, sending, end)
    following = await end_send(store, sending, "pending", again_in_s=0.0)

    assert following == []
    assert await begin_sends(store) == []
    assert (await delivery_of(store, sending.id)).error == OPTED_OUT


async def test_an_operator_cannot_send_again_to_who_opted_out(store: Store) -> None:
    await talk(store, parts=1, new=heard("e1"))
    (sending,) = await begin_sends(store)
    await end_send(store, sending, "dead")
    await accept_one(store, consent("e2"))

    await store.replay(PROJECT, sending.id, to="pending")

    assert await begin_sends(store) == []
    assert await states(store) == [("cancelled", OPTED_OUT)]


async def test_who_can_be_reached_again_has_not_opted_in_by_that(store: Store) -> None:
    await accept_one(store, consent("e1"))

    back = SetReachability(
        project_id=PROJECT, event=event("e2"), account=ACCOUNT, address=CHAT, is_reachable=True
    )
    await accept_one(store, back)
    await accept_one(store, heard("e3"))
    await accept_one(store, heard("e4", kind="command"))

    assert (await accept_one(store, heard("e5"), claim=terms())).claimed is None


@pytest.mark.proves("TW-22")
async def test_tw_22_a_send_refused_for_that_opts_the_person_out(store: Store) -> None:
    await talk(store, parts=1, new=heard("e1"))
    (sending,) = await begin_sends(store)
    await talk(store, parts=1, new=heard("e2"))

    await end_send(store, sending, "dead", scope="address", opts_out=True, error="21610")

    assert await states(store) == [("dead", "21610"), ("cancelled", OPTED_OUT)]
    assert (await accept_one(store, heard("e3"), claim=terms())).claimed is None
    await accept_one(store, consent("e4", is_opted_out=False, text="START"))
    await talk(store, parts=1, new=heard("e5"))
    assert [said(one) for one in await begin_sends(store)] == ["re: hi 0"]


async def test_one_who_opts_out_silences_no_group(store: Store) -> None:
    await talk(store, parts=1, new=heard("e1", is_direct=False))
    participant, _ = await store.put_participant(
        PROJECT, IdentityKey(platform="telegram", external_id="100")
    )

    await store.set_opted_out(PROJECT, participant.id, is_opted_out=True)

    assert len(await begin_sends(store)) == 1
    await talk(store, new=by(heard("e2", is_direct=False), "200"))


class TestBlocking:
    async def test_the_blocked_are_kept_in_silence_and_out_of_every_prompt(
        self, store: Store
    ) -> None:
        await talk(store, parts=1, new=heard("e1"))
        participant, _ = await store.put_participant(
            PROJECT, IdentityKey(platform="telegram", external_id="100")
        )

        standing = await store.set_blocked(PROJECT, participant.id, is_blocked=True)
        accepted = await accept_one(store, heard("e2"), claim=terms())

        assert [one.blocked for one in standing.participant.identities] == [True]
        assert await states(store) == [("cancelled", "the person is blocked")]
        turn = await store.turn(PROJECT, accepted.turn_id, with_messages=True)  # type: ignore[arg-type] # it is new
        assert turn is not None
        assert turn.error is not None
        assert (turn.state, turn.error.code) == ("cancelled", "blocked")
        assert [one.visibility for one in turn.messages] == ["internal"]

    async def test_a_blocked_command_does_nothing(self, store: Store) -> None:
        running = await claimed_turn(store, by(heard("e1", is_direct=False), "200"))
        participant, _ = await store.put_participant(
            PROJECT, IdentityKey(platform="telegram", external_id="100")
        )
        await store.set_blocked(PROJECT, participant.id, is_blocked=True)

        stopping = TerminalTurn(state="done", cancels=True)
        accepted = await accept_one(
            store, heard("e3", "/stop", kind="command", terminal=stopping, is_direct=False)
        )

        assert accepted.stops == ()
        turn = await store.turn(PROJECT, running.turn.id)
        assert turn is not None
        assert not turn.cancel_requested

    async def test_the_unblocked_are_heard_again(self, store: Store) -> None:
        await talk(store, new=heard("e1"))
        participant, _ = await store.put_participant(
            PROJECT, IdentityKey(platform="telegram", external_id="100")
        )
        await store.set_blocked(PROJECT, participant.id, is_blocked=True)
        await store.set_blocked(PROJECT, participant.id, is_blocked=False)

        assert (await accept_one(store, heard("e2"), claim=terms())).claimed is not None

    async def test_a_blocked_caller_is_told_so_and_their_turns_end(self, store: Store) -> None:
        participant, _ = await store.put_participant(
            PROJECT, IdentityKey(platform="web", external_id="v")
        )
        queued = await accept_one(store, api_turn(participant_id=participant.id))

        standing = await store.set_blocked(PROJECT, participant.id, is_blocked=True)

        assert standing.stops == (queued.session_id,)
        assert await state_of(store, queued.turn_id) == "cancelled"
        with pytest.raises(Forbidden, match="blocked"):
            await accept_one(store, api_turn(participant_id=participant.id))


async def test_an_address_learns_whose_it_is_from_the_first_message(
    store: Store, world: World
) -> None:
    await talk(store, parts=1)
    assert world.execute("SELECT platform FROM address") == [(None,)]

    await talk(store, new=heard("e1"))

    assert world.execute("SELECT platform, external_id FROM address") == [("telegram", "100")]
