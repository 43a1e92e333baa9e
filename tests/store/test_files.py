"""Files: bytes in pieces, what becomes visible when, whom they belong to, and when they go."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.conversation import FilePart, Message, TextPart
from gateway.domain.files import StoredFile
from gateway.domain.ids import FileId, SessionId, new_file_id, new_message_id
from gateway.domain.policy import Retention
from gateway.domain.turns import ClaimedTurn
from gateway.errors import StoreError
from gateway.store.protocol import Store
from gateway.store.protocol.files import FileUse
from gateway.store.protocol.inbox import EditMessage
from tests.store.builders import (
    ACCOUNT,
    CHAT,
    OTHER_PROJECT,
    PROJECT,
    accept_one,
    api_turn,
    chat_turn,
    claim_one,
    claimed_turn,
    commit,
    event,
    kept,
    write,
)
from tests.store.worlds import FixedClock, World

GIVEN = FilePart("photo-1", "cat.png", "image/png", 6, kind="image")
HOUR_S = 3_600
DAY_S = 24 * HOUR_S


async def bytes_of(store: Store, file_id: FileId) -> bytes | None:
    """The bytes of a file; None when nobody sees it."""
    if await store.file(PROJECT, file_id) is None:
        assert await store.file_piece(PROJECT, file_id, number=0) is None
        return None
    whole, number = b"", 0
    while (piece := await store.file_piece(PROJECT, file_id, number=number)) is not None:
        whole, number = whole + piece, number + 1
    return whole


def with_file(file_id: FileId, text: str = "look") -> Message:
    """A person's message with a stored file."""
    part = FilePart(file_id, "cat.png", "image/png", 6, kind="image", state="stored")
    return Message(id=new_message_id(), role="user", content=(TextPart(text), part))


async def turn_with(store: Store, part: FilePart = GIVEN, **fields: Any) -> ClaimedTurn:
    """A turn at work whose message has that file."""
    said = Message(
        id=new_message_id(), role="user", content=(TextPart("look"), part), message_ref="m1"
    )
    return await claimed_turn(store, chat_turn(message=said, event=event("1"), **fields))


async def test_a_file_is_given_back_as_it_was_written(store: Store) -> None:
    stored = await kept(store, b"abc", b"def", b"g")

    assert await bytes_of(store, stored.id) == b"abcdefg"
    found = await store.file(PROJECT, stored.id)
    assert found == stored
    assert found is not None
    assert (found.name, found.mime, found.kind) == ("cat.png", "image/png", "image")
    assert (found.size_bytes, found.sha256) == (7, hashlib.sha256(b"abcdefg").digest())


async def test_an_empty_file_is_a_file(store: Store) -> None:
    stored = await store.keep_file(await write(store))

    assert await bytes_of(store, stored.id) == b""


async def test_nobody_sees_a_file_before_it_is_whole(store: Store) -> None:
    new = await write(store, b"abc")

    assert await bytes_of(store, new.id) is None


async def test_a_file_with_a_missing_piece_is_not_kept(store: Store) -> None:
    new = await write(store, b"abc")

    with pytest.raises(StoreError):
        await store.keep_file(replace(new, size_bytes=6))

    assert await bytes_of(store, new.id) is None


async def test_files_of_a_project_are_numbered_and_no_number_comes_twice(
    store: Store, clock: FixedClock
) -> None:
    first, second = await kept(store), await kept(store)
    other = await kept(store, project_id=OTHER_PROJECT)
    clock.advance(2 * DAY_S)
    await store.sweep(Retention())

    third = await kept(store)

    assert (first.number, second.number, other.number, third.number) == (1, 2, 1, 3)


async def test_another_project_finds_neither_file_nor_pieces(store: Store) -> None:
    stored = await kept(store, origin="tg 1")

    assert await store.file(OTHER_PROJECT, stored.id) is None
    assert await store.file_piece(OTHER_PROJECT, stored.id, number=0) is None
    session_id = (await claimed_turn(store)).session.id
    assert await store.file_of_origin(OTHER_PROJECT, "tg 1", session_id=session_id) is None


async def test_what_came_from_one_place_is_one_file(store: Store, world: World) -> None:
    session_id = (await claimed_turn(store)).session.id
    first = await kept(store, origin="tg 1", session_id=session_id)

    again = await kept(store, b"other", origin="tg 1", session_id=session_id)

    assert again == first
    assert await store.file_of_origin(PROJECT, "tg 1", session_id=session_id) == first
    assert world.execute("SELECT count(*) FROM file_piece") == [(2,)]


async def test_pieces_that_are_given_up_go(store: Store, world: World) -> None:
    new = await write(store, b"abc", b"def")
    stored = await kept(store)

    await store.drop_pieces(PROJECT, new.id)
    await store.drop_pieces(PROJECT, stored.id)

    assert world.execute("SELECT DISTINCT file_id FROM file_piece") == [(stored.id,)]


async def test_what_a_dead_process_left_of_a_file_is_swept(
    store: Store, world: World, clock: FixedClock
) -> None:
    await write(store, b"abc", b"def")
    clock.advance(HOUR_S - 60)
    assert await store.sweep(Retention()) == {}

    clock.advance(120)

    assert await store.sweep(Retention()) == {"file_draft": 1}
    assert world.execute("SELECT count(*) FROM file_piece") == [(0,)]


