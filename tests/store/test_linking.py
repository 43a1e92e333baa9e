"""A link code makes one participant of two, once, whatever is delivered twice."""

import asyncio

import pytest

from gateway.domain.ids import ParticipantId
from gateway.domain.people import WRONG_CODES_AN_HOUR, IdentityKey, hash_code
from gateway.errors import Conflict, NotFound
from gateway.store.protocol import Store
from gateway.store.protocol.history import Page, SessionFilter
from gateway.store.protocol.outbox import DeliveryFilter
from tests.store.builders import (
    PROJECT,
    accept_one,
    api_turn,
    claimed_turn,
    commit,
    said,
    talk,
    terms,
    texts,
)
from tests.store.people_builders import CODE, ann, by, heard, link, rule
from tests.store.worlds import FixedClock, World

NOBODY = ParticipantId("par_none")


async def answers(store: Store) -> list[str]:
    """What every person was told, oldest first."""
    found = await store.deliveries(DeliveryFilter(limit=100))
    return [said(one) for one in sorted(found, key=lambda one: (one.created_at, one.out_no))]


async def test_a_code_makes_one_participant_of_two(store: Store) -> None:
    target = await ann(store, name="Ann", data={"tier": "gold", "home": {"city": "Oslo"}})
    before = await talk(store, new=heard("e1"))
    source = before.session.participant_id
    await store.put_data(PROJECT, source, {"tier": "none", "home": {"zip": "0150"}, "age": 7})
    await store.put_data(PROJECT, source, {"of": "Billing"}, agent="Billing")

    accepted = await accept_one(store, link("e2"))

    person = await store.participant(PROJECT, target)
    assert person is not None
    assert accepted.participant_id == target
    assert {(one.platform, one.external_id) for one in person.identities} == {
        ("api", "ann"),
        ("telegram", "100"),
    }
    merged = {"tier": "gold", "home": {"city": "Oslo", "zip": "0150"}, "age": 7}
    assert (await store.data(PROJECT, target)).value == merged
    assert (await store.data(PROJECT, target, agent="Billing")).value == {"of": "Billing"}
    sessions = await store.sessions(
        PROJECT, SessionFilter(participant_id=target), page=Page(limit=10)
    )
    assert [one.id for one in sessions] == [before.session.id]
    assert sessions[0].version == before.session.version + 1
    assert await answers(store) == ["linked"]


async def test_the_former_id_leads_to_whom_it_became(store: Store) -> None:
    target = await ann(store)
    source = (await talk(store, new=heard("e1"))).session.participant_id
    await accept_one(store, link("e2"))

    assert await store.participant(PROJECT, source) is None
    assert await store.current_participant(PROJECT, source) == target
    assert await store.find_participant(source) == (PROJECT, target)
    assert (await store.put_data(PROJECT, source, {"a": 1})).value == {"a": 1}
    called = await accept_one(store, api_turn(participant_id=source))
    assert called.participant_id == target


async def test_a_chain_of_merges_leads_to_its_end(store: Store) -> None:
    keys = [IdentityKey(platform="api", external_id=str(number)) for number in range(3)]
    first, second, third = [(await store.put_participant(PROJECT, key))[0].id for key in keys]

    await store.merge_participants(PROJECT, first, into=second)
    await store.merge_participants(PROJECT, second, into=third)
    again = await store.merge_participants(PROJECT, first, into=third)

    assert [one.external_id for one in again.identities] == ["0", "1", "2"]
    assert await store.current_participant(PROJECT, first) == third


async def test_nobody_is_merged_into_themselves_or_into_nobody(store: Store) -> None:
    target = await ann(store)

    with pytest.raises(Conflict):
        await store.merge_participants(PROJECT, target, into=target)
    with pytest.raises(NotFound):
        await store.merge_participants(PROJECT, target, into=NOBODY)
    with pytest.raises(NotFound):
        await store.merge_participants(PROJECT, NOBODY, into=target)
    with pytest.raises(NotFound):
        await store.add_link_code(PROJECT, NOBODY, code_hash=b"x", life_s=1)


async def test_a_copy_of_a_link_is_answered_once(store: Store) -> None:
    await ann(store)

    copies = [await accept_one(store, link("e1")) for _ in range(3)]

    assert [one.is_new for one in copies] == [True, False, False]
    assert await answers(store) == ["linked"]


async def test_the_same_person_may_send_the_code_again(store: Store) -> None:
    await ann(store)
    await accept_one(store, link("e1"))

    await accept_one(store, link("e2"))

    assert await answers(store) == ["linked", "linked"]


async def test_a_code_links_one_person_only(store: Store) -> None:
    await ann(store)
    await accept_one(store, link("e1"))

    other = await accept_one(store, by(link("e2", is_direct=False), "200"))

    assert await answers(store) == ["linked", "wrong"]
    assert await store.current_participant(PROJECT, other.participant_id or NOBODY) is not None


async def test_two_who_send_a_code_at_the_same_moment_do_not_both_get_it(store: Store) -> None:
    await ann(store)

    await asyncio.gather(
        accept_one(store, link("e1")), accept_one(store, by(link("e2", is_direct=False), "200"))
    )

    assert sorted(await answers(store)) == ["linked", "wrong"]


