"""A database that was lost, replaced or cut short is noticed: at a start, and while in use."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.store.sqlite.connect import open_connection
from gateway.store.sqlite.presence import check_presence, mark
from tests.store.builders import accept_one, chat_turn, talk
from tests.store.worlds import SqliteWorld


@pytest.fixture
def file(tmp_path: Path) -> SqliteWorld:
    """A SQLite store that is not opened yet."""
    return SqliteWorld(tmp_path)


async def refusal(file: SqliteWorld) -> StoreError:
    """Why the store cannot be opened, by a daemon and by a command beside it."""
    with pytest.raises(StoreError) as of_command:
        async with file.open():
            pass
    with pytest.raises(StoreError) as of_daemon:
        async with file.open(lock=True):
            pass
    assert str(of_command.value) == str(of_daemon.value)
    return of_daemon.value


class TestMarker:
    async def test_a_fresh_directory_just_works(self, file: SqliteWorld) -> None:
        async with file.open(lock=True) as store:
            await store.ping()

        assert (file.path.parent / "gateway.db.marker").exists()

    @pytest.mark.parametrize("loss", ["removed", "emptied"])
    async def test_a_database_that_is_gone_is_not_made_anew(
        self, file: SqliteWorld, loss: str
    ) -> None:
        async with file.open() as store:
            await talk(store)
        if loss == "removed":
            file.path.unlink()
        else:
            os.truncate(file.path, 0)

        error = await refusal(file)

        assert (error.code, error.transient) == ("store_missing", False)
        assert "bot-gateway restore" in error.message
        assert not file.path.exists() or file.path.stat().st_size == 0

    async def test_a_directory_that_was_emptied_is_fresh(self, file: SqliteWorld) -> None:
        async with file.open() as store:
            await talk(store)
        shutil.rmtree(file.path.parent)

        async with file.open(lock=True) as store:
            await store.ping()

    async def test_without_the_marker_it_begins_anew(self, file: SqliteWorld) -> None:
        async with file.open() as store:
            await talk(store)
        for path in file.path.parent.glob("gateway.db*"):
            path.unlink()

        async with file.open(lock=True) as store:
            await store.ping()

    async def test_a_store_from_before_the_marker_gets_one(self, file: SqliteWorld) -> None:
        async with file.open() as store:
            await talk(store)
        marker = file.path.parent / "gateway.db.marker"
        marker.unlink()

        async with file.open():
            pass

        assert marker.exists()

    def test_a_process_killed_before_its_first_commit_leaves_no_marker(
        self, file: SqliteWorld
    ) -> None:
        file.path.parent.mkdir()
        file.path.touch()

        check_presence(file.path)
        mark(file.path)

        with pytest.raises(StoreError):
            check_presence(file.path)


class TestLog:
    """What a killed process leaves: a database, its log and the index of the log."""

    @pytest.fixture
    async def killed(self, file: SqliteWorld, tmp_path: Path) -> SqliteWorld:
        """A copy of the files as they were at some moment."""
        left = SqliteWorld(tmp_path / "killed")
        async with file.open() as store:
            for number in range(5):
                await talk(store, f"m{number}")
            shutil.copytree(file.path.parent, left.path.parent)
        return left

    async def test_a_whole_log_is_taken_over(self, killed: SqliteWorld) -> None:
        async with killed.open(lock=True) as store:
            assert await store.verify() == []

        assert killed.execute("SELECT count(*) FROM message") == [(10,)]

    @pytest.mark.parametrize("left", [0, 20, 32, 5_000, 50_000])
    async def test_a_log_that_was_cut_is_noticed(self, killed: SqliteWorld, left: int) -> None:
        log = killed.path.with_name("gateway.db-wal")
        os.truncate(log, left)

        error = await refusal(killed)

        assert (error.code, error.transient) == ("store_corrupt", False)
        assert "gateway.db-wal was cut short" in error.message
        assert log.stat().st_size == left

    async def test_a_log_that_is_gone_is_noticed(self, killed: SqliteWorld) -> None:
        killed.path.with_name("gateway.db-wal").unlink()

        assert (await refusal(killed)).code == "store_corrupt"

    @pytest.mark.parametrize("page", [0, 1, 7])
    async def test_a_log_that_was_overwritten_is_noticed(
        self, killed: SqliteWorld, page: int
    ) -> None:
        with killed.path.with_name("gateway.db-wal").open("r+b") as handle:
            handle.seek(page * 4096)
            handle.write(os.urandom(4096))

        assert (await refusal(killed)).code == "store_corrupt"

    async def test_without_its_index_it_starts_with_what_there_is(
        self, killed: SqliteWorld
    ) -> None:
        os.truncate(killed.path.with_name("gateway.db-wal"), 50_000)
        killed.path.with_name("gateway.db-shm").unlink()

        async with killed.open():
            pass

    async def test_a_log_that_is_in_the_database_already_may_be_gone(
        self, file: SqliteWorld, tmp_path: Path
    ) -> None:
        async with file.open() as store:
            await talk(store)
            connection = open_connection(file.path)
            connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
            connection.close()
            left = SqliteWorld(tmp_path / "killed")
            shutil.copytree(file.path.parent, left.path.parent)
        os.truncate(left.path.with_name("gateway.db-wal"), 0)

        async with left.open(lock=True) as store:
            assert await store.verify() == []

    async def test_commands_beside_busy_writers_see_nothing_wrong(self, file: SqliteWorld) -> None:
        async with file.open(lock=True) as store:
            enough = asyncio.Event()

            async def write() -> None:
                while not enough.is_set():
                    await talk(store)

            writing = asyncio.create_task(write())
            for _ in range(200):
                await asyncio.to_thread(check_presence, file.path)
            enough.set()
            await writing


class TestInUse:
    @pytest.mark.parametrize("loss", ["removed", "emptied", "replaced", "directory gone"])
    async def test_nothing_more_is_accepted_on_a_file_that_is_lost(
        self, file: SqliteWorld, loss: str
    ) -> None:
        async with file.open(lock=True) as store:
            await talk(store)
            await store.check()
            _lose(file.path, loss)

            for use in (store.check, store.ping, lambda: accept_one(store, chat_turn())):
                with pytest.raises(StoreError) as refused:
                    await use()
                assert (refused.value.code, refused.value.transient) == ("store_missing", False)

    @pytest.mark.parametrize("loss", ["removed", "replaced"])
    async def test_nothing_more_is_accepted_on_a_log_that_is_lost(
        self, file: SqliteWorld, loss: str
    ) -> None:
        async with file.open(lock=True) as store:
            await talk(store)
            await store.check()
            _lose(file.path.with_name("gateway.db-wal"), loss)

            for use in (store.check, lambda: accept_one(store, chat_turn())):
                with pytest.raises(StoreError, match=r"db-wal was removed") as refused:
                    await use()
                assert (refused.value.code, refused.value.transient) == ("store_missing", False)

    async def test_a_log_that_a_checkpoint_of_others_emptied_is_not_lost(
        self, file: SqliteWorld
    ) -> None:
        async with file.open(lock=True) as store:
            await talk(store)
            with closing(sqlite3.connect(file.path)) as other:
                assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
            assert file.path.with_name("gateway.db-wal").stat().st_size == 0

            await store.check()
            await accept_one(store, chat_turn())
            await store.check()

    async def test_damage_that_was_seen_once_is_remembered(self, file: SqliteWorld) -> None:
        async with file.open() as store:

            def fail(_db: sqlite3.Connection) -> None:
                error = sqlite3.DatabaseError("database disk image is malformed")
                error.sqlite_errorname = "SQLITE_CORRUPT"
                raise error

            with pytest.raises(StoreError):
                await store._writer.run(fail)  # type: ignore[attr-defined] # SQLite's own

            with pytest.raises(StoreError) as refused:
                await store.check()

        assert (refused.value.code, refused.value.transient) == ("store_corrupt", False)

    async def test_a_file_that_cannot_be_looked_at_is_taken_for_the_same(
        self, file: SqliteWorld
    ) -> None:
        async with file.open(lock=True) as store:
            directory, aside = file.path.parent, file.path.parent.with_name("aside")
            directory.rename(aside)
            directory.symlink_to(directory.name)
            try:
                async with asyncio.timeout(5):
                    await store.ping()
            finally:
                directory.unlink()
                aside.rename(directory)


def _lose(path: Path, loss: str) -> None:
    match loss:
        case "removed":
            path.unlink()
        case "emptied":
            os.truncate(path, 0)
        case "replaced":
            other = path.with_name("other.db")
            shutil.copy(path, other)
            other.rename(path)
        case "directory gone":
            path.parent.rename(path.parent.with_name("aside"))
            path.parent.write_text("a file in the way")
