"""T1: what is written before anything is acknowledged."""

import asyncio
from datetime import UTC
from itertools import pairwise

import pytest

from gateway.contract import Address
from gateway.domain.conversation import FilePart, ImagePart, TextPart
from gateway.domain.ids import ParticipantId, SessionId, new_session_id
from gateway.domain.people import IdentityKey
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import TurnOptions
from gateway.errors import Conflict, NotFound, TooMany, Unavailable, Unprocessable
from gateway.store.protocol import Store
from gateway.store.protocol.history import Page, SessionFilter
from gateway.store.protocol.inbox import Cursor, TerminalTurn
from tests.store.builders import (
    CHAT,
    OTHER_PROJECT,
    PROJECT,
    accept,
    accept_one,
    api_turn,
    chat_turn,
    claim_one,
    claimed_turn,
    command,
    commit,
    event,
    message,
    part,
    repeat_key,
    reply,
    state_of,
    talk,
    terms,
    texts,
)
from tests.store.worlds import FixedClock, World


class TestDedupe:
    async def test_a_second_copy_of_an_event_gets_the_first_receipt(self, store: Store) -> None:
        first = await accept_one(store, chat_turn(event=event("1")))

        copy = await accept_one(store, chat_turn(event=event("1")))

        assert (copy.is_new, copy.turn_id, copy.session_id) == (
            False,
            first.turn_id,
            first.session_id,
        )
        assert len(await store.claim(terms())) == 1

    async def test_a_copy_is_known_by_its_second_id(self, store: Store) -> None:
        first = await accept_one(store, chat_turn(event=event("1", second_id="C1:170.1")))

        copy = await accept_one(store, chat_turn(event=event("2", second_id="C1:170.1")))

        assert (copy.is_new, copy.turn_id, copy.digest_differs) == (False, first.turn_id, False)

    async def test_a_copy_within_one_batch_is_a_copy(self, store: Store) -> None:
        first, copy = await accept(store, chat_turn(event=event("1")), chat_turn(event=event("1")))

        assert (first.is_new, copy.is_new) == (True, False)

    async def test_an_event_with_another_body_is_not_run(self, store: Store) -> None:
        first = await accept_one(store, chat_turn(event=event("1", body="a")))

        other = await accept_one(store, chat_turn(event=event("1", body="b")))

        assert (other.is_new, other.digest_differs) == (False, True)
        assert await texts(store, _session(first)) == ["hi"]

    async def test_the_same_event_id_of_another_project_is_another_event(
        self, store: Store
    ) -> None:
        await accept_one(store, chat_turn(event=event("1")))

        other = await accept_one(store, chat_turn(event=event("1"), project_id=OTHER_PROJECT))

        assert other.is_new

    async def test_a_copy_tells_what_became_of_the_turn(self, store: Store) -> None:
        await talk(store, new=chat_turn(event=event("1")))

        copy = await accept_one(store, chat_turn(event=event("1")))

        assert copy.state == "done"


class TestRepeats:
    async def test_a_repeated_call_gets_the_turn_of_the_first(self, store: Store) -> None:
        first = await accept_one(store, api_turn(idempotency=repeat_key("k")))

        again = await accept_one(store, api_turn(idempotency=repeat_key("k")))

        assert (again.is_new, again.turn_id) == (False, first.turn_id)
        assert again.turn is not None
        assert again.turn.id == first.turn_id

    async def test_a_key_of_another_request_is_refused(self, store: Store) -> None:
        await accept_one(store, api_turn(idempotency=repeat_key("k", body="a")))

        with pytest.raises(Unprocessable) as refused:
            await accept_one(store, api_turn(idempotency=repeat_key("k", body="b")))

        assert refused.value.code == "idempotency_key_reused"

    async def test_repeats_at_the_same_moment_make_one_turn(self, store: Store) -> None:
        accepted = await asyncio.gather(
            *(accept_one(store, api_turn(idempotency=repeat_key("k"))) for _ in range(20))
        )

        assert len({one.turn_id for one in accepted}) == 1
        assert sum(one.is_new for one in accepted) == 1


