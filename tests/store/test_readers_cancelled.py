"""A reader that is cancelled while it opens leaves no thread, which would keep us from ending."""

import asyncio
import threading
from pathlib import Path

import aiosqlite
import pytest

from gateway.store.sqlite.readers import Readers


async def test_a_reader_whose_opening_was_cancelled_leaves_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(threading.enumerate())
    opened: list[aiosqlite.Connection] = []

    async def cancelled_just_now(connection: aiosqlite.Connection, sql: str) -> None:
        opened.append(connection)
        raise asyncio.CancelledError(sql)

    monkeypatch.setattr(aiosqlite.Connection, "execute_fetchall", cancelled_just_now)
    with pytest.raises(asyncio.CancelledError):
        await Readers(tmp_path / "some.db").open()

    assert len(opened) == 1
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
