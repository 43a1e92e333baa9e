"""Participants, identities, and the documents kept about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.domain.ids import ParticipantId
from gateway.domain.people import IdentityKey
from gateway.errors import NotFound, PreconditionFailed, Unprocessable
from gateway.store.protocol import Store
from gateway.store.protocol.history import Page
from tests.store.builders import OTHER_PROJECT, PROJECT

KEY = IdentityKey(platform="api", external_id="7", name="Ann")
NOBODY = ParticipantId("par_none")


async def test_an_identity_leads_to_the_same_participant_every_time(store: Store) -> None:
    first, is_new = await store.put_participant(PROJECT, KEY)

    second, is_new_again = await store.put_participant(PROJECT, KEY)

    assert (is_new, is_new_again) == (True, False)
    assert first == second == await store.participant(PROJECT, first.id)
    assert [one.external_id for one in first.identities] == ["7"]


async def test_the_same_identity_in_another_project_is_another_person(store: Store) -> None:
    first, _ = await store.put_participant(PROJECT, KEY)

    other, is_new = await store.put_participant(OTHER_PROJECT, KEY)

    assert is_new
    assert other.id != first.id
    assert await store.participant(OTHER_PROJECT, first.id) is None


async def test_putting_a_participant_merges_name_and_data(store: Store) -> None:
    first, _ = await store.put_participant(PROJECT, KEY, name="A", data={"a": 1, "b": 2})

    second, _ = await store.put_participant(PROJECT, KEY, name="B", data={"b": 3})

    assert (first.name, second.name) == ("A", "B")
    document = await store.data(PROJECT, first.id)
    assert (document.value, document.version) == ({"a": 1, "b": 3}, 2)


async def test_a_new_name_of_an_identity_is_kept(store: Store) -> None:
    await store.put_participant(PROJECT, KEY)

    renamed, _ = await store.put_participant(
        PROJECT, IdentityKey(platform="api", external_id="7", name="Anna")
    )

    assert renamed.identities[0].name == "Anna"


async def test_only_what_is_given_changes(store: Store) -> None:
    made, _ = await store.put_participant(PROJECT, KEY)
    await store.change_participant(PROJECT, made.id, metadata={"a": 1})

    changed = await store.change_participant(PROJECT, made.id, name="B")

    assert changed is not None
    assert (changed.name, changed.metadata) == ("B", {"a": 1})
    assert changed.updated_at > made.updated_at
    assert await store.change_participant(PROJECT, NOBODY, name="B") is None


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_paging_shows_every_participant_once(store: Store, order: Any) -> None:
    made = []
    for number in range(5):
        key = IdentityKey(platform="api", external_id=str(number))
        made.append((await store.put_participant(PROJECT, key))[0].id)

    seen: list[ParticipantId] = []
    page = Page(limit=2, order=order)
    while found := await store.participants(PROJECT, page=page):
        seen += [one.id for one in found]
        moment = found[-1].created_at - datetime(1970, 1, 1, tzinfo=UTC)
        after = (moment // timedelta(microseconds=1), found[-1].id)
        page = Page(limit=2, order=order, after=after)

    assert seen == (made if order == "asc" else made[::-1])


async def test_a_list_shows_each_participant_with_the_identities_of_its_own(store: Store) -> None:
    for number in range(3):
        key = IdentityKey(platform="api", external_id=str(number))
        await store.put_participant(PROJECT, key)
        await store.put_participant(OTHER_PROJECT, key)

    found = await store.participants(PROJECT, page=Page(limit=10, order="asc"))

    assert [[one.external_id for one in each.identities] for each in found] == [["0"], ["1"], ["2"]]
    assert {one.project_id for each in found for one in each.identities} == {PROJECT}


async def test_a_document_is_replaced_and_counted(store: Store) -> None:
    made, _ = await store.put_participant(PROJECT, KEY)

    first = await store.put_data(PROJECT, made.id, {"a": 1}, if_version=0)
    second = await store.put_data(PROJECT, made.id, {"b": 2}, if_version=1)

    assert (first.version, second.version) == (1, 2)
    assert (await store.data(PROJECT, made.id)).value == {"b": 2}


async def test_a_document_of_another_version_is_not_replaced(store: Store) -> None:
    made, _ = await store.put_participant(PROJECT, KEY)
    await store.put_data(PROJECT, made.id, {"a": 1})

    with pytest.raises(PreconditionFailed):
        await store.put_data(PROJECT, made.id, {"a": 2}, if_version=0)

    assert (await store.data(PROJECT, made.id)).value == {"a": 1}


async def test_each_agent_keeps_its_own_document(store: Store) -> None:
    made, _ = await store.put_participant(PROJECT, KEY)
    await store.put_data(PROJECT, made.id, {"of": "Billing"}, agent="Billing")

    assert (await store.data(PROJECT, made.id)).version == 0
    assert (await store.data(PROJECT, made.id, agent="Billing")).value == {"of": "Billing"}


async def test_a_document_needs_a_known_participant(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.put_data(PROJECT, NOBODY, {})


async def test_a_document_that_cannot_be_stored_is_refused(store: Store) -> None:
    made, _ = await store.put_participant(PROJECT, KEY)

    for bad in ({"a": ["b\0"]}, {"a": "\ud83d"}, {"a": {1, 2}}, {"a": float("nan")}):
        with pytest.raises(Unprocessable):
            await store.put_data(PROJECT, made.id, bad)