class TestPlaces:
    async def test_a_chat_keeps_its_session_and_its_person(self, store: Store) -> None:
        first = await accept_one(store, chat_turn("one"))

        second = await accept_one(store, chat_turn("two"))

        assert first.session_id == second.session_id
        assert first.participant_id == second.participant_id
        assert await texts(store, _session(first)) == ["one", "two"]

    async def test_a_thread_of_a_chat_has_its_own_session(self, store: Store) -> None:
        first = await accept_one(store, chat_turn())

        other = await accept_one(store, chat_turn(address=Address("tg", "100", "7")))

        assert first.session_id != other.session_id

    async def test_a_new_identity_makes_a_participant_with_its_name(self, store: Store) -> None:
        accepted = await accept_one(store, chat_turn())

        assert accepted.participant_id is not None
        person = await store.participant(PROJECT, accepted.participant_id)
        assert person is not None
        assert person.name == "Ann"
        assert [identity.external_id for identity in person.identities] == ["100"]

    async def test_a_turn_for_an_unknown_session_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await accept_one(store, api_turn(session_id=new_session_id()))

    async def test_a_session_of_another_project_is_not_found(self, store: Store) -> None:
        accepted = await accept_one(store, api_turn())

        with pytest.raises(NotFound):
            await accept_one(
                store, api_turn(session_id=accepted.session_id, project_id=OTHER_PROJECT)
            )

    async def test_an_unknown_participant_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await accept_one(store, api_turn(participant_id=ParticipantId("par_none")))

    async def test_an_ended_session_takes_nothing_unless_it_is_reopened(self, store: Store) -> None:
        accepted = await accept_one(store, api_turn())
        await store.end_session(PROJECT, _session(accepted), reason="api")

        with pytest.raises(Conflict) as refused:
            await accept_one(store, api_turn(session_id=accepted.session_id))
        await accept_one(store, api_turn(session_id=accepted.session_id, reopens=True))

        assert refused.value.code == "session_ended"
        session = await store.session(PROJECT, _session(accepted))
        assert session is not None
        assert session.status == "active"

    async def test_the_next_message_of_an_ended_chat_starts_a_new_session(
        self, store: Store
    ) -> None:
        first = await accept_one(store, chat_turn())
        await accept_one(store, command("/new", ends_session="new"))

        second = await accept_one(store, chat_turn())

        assert second.session_id != first.session_id

    async def test_a_session_ends_after_its_idle_time(
        self, store: Store, clock: FixedClock
    ) -> None:
        first = await talk(store)
        clock.advance(3601)

        second = await accept_one(store, chat_turn(session_idle_s=3600))

        assert second.session_id != first.session.id
        ended = await store.session(PROJECT, first.session.id)
        assert ended is not None
        assert ended.end_reason == "idle"

    async def test_another_bot_on_the_channel_starts_a_new_session(self, store: Store) -> None:
        first = await accept_one(store, chat_turn())

        second = await accept_one(store, chat_turn(bot="other"))

        assert second.session_id != first.session_id

    async def test_a_fresh_session_gets_the_id_it_is_given(self, store: Store) -> None:
        wanted = new_session_id()

        accepted = await accept_one(store, api_turn(session_id=wanted, fresh_session=True))

        assert accepted.session_id == wanted
        with pytest.raises(Conflict):
            await accept_one(store, api_turn(session_id=wanted, fresh_session=True))

    async def test_a_fresh_session_becomes_the_current_one_of_its_chat(self, store: Store) -> None:
        await accept_one(store, chat_turn())

        fresh = await accept_one(store, chat_turn(fresh_session=True))

        assert (await accept_one(store, chat_turn())).session_id == fresh.session_id

    async def test_a_new_session_has_its_first_agent_and_metadata(self, store: Store) -> None:
        accepted = await accept_one(
            store, api_turn(start_agent="Billing", session_metadata={"a": "b"})
        )

        session = await store.session(PROJECT, _session(accepted))
        assert session is not None
        assert (session.agent, session.metadata) == ("Billing", {"a": "b"})


