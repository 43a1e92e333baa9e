"""Backups: complete, checked, never half, made while the store is written to."""

import asyncio
import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.errors import GatewayError, StoreError
from gateway.store.lock import LOCK_NAME
from gateway.store.sqlite.backup import backup_sqlite
from tests.store.builders import talk
from tests.store.copies import (
    StoreFile,
    backup,
    impossible,
    names,
    overwrite_pages,
    place_of_copy,
)


@pytest.fixture
def file(tmp_path: Path) -> StoreFile:
    """A SQLite store that is not opened yet."""
    return StoreFile(tmp_path)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a backup goes, in a folder of its own."""
    return place_of_copy(tmp_path)


class TestBackup:
    async def test_it_has_everything_committed_and_stands_alone(
        self, file: StoreFile, target: Path
    ) -> None:
        async with file.open(lock=True) as store:
            await talk(store, "one")
            made = await backup(file, target)

        assert made.findings == 0
        assert made.size_bytes == target.stat().st_size
        assert names(target.parent) == ["copy.db"]
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        with closing(sqlite3.connect(f"file:{target}?mode=ro&immutable=1", uri=True)) as copy:
            assert copy.execute("SELECT text FROM message ORDER BY seq").fetchall() == [
                ("one",),
                ("re: one",),
            ]

    async def test_writers_go_on_while_it_is_made(self, file: StoreFile, target: Path) -> None:
        """All steps see one moment, and a steady writer does not make it begin anew for ever."""
        async with file.open(lock=True) as store:
            for number in range(40):
                await store.keep_note("tg", str(number), {"text": "x" * 100_000})
            copying = asyncio.create_task(backup(file, target))
            written = 0
            while not copying.done():
                await talk(store, f"m{written}")
                written += 1
            made = await copying

        assert written > 0
        assert made.findings == 0

    async def test_an_earlier_backup_is_overwritten_only_on_demand(
        self, file: StoreFile, target: Path
    ) -> None:
        async with file.open() as store:
            await backup(file, target)
            before = target.read_bytes()
            await talk(store)
            with pytest.raises(GatewayError, match="--force") as refused:
                await backup(file, target)
            assert target.read_bytes() == before
            await backup(file, target, overwrite=True)

        assert refused.value.code == "backup_exists"
        assert target.read_bytes() != before

    async def test_a_file_that_is_no_database_is_never_overwritten(
        self, file: StoreFile, target: Path
    ) -> None:
        target.write_text("precious")
        pipe = target.with_name("pipe")
        os.mkfifo(pipe)

        async with file.open():
            for other in (target, pipe):
                with pytest.raises(GatewayError, match="is no database"):
                    await backup(file, other, overwrite=True)

        assert target.read_text() == "precious"
        assert pipe.is_fifo()

    @pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal", ".marker"])
    async def test_no_file_of_the_store_is_ever_overwritten_or_made(
        self, file: StoreFile, suffix: str
    ) -> None:
        async with file.open() as store:
            await talk(store)
            with pytest.raises(GatewayError, match="part of the store"):
                await backup(file, file.path.with_name(file.path.name + suffix), overwrite=True)

        async with file.open() as store:
            assert await store.verify() == []

    async def test_the_lock_of_the_store_is_never_overwritten(self, file: StoreFile) -> None:
        async with file.open():
            with pytest.raises(GatewayError, match="part of the store"):
                await backup(file, file.path.with_name(LOCK_NAME), overwrite=True)

    async def test_a_link_that_waits_where_the_draft_is_made_is_not_followed(
        self, file: StoreFile, target: Path
    ) -> None:
        other = target.with_name("other.txt")
        other.write_text("precious")
        target.with_name("copy.db.partial").symlink_to(other)

        async with file.open():
            with pytest.raises(GatewayError, match="cannot be written"):
                await backup(file, target)

        assert other.read_text() == "precious"

    async def test_where_nothing_can_be_written_it_says_so(self, file: StoreFile) -> None:
        async with file.open():
            with pytest.raises(GatewayError, match="/proc cannot be written"):
                await backup(file, Path("/proc/copy.db"))

    async def test_a_name_that_cannot_be_looked_up_is_told(
        self, file: StoreFile, target: Path
    ) -> None:
        async with file.open():
            with pytest.raises(GatewayError, match="cannot be used"):
                await backup(file, impossible(target))

    async def test_without_a_store_none_is_made(self, file: StoreFile, target: Path) -> None:
        with pytest.raises(StoreError, match="no store"):
            await backup(file, target)

        assert not file.path.exists()

    async def test_a_damaged_store_is_not_backed_up(self, file: StoreFile, target: Path) -> None:
        async with file.open() as store:
            for number in range(50):
                await talk(store, f"m{number}")
        overwrite_pages(file.path)

        with pytest.raises(StoreError, match="bot-gateway restore") as refused:
            await backup(file, target)

        assert (refused.value.code, refused.value.transient) == ("store_corrupt", False)
        assert names(target.parent) == []

    async def test_a_store_with_findings_is_kept_only_when_asked_for(
        self, file: StoreFile, target: Path
    ) -> None:
        async with file.open() as store:
            await talk(store)
        file.execute("UPDATE session SET pending = 7")

        with pytest.raises(GatewayError, match="bot-gateway verify"):
            await backup(file, target)
        left = names(target.parent)
        kept = await asyncio.to_thread(backup_sqlite, file.path, target, with_findings=True)

        assert left == []
        assert kept.findings == 1

    async def test_what_a_killed_backup_left_is_overwritten(
        self, file: StoreFile, target: Path
    ) -> None:
        target.with_name("copy.db.partial").write_bytes(b"half a copy" * 10_000)
        async with file.open() as store:
            await talk(store)

            await backup(file, target)

        assert names(target.parent) == ["copy.db"]

    async def test_two_at_once_do_not_mix(self, file: StoreFile, target: Path) -> None:
        async with file.open() as store:
            await talk(store)
            refused = pytest.raises(GatewayError, match="Another process writes")
            with _held(target.with_name("copy.db.partial")), refused:
                await backup(file, target)

    async def test_an_interrupted_one_leaves_nothing(self, file: StoreFile, target: Path) -> None:
        async with file.open() as store:
            await talk(store)

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            backup_sqlite(file.path, target, tell=interrupt)

        assert names(target.parent) == []


@contextmanager
def _held(draft: Path) -> Iterator[None]:
    """Another backup that writes this draft."""
    with draft.open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