async def test_an_upload_that_no_message_uses_goes_after_a_day(
    store: Store, clock: FixedClock
) -> None:
    unused, used = await kept(store), await kept(store)
    await claimed_turn(store, api_turn(message=with_file(used.id)))
    clock.advance(DAY_S - 60)
    assert await store.sweep(Retention()) == {}

    clock.advance(120)
    await store.sweep(Retention())

    assert await bytes_of(store, unused.id) is None
    assert await bytes_of(store, used.id) == b"abcdef"


async def test_files_go_when_their_time_is_over(store: Store, clock: FixedClock) -> None:
    stored = await kept(store)
    await claimed_turn(store, api_turn(message=with_file(stored.id)))
    clock.advance(2 * DAY_S)
    assert await store.sweep(Retention(files_days=3)) == {}

    clock.advance(2 * DAY_S)

    assert await store.sweep(Retention(files_days=3)) == {"file": 1}
    assert await bytes_of(store, stored.id) is None


@pytest.mark.parametrize("way", ["message", "origin", "kept"])
async def test_a_file_goes_with_the_last_session_that_uses_it(
    store: Store, world: World, way: str
) -> None:
    first = (await claimed_turn(store, api_turn())).session.id
    stored = await kept(store, b"very secret bytes", origin="tg 1", session_id=first)
    second = await other_user(store, stored, way)
    uses = await store.file_uses(PROJECT, stored.id)
    assert uses == [FileUse(one, "support") for one in sorted([first, second])]

    await store.delete_session(PROJECT, first)
    assert await bytes_of(store, stored.id) == b"very secret bytes"
    await store.delete_session(PROJECT, second)

    assert await bytes_of(store, stored.id) is None
    assert world.execute("SELECT count(*) FROM file_piece") == [(0,)]


async def other_user(store: Store, stored: StoredFile, way: str) -> SessionId:
    """Another session that uses the file, come to it in one of the ways."""
    message = with_file(stored.id) if way == "message" else None
    new = api_turn(message=message) if message else api_turn()
    session_id = (await claimed_turn(store, new)).session.id
    if way == "origin":
        await store.file_of_origin(PROJECT, "tg 1", session_id=session_id)
    if way == "kept":
        await kept(store, origin="tg 1", session_id=session_id)
    return session_id


async def test_a_settled_file_stands_in_the_message_for_good(store: Store) -> None:
    claimed = await turn_with(store)
    settled = replace(GIVEN, ref=new_file_id(), state="read", text="Meow.")

    message = await store.settle_file(
        claimed.lease, claimed.history[-1].id, earlier=GIVEN, settled=settled
    )

    assert message is not None
    assert message.content == (TextPart("look"), settled)
    committed = await commit(store, claimed)
    assert committed.turn is not None
    assert committed.turn.messages[0].content == message.content
    later = await claimed_turn(store, chat_turn("and now?"))
    assert later.history[0].content == message.content


async def test_a_message_that_was_edited_meanwhile_keeps_its_new_text(store: Store) -> None:
    claimed = await turn_with(store)
    edit = EditMessage(
        project_id=PROJECT,
        event=event("2"),
        account=ACCOUNT,
        address=CHAT,
        message_ref="m1",
        text="look at her",
    )
    await accept_one(store, edit)

    message = await store.settle_file(
        claimed.lease, claimed.history[-1].id, earlier=GIVEN, settled=replace(GIVEN, state="read")
    )

    assert message is not None
    assert message.text == "look at her"


@pytest.mark.parametrize("is_said_twice", [False, True], ids=["once", "twice"])
async def test_the_file_of_a_removed_message_goes_unless_another_has_it(
    store: Store, is_said_twice: bool
) -> None:
    stored = await kept(store)
    part = FilePart(stored.id, state="stored", kind="image")
    await commit(store, await turn_with(store, part))
    if is_said_twice:
        await claimed_turn(store, chat_turn(message=with_file(stored.id)))
    removal = EditMessage(
        project_id=PROJECT,
        event=event("2"),
        account=ACCOUNT,
        address=CHAT,
        message_ref="m1",
        text="",
    )

    await accept_one(store, removal)

    assert (await bytes_of(store, stored.id) is not None) is is_said_twice


async def test_a_lost_lease_settles_nothing(store: Store, clock: FixedClock) -> None:
    claimed = await turn_with(store)
    clock.advance(60)
    other = await claim_one(store, "other")

    settled = await store.settle_file(
        claimed.lease, claimed.history[-1].id, earlier=GIVEN, settled=replace(GIVEN, state="read")
    )

    assert settled is None
    assert other.history[-1].content == (TextPart("look"), GIVEN)


async def test_a_message_of_an_older_version_is_read(store: Store, world: World) -> None:
    claimed = await turn_with(store)
    old = '[{"type":"file","ref":"photo-1","name":"cat.png","mime":null,"size_bytes":6}]'
    world.execute("UPDATE message SET parts = ?", (old,))

    message = await store.settle_file(
        claimed.lease, claimed.history[-1].id, earlier=GIVEN, settled=GIVEN
    )

    assert message is not None
    assert message.content == (FilePart("photo-1", "cat.png", None, 6),)
