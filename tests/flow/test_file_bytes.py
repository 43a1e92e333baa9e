"""Bytes into stored files and out of them."""

from pathlib import Path
from typing import Any, cast

import pytest

from gateway.contract import Address
from gateway.domain.conversation import FilePart, Message, TextPart
from gateway.domain.files import PIECE_BYTES, StoredFile
from gateway.domain.ids import ProjectId, new_message_id
from gateway.errors import NotFound, StoreError, TooLarge
from gateway.flow.file_bytes import FileWriter, file_bytes, whole_file
from gateway.flow.replies import render_replies
from gateway.store.protocol import Store
from gateway.testing.channels import FakeChannel
from tests.flow.house import PROJECT, House, house


def writer(home: House, *, max_bytes: int = 10**9, project: ProjectId = PROJECT) -> FileWriter:
    return FileWriter(cast(Store, home.flaky), project, max_bytes=max_bytes)


async def stored(home: House, data: bytes, **fields: Any) -> StoredFile:
    """A file of these bytes."""
    file = writer(home, **fields)
    await file.add(data)
    return await file.keep(name="a.txt", mime="text/plain", kind="document")


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
async def test_bytes_come_back_in_pieces(data: Path, size: int) -> None:
    whole = bytes(range(256)) * (size // 256 + 1)
    async with house(data) as home:
        file = await stored(home, whole[:size])

        pieces = [piece async for piece in file_bytes(home.store, PROJECT, file.id)]

        assert b"".join(pieces) == whole[:size]
        assert all(len(piece) <= PIECE_BYTES for piece in pieces)


async def test_a_writer_never_holds_more_than_a_piece(data: Path) -> None:
    async with house(data) as home:
        file = writer(home)
        for _ in range(5):
            await file.add(b"x" * PIECE_BYTES)

        assert home.flaky.calls["add_piece"] == 5
        await file.drop()


async def test_a_writer_stops_at_its_limit(data: Path) -> None:
    async with house(data) as home:
        file = writer(home, max_bytes=10)
        await file.add(b"x" * 10)

        with pytest.raises(TooLarge):
            await file.add(b"x")


async def test_what_cannot_be_dropped_now_is_left_to_the_sweep(data: Path, logs: list[Any]) -> None:
    async with house(data) as home:
        file = writer(home)
        await file.add(b"x" * PIECE_BYTES)
        home.flaky.away["drop_pieces"] = 1
        home.flaky.errors["drop_pieces"] = StoreError("The store is away.")

        await file.drop()

    assert [entry["event"] for entry in logs] == ["file_pieces_left"]


async def test_a_file_that_goes_while_it_is_read_is_not_found(data: Path) -> None:
    async with house(data) as home:
        file = await stored(home, b"x" * 2 * PIECE_BYTES)
        pieces = file_bytes(home.store, PROJECT, file.id)
        await anext(pieces)
        home.clock.ahead_s = 2 * 86_400
        await home.janitor._sweep()

        with pytest.raises(NotFound):
            await anext(pieces)
        with pytest.raises(NotFound):
            await whole_file(home.store, PROJECT, file.id)


async def test_a_channel_opens_files_of_its_own_project_only(data: Path) -> None:
    async with house(data) as home:
        own = await stored(home, b"own")
        other = await stored(home, b"other", project=ProjectId("elsewhere"))

        assert [piece async for piece in home.port.open_file(own.id)] == [b"own"]
        with pytest.raises(NotFound):
            await anext(home.port.open_file(other.id))


def test_stored_files_go_out_with_their_message_and_others_do_not() -> None:
    part = FilePart("file_1", "a.txt", "text/plain", 3, state="read", text="abc")
    unknown = FilePart("platform-7", "b.txt")
    message = Message(
        id=new_message_id(), role="operator", content=(TextPart("Here:"), part, unknown)
    )
    alone = Message(id=new_message_id(), role="operator", content=(part,))
    nothing = Message(id=new_message_id(), role="operator", content=(unknown,))

    deliveries = render_replies(
        [message, alone, nothing], channel=FakeChannel(), address=Address("fake", "1")
    )

    parts = [dict(delivery.part) for delivery in deliveries]
    file = {"text": "[a.txt]", "file": "file_1"}
    assert parts == [{"text": "Here:"}, file, file]