class TestContent:
    async def test_every_kind_of_content_comes_back_as_it_was(self, store: Store) -> None:
        content = (
            TextPart("Grüße 👋"),
            ImagePart("https://example.org/a.png"),
            FilePart("file_1", "a.pdf", "application/pdf", 12),
        )
        said = message("", message_ref="55")
        new = api_turn(message=type(said)(id=said.id, role="user", content=content))

        claimed = await claimed_turn(store, new)

        page = Page(order="asc")
        stored = (await store.messages(PROJECT, claimed.session.id, page=page))[0]
        assert stored.content == content
        assert claimed.history[0].content == content

    async def test_options_of_a_turn_come_back_as_they_were(self, store: Store) -> None:
        options = TurnOptions(
            context={"user": {"id": 7}}, client_tools=True, timeout_s=12.5, locale="nb"
        )
        accepted = await accept_one(store, api_turn(options=options))

        claimed = await claim_one(store)

        assert claimed.turn.id == accepted.turn_id
        assert claimed.turn.options == options

    @pytest.mark.parametrize("text", ["a\0b", "half \ud83d pair"])
    async def test_text_that_cannot_be_stored_is_refused_whole(
        self, store: Store, text: str
    ) -> None:
        with pytest.raises(Unprocessable) as refused:
            await accept(store, api_turn("fine"), api_turn(text))

        assert refused.value.code == "invalid_text"
        assert await _sessions(store) == 0

    @pytest.mark.parametrize("text", ["a\0b", "half \udc00 pair"])
    async def test_documents_and_names_are_checked_too(self, store: Store, text: str) -> None:
        bad = [
            api_turn(options=TurnOptions(context={"deep": [{"text": text}]})),
            api_turn(identity=IdentityKey(platform="api", external_id=text)),
            api_turn(session_metadata={text: "x"}),
            chat_turn(address=Address("tg", text)),
            chat_turn(event=event(text)),
        ]

        for new in bad:
            with pytest.raises(Unprocessable):
                await accept_one(store, new)
        assert await _sessions(store) == 0

    async def test_text_that_looks_like_sql_is_only_text(self, store: Store) -> None:
        text = "'; DROP TABLE message; --"

        accepted = await accept_one(store, chat_turn(text, address=Address("tg", text)))

        assert await texts(store, _session(accepted)) == [text]


