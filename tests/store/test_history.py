"""Sessions and messages as readers see and change them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.contract import Address
from gateway.domain.conversation import Session, ToolCall
from gateway.domain.delivery import DeliveryView
from gateway.domain.ids import MessageId, ParticipantId, SessionId, new_session_id
from gateway.domain.people import IdentityKey
from gateway.errors import Conflict, NotFound, PreconditionFailed, Unprocessable
from gateway.store.protocol import Store
from gateway.store.protocol.history import NewSession, Page, SessionChanges, SessionFilter
from tests.store.builders import (
    CHAT,
    OTHER_PROJECT,
    PROJECT,
    accept_one,
    api_turn,
    begin_sends,
    chat_turn,
    claimed_turn,
    commit,
    end_send,
    event,
    message,
    part,
    repeat_key,
    reply,
    said,
    talk,
    terms,
    texts,
)
from tests.store.worlds import FixedClock, World


async def person(store: Store, external_id: str = "7") -> ParticipantId:
    """A participant."""
    key = IdentityKey(platform="api", external_id=external_id)
    return (await store.put_participant(PROJECT, key))[0].id


async def make(store: Store, **fields: Any) -> Session:
    """A session without a message."""
    values: dict[str, Any] = {
        "id": new_session_id(),
        "project_id": PROJECT,
        "bot": "support",
        "channel": "api",
        "participant_id": fields.get("participant_id") or await person(store),
    }
    return await store.create_session(NewSession(**{**values, **fields}))


def changes(**fields: Any) -> SessionChanges:
    """Changes of exactly these fields."""
    return SessionChanges(fields=frozenset(fields), **fields)


class TestMaking:
    async def test_a_session_can_be_made_before_its_first_message(self, store: Store) -> None:
        made = await make(
            store, agent="Billing", title="T", metadata={"a": 1}, state={"b": [2]}, address=CHAT
        )

        assert made == await store.session(PROJECT, made.id)
        assert (made.agent, made.title, made.metadata, made.state, made.address) == (
            "Billing",
            "T",
            {"a": 1},
            {"b": [2]},
            CHAT,
        )

    async def test_a_session_needs_a_known_participant(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await make(store, participant_id=ParticipantId("par_none"))

    async def test_a_session_id_is_given_once(self, store: Store) -> None:
        made = await make(store)

        with pytest.raises(Conflict):
            await make(store, id=made.id)

    async def test_a_session_of_another_project_is_not_seen(self, store: Store) -> None:
        made = await make(store)

        assert await store.session(OTHER_PROJECT, made.id) is None


class TestListing:
    @pytest.mark.parametrize("order", ["asc", "desc"])
    async def test_paging_shows_every_session_once(self, store: Store, order: Any) -> None:
        made = [(await make(store)).id for _ in range(7)]
        page, seen = Page(limit=3, order=order), []

        while found := await store.sessions(PROJECT, SessionFilter(), page=page):
            seen += [one.id for one in found]
            page = replace(page, after=_key(found[-1]))

        assert seen == (made if order == "asc" else made[::-1])

    async def test_sessions_are_listed_by_what_is_asked(self, store: Store) -> None:
        billing = await make(store, agent="Billing", channel="web", bot="other")
        await store.change_session(PROJECT, billing.id, changes(tags=("vip", "paid")))
        ended = await make(store, participant_id=await person(store, "8"))
        await store.end_session(PROJECT, ended.id, reason="api")

        asked = {
            billing.id: [
                SessionFilter(agent="Billing"),
                SessionFilter(channel="web"),
                SessionFilter(bot="other"),
                SessionFilter(bots=frozenset({"other", "third"})),
                SessionFilter(tag="vip"),
                SessionFilter(status="active"),
            ],
            ended.id: [
                SessionFilter(status="ended"),
                SessionFilter(participant_id=ended.participant_id),
                SessionFilter(bots=frozenset({"support"}), channel="api"),
            ],
        }

        for session_id, filters in asked.items():
            for which in filters:
                found = await store.sessions(PROJECT, which, page=Page())
                assert [one.id for one in found] == [session_id], which
        assert await store.sessions(OTHER_PROJECT, SessionFilter(), page=Page()) == []

    async def test_sessions_are_listed_by_their_last_change(
        self, store: Store, clock: FixedClock
    ) -> None:
        old = await make(store)
        clock.advance(100)
        between = _now(clock)
        clock.advance(100)
        new = await make(store)

        after = await store.sessions(PROJECT, SessionFilter(updated_after=between), page=Page())
        before = await store.sessions(PROJECT, SessionFilter(updated_before=between), page=Page())

        assert ([one.id for one in after], [one.id for one in before]) == ([new.id], [old.id])


class TestChanging:
    async def test_only_the_named_fields_change(self, store: Store) -> None:
        made = await make(store, title="T", metadata={"a": 1}, agent="Billing")

        changed = await store.change_session(
            PROJECT, made.id, changes(title="U", tags=("b", "a", "b"), state={"n": 1})
        )

        assert changed == await store.session(PROJECT, made.id)
        assert changed is not None
        assert (changed.title, changed.tags, changed.state) == ("U", ("a", "b"), {"n": 1})
        assert (changed.metadata, changed.agent) == ({"a": 1}, "Billing")
        assert changed.version == made.version + 1

    async def test_a_change_of_another_version_is_refused(self, store: Store) -> None:
        made = await make(store)
        await store.change_session(PROJECT, made.id, changes(title="U"), if_version=1)

        with pytest.raises(PreconditionFailed):
            await store.change_session(PROJECT, made.id, changes(title="V"), if_version=1)

    async def test_an_unknown_session_cannot_be_changed(self, store: Store) -> None:
        unknown = SessionId("ses_none")

        assert await store.change_session(PROJECT, unknown, changes(title="U")) is None
        assert await store.end_session(PROJECT, unknown, reason="api") is None
        assert not await store.delete_session(PROJECT, unknown)

    async def test_a_session_is_ended_once(self, store: Store) -> None:
        made = await make(store)
        first = await store.end_session(PROJECT, made.id, reason="api")

        second = await store.end_session(PROJECT, made.id, reason="other")

        assert first == second
        assert first is not None
        assert (first.status, first.end_reason) == ("ended", "api")

    async def test_a_title_that_cannot_be_stored_is_refused(self, store: Store) -> None:
        made = await make(store)

        with pytest.raises(Unprocessable):
            await store.change_session(PROJECT, made.id, changes(title="a\0b"))

    async def test_the_agent_that_was_set_answers_next(self, store: Store) -> None:
        claimed = await talk(store)
        await store.change_session(PROJECT, claimed.session.id, changes(agent="Billing"))

        assert (await claimed_turn(store)).session.agent == "Billing"


class TestDeleting:
    async def test_a_deleted_session_is_gone_from_every_table(
        self, store: Store, world: World
    ) -> None:
        claimed = await talk(store, parts=2, new=chat_turn("secret", event=event("1")))
        call = ToolCall("c", "t", '{"of":"secret"}')
        await store.change_session(PROJECT, claimed.session.id, changes(tags=("secret",)))
        running = await claimed_turn(store, chat_turn("secret", idempotency=repeat_key("k")))
        await store.begin_tool(running.lease, running.turn.id, step=0, call=call)
        await accept_one(store, chat_turn("secret"))

        assert await store.delete_session(PROJECT, claimed.session.id)

        dump = world.dump()
        assert "secret" not in dump
        assert claimed.session.id not in dump
        assert claimed.turn.id not in dump

    async def test_a_copy_of_a_deleted_sessions_event_still_makes_no_turn(
        self, store: Store
    ) -> None:
        claimed = await talk(store, new=chat_turn(event=event("1")))
        await store.delete_session(PROJECT, claimed.session.id)

        copy = await accept_one(store, chat_turn(event=event("1")))

        assert not copy.is_new

    async def test_the_next_message_of_its_chat_starts_a_new_session(self, store: Store) -> None:
        claimed = await talk(store)
        await store.delete_session(PROJECT, claimed.session.id)

        again = await claimed_turn(store)

        assert again.session.id != claimed.session.id
        assert [one.text for one in again.history] == ["hi"]

    async def test_a_deleted_session_frees_the_lane_of_its_chat(self, store: Store) -> None:
        first = await talk(store, "one", parts=1)
        await begin_sends(store)
        await talk(store, parts=1, new=chat_turn("two", fresh_session=True))

        await store.delete_session(PROJECT, first.session.id)

        assert [said(one) for one in await begin_sends(store)] == ["re: two 0"]

    async def test_a_session_of_another_project_cannot_be_deleted(self, store: Store) -> None:
        claimed = await talk(store)

        assert not await store.delete_session(OTHER_PROJECT, claimed.session.id)


class TestMessages:
    @pytest.mark.parametrize("order", ["asc", "desc"])
    async def test_paging_shows_every_message_once(self, store: Store, order: Any) -> None:
        for number in range(5):
            claimed = await talk(store, f"m{number}")
        page, seen = Page(limit=3, order=order), []

        while found := await store.messages(PROJECT, claimed.session.id, page=page):
            seen += [one.seq for one in found]
            page = replace(page, after=(found[-1].seq,))

        assert seen == sorted(seen, reverse=order == "desc")
        assert sorted(seen) == list(range(1, 11))

    async def test_internal_messages_are_shown_only_to_those_who_ask(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        note = message("note", "assistant", visibility="internal")
        await commit(store, claimed, replace(reply("said"), messages=(note,)))

        shown = await store.messages(PROJECT, claimed.session.id, page=Page())

        assert [one.text for one in shown] == ["hi"]
        assert await texts(store, claimed.session.id) == ["hi", "note"]

    async def test_a_message_shows_how_its_delivery_fared(self, store: Store) -> None:
        claimed = await talk(store, parts=2)
        seen = [await _view(store, claimed.session.id)]
        (first,) = await begin_sends(store)
        (second,) = await end_send(store, first, provider_id="55")
        seen.append(await _view(store, claimed.session.id))
        await end_send(store, second, "dead", error="refused")
        seen.append(await _view(store, claimed.session.id))

        assert seen == [
            DeliveryView("pending"),
            DeliveryView("pending", "55"),
            DeliveryView("failed", "55", "refused"),
        ]

    async def test_messages_of_another_project_are_not_seen(self, store: Store) -> None:
        claimed = await talk(store)

        assert await store.messages(OTHER_PROJECT, claimed.session.id, page=Page()) == []


class TestTraces:
    async def test_a_trace_tells_what_happened_in_each_turn(self, store: Store) -> None:
        claimed = await claimed_turn(store, chat_turn("one"))
        call = ToolCall("c", "get_balance", "{}")
        await store.begin_tool(claimed.lease, claimed.turn.id, step=0, call=call)
        await commit(store, claimed, reply("re: one", parts=2))
        second = await talk(store, "two")

        first_trace, second_trace = await store.traces(PROJECT, claimed.session.id)
        (only,) = await store.traces(PROJECT, claimed.session.id, turn_id=second.turn.id)

        assert [one.text for one in first_trace.turn.messages] == ["one", "re: one"]
        assert [tool.call for tool in first_trace.tools] == [call]
        assert [said(one) for one in first_trace.deliveries] == ["re: one 0", "re: one 1"]
        assert only == second_trace

    async def test_every_id_leads_to_its_project_and_its_turn(self, store: Store) -> None:
        await talk(store, new=api_turn(project_id=OTHER_PROJECT))
        claimed = await talk(store, parts=1)
        (delivery,) = await begin_sends(store)
        reply_id = (await store.messages(PROJECT, claimed.session.id, page=Page()))[0].id

        for identifier in (claimed.session.id, claimed.turn.id, reply_id, delivery.id):
            assert await store.find_project(identifier) == PROJECT
        for identifier in (reply_id, delivery.id):
            assert await store.turn_of(PROJECT, identifier) == claimed.turn.id
        assert await store.find_project("ses_none") is None
        assert await store.turn_of(OTHER_PROJECT, MessageId(reply_id)) is None


async def test_readers_see_what_was_just_written(store: Store) -> None:
    for number in range(20):
        accepted = await accept_one(store, api_turn(f"m{number}"), claim=terms())
        assert accepted.session_id is not None
        assert await texts(store, accepted.session_id) == [f"m{number}"]


async def test_a_turn_to_a_thread_is_answered_there(store: Store) -> None:
    thread = Address("tg", "100", "7")
    claimed = await claimed_turn(store, chat_turn(address=thread))
    await commit(store, claimed, replace(reply(), deliveries=(part(),)))

    (delivery,) = await begin_sends(store)

    assert delivery.address == thread


def _key(session: Session) -> tuple[int, str]:
    moment = session.created_at - datetime(1970, 1, 1, tzinfo=UTC)
    return moment // timedelta(microseconds=1), session.id


def _now(clock: Callable[[], int]) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=clock())


async def _view(store: Store, session_id: SessionId) -> DeliveryView | None:
    return (await store.messages(PROJECT, session_id, page=Page(limit=1)))[0].delivery