async def test_a_code_is_over_after_its_time(store: Store, clock: FixedClock) -> None:
    await ann(store)
    clock.advance(600)

    await accept_one(store, link("e1"))

    assert await answers(store) == ["wrong"]


async def test_a_new_code_ends_the_one_before(store: Store) -> None:
    target = await ann(store)
    newer = hash_code(PROJECT, "GHJK-6789")
    await store.add_link_code(PROJECT, target, code_hash=newer, life_s=600)

    await accept_one(store, link("e1"))
    await accept_one(store, link("e2", "ghjk 6789"))

    assert await answers(store) == ["wrong", "linked"]


async def test_after_five_wrong_codes_in_an_hour_even_a_right_one_is_refused(
    store: Store, clock: FixedClock
) -> None:
    await ann(store)
    for number in range(WRONG_CODES_AN_HOUR):
        await accept_one(store, link(f"w{number}", "GHJK-6789"))
    await accept_one(store, link("e1"))
    told = await answers(store)
    clock.advance(3600)
    target = await ann(store)

    accepted = await accept_one(store, link("e2"))

    assert told == ["wrong"] * WRONG_CODES_AN_HOUR + ["too many"]
    assert accepted.participant_id == target


async def test_wrong_codes_of_one_person_do_not_count_for_another(store: Store) -> None:
    await ann(store)
    for number in range(WRONG_CODES_AN_HOUR):
        await accept_one(store, by(link(f"w{number}", "GHJK-6789", is_direct=False), "200"))

    await accept_one(store, link("e1"))

    assert (await answers(store))[-1] == "linked"


async def test_a_copy_of_a_wrong_code_counts_once(store: Store) -> None:
    await ann(store)
    for _ in range(WRONG_CODES_AN_HOUR + 1):
        await accept_one(store, link("w", "GHJK-6789"))

    await accept_one(store, link("e1"))

    assert await answers(store) == ["wrong", "linked"]


async def test_the_code_itself_is_not_stored(store: Store, world: World) -> None:
    await ann(store)
    await accept_one(store, link("e1"))

    assert CODE not in world.dump()
    assert CODE.replace("-", "") not in world.dump()


async def test_a_turn_that_runs_while_its_person_is_merged_is_finished(store: Store) -> None:
    target = await ann(store)
    running = await claimed_turn(store, heard("e1"))

    await accept_one(store, link("e2"))
    committed = await commit(store, running)

    assert committed.is_committed
    session = await store.session(PROJECT, running.session.id)
    assert session is not None
    assert session.participant_id == target


class TestAccess:
    async def test_a_stranger_is_told_at_most_once_a_minute(
        self, store: Store, clock: FixedClock
    ) -> None:
        first = await accept_one(store, heard("e1", access=rule()), claim=terms())
        second = await accept_one(store, heard("e2", access=rule()), claim=terms())
        clock.advance(60)
        third = await accept_one(store, heard("e3", access=rule()), claim=terms())

        assert [one.claimed for one in (first, second, third)] == [None] * 3
        assert [one.state for one in (first, second, third)] == ["done", "cancelled", "done"]
        assert await answers(store) == ["private", "private"]

    async def test_a_strangers_words_are_kept_out_of_every_prompt(self, store: Store) -> None:
        accepted = await accept_one(store, heard("e1", access=rule()))

        turn = await store.turn(PROJECT, accepted.turn_id, with_messages=True)  # type: ignore[arg-type] # it is new
        assert turn is not None
        assert [(one.text, one.visibility) for one in turn.messages] == [
            ("hi", "internal"),
            ("private", "internal"),
        ]

    async def test_who_redeemed_a_code_is_let_in(self, store: Store) -> None:
        await ann(store)
        await accept_one(store, link("e1", access=rule()))

        accepted = await accept_one(store, heard("e2", access=rule()), claim=terms())

        assert accepted.claimed is not None

    async def test_being_known_elsewhere_is_not_enough(self, store: Store) -> None:
        await store.put_participant(PROJECT, IdentityKey(platform="telegram", external_id="100"))

        accepted = await accept_one(store, heard("e1", access=rule()), claim=terms())

        assert accepted.claimed is None

    async def test_in_a_group_each_is_let_in_for_themselves(self, store: Store) -> None:
        await ann(store)
        await accept_one(store, link("e1", access=rule(), is_direct=False))

        stranger = await accept_one(
            store, by(heard("e2", access=rule(), is_direct=False), "200"), claim=terms()
        )
        friend = await accept_one(store, heard("e3", access=rule(), is_direct=False), claim=terms())

        assert stranger.claimed is None
        assert friend.claimed is not None
        visible = [one.text for one in friend.claimed.history if one.visibility == "external"]
        assert visible == ["link ****", "linked", "hi"]

    async def test_nobody_passes_a_rule_that_admits_nobody(self, store: Store) -> None:
        await ann(store)
        await accept_one(store, link("e1"))

        accepted = await accept_one(store, heard("e2", access=rule("nobody")), claim=terms())

        assert accepted.claimed is None
        assert accepted.session_id is not None
        assert (await texts(store, accepted.session_id))[-1] == "private"
        assert len(await answers(store)) == 2