class TestBatches:
    async def test_a_batch_is_written_whole_or_not_at_all(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await accept(
                store,
                chat_turn(event=event("1")),
                api_turn(session_id=SessionId("ses_none")),
                cursor=Cursor("bot1", "offset", "11"),
            )

        assert await store.cursor("bot1", "offset") is None
        assert (await accept_one(store, chat_turn(event=event("1")))).is_new

    async def test_the_cursor_is_committed_with_its_batch(self, store: Store, world: World) -> None:
        await accept(store, chat_turn(), cursor=Cursor("bot1", "offset", "11"))
        await accept(store, chat_turn(), cursor=Cursor("bot1", "offset", "12"))

        async with world.open() as again:
            assert await again.cursor("bot1", "offset") == "12"

    async def test_an_empty_batch_moves_the_cursor(self, store: Store) -> None:
        assert await accept(store, cursor=Cursor("bot1", "offset", "5")) == []

        assert await store.cursor("bot1", "offset") == "5"

    async def test_messages_of_a_session_are_numbered_without_gap_and_rise_in_time(
        self, store: Store
    ) -> None:
        accepted = await accept(store, *(chat_turn(f"m{number}") for number in range(5)))

        page = Page(limit=10, order="asc")
        stored = await store.messages(PROJECT, _session(accepted[0]), page=page)
        times = [one.created_at for one in stored]
        assert [one.seq for one in stored] == [1, 2, 3, 4, 5]
        assert all(a and b and a < b for a, b in pairwise(times))
        assert times[0] is not None
        assert times[0].tzinfo is UTC

    async def test_what_was_accepted_is_there_after_reopening(self, world: World) -> None:
        async with world.open() as store:
            accepted = await accept_one(store, chat_turn("kept"))

        async with world.open() as again:
            assert await texts(again, _session(accepted)) == ["kept"]


class TestClaimsAtOnce:
    async def test_a_turn_of_an_idle_session_is_claimed_in_the_same_commit(
        self, store: Store
    ) -> None:
        accepted = await accept_one(store, chat_turn("hi"), claim=terms())

        assert accepted.state == "running"
        assert accepted.claimed is not None
        turn = accepted.claimed.turn
        assert (turn.state, turn.attempts, turn.crash_count) == ("running", 1, 1)
        assert [one.text for one in accepted.claimed.history] == ["hi"]
        assert accepted.claimed.session.address == CHAT
        assert await store.turn(PROJECT, turn.id) == turn

    async def test_a_busy_session_is_not_claimed(self, store: Store) -> None:
        await claimed_turn(store)

        second = await accept_one(store, chat_turn("two"), claim=terms())

        assert (second.state, second.claimed) == ("queued", None)

    async def test_no_more_turns_are_claimed_than_there_are_slots(self, store: Store) -> None:
        accepted = await accept(
            store,
            *(chat_turn(address=Address("tg", str(number))) for number in range(5)),
            claim=terms(limit=2),
        )

        assert [one.state for one in accepted] == ["running"] * 2 + ["queued"] * 3

    async def test_nobody_overtakes_a_session_that_waits(self, store: Store) -> None:
        await accept_one(store, chat_turn(address=Address("tg", "1")))

        late = await accept_one(store, chat_turn(address=Address("tg", "2")), claim=terms())

        assert late.state == "queued"
        assert (await claim_one(store)).session.address == Address("tg", "1")

    async def test_a_later_turn_sees_the_earlier_talk(self, store: Store) -> None:
        await talk(store, "one")

        claimed = await claimed_turn(store, chat_turn("two"))

        assert [one.text for one in claimed.history] == ["one", "re: one", "two"]


class TestTerminalTurns:
    async def test_a_command_is_written_with_its_answer(self, store: Store) -> None:
        accepted = await accept_one(
            store,
            command("/help", messages=(message("help text", "assistant"),), deliveries=(part(),)),
            claim=terms(),
        )

        assert (accepted.state, accepted.claimed) == ("done", None)
        assert await texts(store, _session(accepted)) == ["/help", "help text"]
        session = await store.session(PROJECT, _session(accepted))
        assert session is not None
        assert session.pending == 0

    async def test_a_command_can_stop_everything_of_its_session(self, store: Store) -> None:
        running = await claimed_turn(store)
        queued = await accept_one(store, chat_turn("two"))

        await accept_one(store, command("/stop", cancels=True))

        news = await store.heartbeat([running.lease], lease_s=30)
        assert news.cancel_requested == {running.turn.id}
        assert await state_of(store, queued.turn_id) == "cancelled"

    async def test_a_refused_message_is_kept_as_a_failed_turn(self, store: Store) -> None:
        accepted = await accept_one(store, chat_turn(terminal=TerminalTurn(state="failed")))

        assert await state_of(store, accepted.turn_id) == "failed"
        assert await store.claim(terms()) == []


class TestBounds:
    LIMITS = QueueLimits(queued_per_session=2, queued_per_project=4, queued=6)

    async def test_a_full_session_refuses_a_caller(self, store: Store) -> None:
        first = await accept_one(store, api_turn(), limits=self.LIMITS)
        session_id = first.session_id
        await accept_one(store, api_turn(session_id=session_id), limits=self.LIMITS)

        with pytest.raises(Conflict) as refused:
            await accept_one(store, api_turn(session_id=session_id), limits=self.LIMITS)

        assert refused.value.code == "session_busy"
        assert len(await texts(store, _session(first))) == 2

    async def test_a_full_session_joins_a_message_to_its_newest_turn(self, store: Store) -> None:
        accepted = [
            await accept_one(store, chat_turn(f"m{number}"), limits=self.LIMITS)
            for number in range(3)
        ]

        assert accepted[2].was_joined
        assert accepted[2].turn_id == accepted[1].turn_id
        first, second = await claim_one(store), None
        await commit(store, first)
        second = await claim_one(store)
        assert [one.text for one in second.history][-2:] == ["m1", "m2"]

    async def test_a_full_project_refuses_its_callers_and_no_others(self, store: Store) -> None:
        for _ in range(4):
            await accept_one(store, api_turn(), limits=self.LIMITS)

        with pytest.raises(TooMany) as refused:
            await accept_one(store, api_turn(), limits=self.LIMITS)
        other = await accept_one(store, api_turn(project_id=OTHER_PROJECT), limits=self.LIMITS)

        assert refused.value.retry_after_s == 5
        assert other.is_new
        assert await _sessions(store) == 4

    async def test_a_full_gateway_is_unavailable(self, store: Store) -> None:
        for number in range(6):
            project = PROJECT if number < 3 else OTHER_PROJECT
            await accept_one(store, api_turn(project_id=project), limits=self.LIMITS)

        with pytest.raises(Unavailable):
            await accept_one(store, api_turn(), limits=self.LIMITS)

    async def test_a_chat_of_a_full_project_is_told_so_at_most_once_a_minute(
        self, store: Store, clock: FixedClock
    ) -> None:
        for _ in range(4):
            await accept_one(store, api_turn(), limits=self.LIMITS)

        accepted = []
        for _ in range(3):
            new = chat_turn(busy_reply=(part("busy"),))
            accepted.append(await accept_one(store, new, limits=self.LIMITS))
            clock.advance(25)
        clock.advance(25)
        new = chat_turn(busy_reply=(part("busy"),))
        accepted.append(await accept_one(store, new, limits=self.LIMITS))

        assert [one.state for one in accepted] == ["failed"] * 4
        turns = await store.traces(PROJECT, _session(accepted[0]))
        assert [len(trace.deliveries) for trace in turns] == [1, 0, 0, 1]

    async def test_room_comes_back_when_turns_are_done(self, store: Store) -> None:
        for _ in range(4):
            await accept_one(store, api_turn(), limits=self.LIMITS)
        for claimed in await store.claim(terms()):
            await commit(store, claimed)

        accepted = await accept_one(store, api_turn(), limits=self.LIMITS)

        assert accepted.is_new


class TestJoining:
    async def test_quick_messages_join_the_turn_that_still_gathers(
        self, store: Store, clock: FixedClock
    ) -> None:
        first = await accept_one(store, chat_turn("one", delay_s=2), claim=terms())
        clock.advance(1)
        second = await accept_one(store, chat_turn("two", delay_s=2), claim=terms())

        assert (first.state, second.was_joined, second.turn_id) == ("queued", True, first.turn_id)
        clock.advance(1.5)
        assert await store.claim(terms()) == []
        clock.advance(1)
        assert [one.text for one in (await claim_one(store)).history] == ["one", "two"]

    async def test_gathering_ends_even_if_messages_keep_coming(
        self, store: Store, clock: FixedClock
    ) -> None:
        accepted = []
        for number in range(20):
            accepted.append(await accept_one(store, chat_turn(f"m{number}", delay_s=2)))
            clock.advance(1)

        assert len({one.turn_id for one in accepted}) > 1
        assert await store.claim(terms()) != []

    async def test_messages_of_one_album_make_one_turn(self, store: Store) -> None:
        first = await accept_one(store, chat_turn("a", group_id="album", delay_s=1))
        second = await accept_one(store, chat_turn("b", group_id="album", delay_s=1))
        other = await accept_one(store, chat_turn("c", group_id="other"))

        assert second.turn_id == first.turn_id
        assert other.turn_id != first.turn_id

    async def test_a_joined_event_is_known_as_a_copy(self, store: Store) -> None:
        first = await accept_one(store, chat_turn("one", delay_s=2, event=event("1")))
        await accept_one(store, chat_turn("two", delay_s=2, event=event("2")))

        copy = await accept_one(store, chat_turn("two", delay_s=2, event=event("2")))

        assert (copy.is_new, copy.turn_id) == (False, first.turn_id)
        assert await texts(store, _session(first)) == ["one", "two"]

    async def test_a_turn_that_runs_takes_no_further_message(self, store: Store) -> None:
        running = await claimed_turn(store)

        second = await accept_one(store, chat_turn("two", group_id="g"))

        assert second.turn_id != running.turn.id

    async def test_a_turn_that_is_tried_again_takes_no_further_message(self, store: Store) -> None:
        claimed = await claimed_turn(store)
        await commit(store, claimed, reply(state="queued", messages=()))

        second = await accept_one(store, chat_turn("two", delay_s=5))

        assert second.turn_id != claimed.turn.id


async def _sessions(store: Store) -> int:
    return len(await store.sessions(PROJECT, SessionFilter(), page=Page(limit=100)))


def _session(accepted: object) -> SessionId:
    session_id = getattr(accepted, "session_id", None)
    assert session_id is not None
    return SessionId(session_id)
