"""Opening, holding and losing a store: locks, damage, other versions, full disks, kill -9."""

import asyncio
import errno
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pytest

from gateway.errors import ConfigError, HeldElsewhere, StoreError
from gateway.store.migrate import Migration, load_migrations, pending_migrations
from gateway.store.open import migrate_store, open_store
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import StoredAnswer
from gateway.store.sqlite.schema import check
from gateway.store.sqlite.store import explained
from tests.store.builders import (
    accept_one,
    api_turn,
    chat_turn,
    commit,
    repeat_key,
    talk,
    terms,
)
from tests.store.worlds import SqliteWorld

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def file(tmp_path: Path) -> SqliteWorld:
    """A SQLite store that is not opened yet."""
    return SqliteWorld(tmp_path)


class TestOpening:
    async def test_directory_and_files_are_for_this_user_alone(self, file: SqliteWorld) -> None:
        async with file.open(lock=True) as store:
            await talk(store)
            directory = file.path.parent
            modes = {path.name: path.stat().st_mode for path in directory.iterdir()}

        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert {stat.S_IMODE(mode) for mode in modes.values()} == {0o600}
        assert {"gateway.db", "gateway.db-wal", "gateway.lock"} <= set(modes)

    async def test_every_commit_is_written_through_to_the_disk(self, file: SqliteWorld) -> None:
        async with file.open() as store:

            def pragmas(db: sqlite3.Connection) -> list[object]:
                names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
                return [db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

            found = await store._writer.run_alone(pragmas)  # type: ignore[attr-defined] # SQLite's own

        assert found == ["wal", 2, 1, 5000]

    async def test_nothing_is_left_running_when_it_is_closed(self, file: SqliteWorld) -> None:
        before = threading.active_count()
        async with file.open(lock=True) as store:
            await talk(store)

        assert threading.active_count() == before

    async def test_a_closed_store_says_so(self, file: SqliteWorld) -> None:
        async with file.open() as store:
            pass

        with pytest.raises(StoreError):
            await store.ping()

    async def test_a_relative_path_is_relative_to_its_base(self, tmp_path: Path) -> None:
        async with open_store("sqlite:data/g.db", base=tmp_path, lock=False) as store:
            await store.ping()

        assert (tmp_path / "data" / "g.db").exists()

    @pytest.mark.parametrize("url", ["postgres", "sqlite:", "mysql://x"])
    def test_an_address_that_means_nothing_is_a_mistake_of_the_configuration(
        self, url: str
    ) -> None:
        with pytest.raises(ConfigError, match=r"store\.url"):
            open_store(url, lock=False)

    async def test_a_directory_that_nobody_can_write_names_path_and_remedy(self) -> None:
        with pytest.raises(StoreError, match=r"/proc/.*write access") as refused:
            async with SqliteWorld(Path("/proc")).open(lock=True):
                pass

        assert (refused.value.code, refused.value.transient) == ("store_read_only", False)

    async def test_a_path_that_is_no_directory_names_path_and_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "data").write_text("a file")

        with pytest.raises(StoreError, match=r"data.*write access") as refused:
            async with SqliteWorld(tmp_path).open(lock=True):
                pass

        assert (refused.value.code, refused.value.transient) == ("store_read_only", False)


class TestLock:
    async def test_a_second_process_is_turned_away(self, file: SqliteWorld) -> None:
        async with file.open(lock=True):
            with pytest.raises(HeldElsewhere, match=f"pid {os.getpid()}"):
                async with file.open(lock=True):
                    pass

    async def test_a_command_beside_it_takes_no_lock(self, file: SqliteWorld) -> None:
        async with file.open(lock=True) as serving, file.open() as beside:
            await accept_one(beside, chat_turn())

            assert len(await serving.claim(terms())) == 1

    async def test_the_lock_ends_with_the_block(self, file: SqliteWorld) -> None:
        async with file.open(lock=True):
            pass

        async with file.open(lock=True) as again:
            await again.ping()

    async def test_the_lock_of_a_killed_process_does_not_count(self, file: SqliteWorld) -> None:
        with _child(file, "hold"), pytest.raises(HeldElsewhere):
            async with file.open(lock=True):
                pass

        async with file.open(lock=True) as store:
            await store.ping()

    async def test_a_migration_waits_for_nobody(self, file: SqliteWorld) -> None:
        async with file.open(lock=True):
            with pytest.raises(HeldElsewhere):
                migrate_store(f"sqlite:{file.path}")

        assert migrate_store(f"sqlite:{file.path}") == []

    async def test_whoever_takes_hold_frees_the_repeat_keys_of_the_dead(
        self, file: SqliteWorld
    ) -> None:
        async with file.open(lock=True) as store:
            await store.begin_answer(repeat_key("at work"))
            await store.begin_answer(repeat_key("answered"))
            answer = StoredAnswer(201, {}, b"{}")
            await store.keep_answer(repeat_key("answered"), answer)

        async with file.open(lock=True) as store:
            assert await store.begin_answer(repeat_key("at work")) is None
            assert await store.begin_answer(repeat_key("answered")) == answer


class TestSchema:
    async def test_a_newer_store_is_refused(self, file: SqliteWorld) -> None:
        async with file.open():
            pass
        file.execute("INSERT INTO schema_migration (number, name, checksum) VALUES (99, 'x', 'y')")

        with pytest.raises(StoreError, match="newer version") as refused:
            async with file.open():
                pass

        assert (refused.value.code, refused.value.transient) == ("store_newer", False)

    async def test_a_changed_migration_is_refused(self, file: SqliteWorld) -> None:
        async with file.open():
            pass
        file.execute("UPDATE schema_migration SET checksum = 'other'")

        with pytest.raises(StoreError, match="not the one this program has"):
            async with file.open():
                pass

    async def test_processes_that_make_the_store_together_make_it_once(
        self, file: SqliteWorld
    ) -> None:
        async def use() -> None:
            async with file.open() as store:
                await talk(store, new=api_turn())

        await asyncio.gather(*(use() for _ in range(5)))

        assert file.execute("SELECT count(*) FROM schema_migration") == [
            (len(load_migrations("sqlite")),)
        ]

    def test_only_what_is_missing_is_applied_in_order(self) -> None:
        first, second, third = (Migration(number, "x", f"-- {number}") for number in (1, 2, 3))

        pending = pending_migrations([first, second, third], {1: first.checksum})

        assert pending == [second, third]


class TestDamage:
    async def test_a_damaged_file_names_the_way_back(self, file: SqliteWorld) -> None:
        async with file.open() as store:
            for number in range(50):
                await talk(store, f"m{number}")
        size = file.path.stat().st_size
        with file.path.open("r+b") as handle:
            for page in range(4, size // 4096, 3):
                handle.seek(page * 4096)
                handle.write(os.urandom(4096))

        with pytest.raises(StoreError, match="bot-gateway restore") as refused:
            async with file.open(lock=True):
                pass

        assert (refused.value.code, refused.value.transient) == ("store_corrupt", False)

    async def test_a_file_that_is_no_database_names_the_way_back(self, file: SqliteWorld) -> None:
        file.path.parent.mkdir(parents=True)
        file.path.write_bytes(b"not a database" * 1000)

        with pytest.raises(StoreError, match="bot-gateway restore") as refused:
            async with file.open(lock=True):
                pass

        assert refused.value.code == "store_corrupt"

    async def test_a_look_that_was_cut_short_finds_no_damage(self, file: SqliteWorld) -> None:
        async with file.open() as store:
            await talk(store)

        with closing(sqlite3.connect(file.path)) as connection:
            connection.set_progress_handler(lambda: True, 1)
            unavailable = pytest.raises(StoreError, match="cannot be used now")
            with unavailable as refused, explained(file.path):
                check(connection, file.path)

        assert refused.value.code == "store_unavailable"

    async def test_a_truncated_file_is_refused(self, file: SqliteWorld) -> None:
        async with file.open() as store:
            await talk(store)
        with file.path.open("r+b") as handle:
            handle.truncate(20 * 4096)

        with pytest.raises(StoreError, match="bot-gateway restore"):
            async with file.open(lock=True):
                pass


class TestFullDisk:
    def test_a_start_without_room_is_worth_another_try(self, tmp_path: Path) -> None:
        error = OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(StoreError) as raised, explained(tmp_path / "gateway.db"):
            raise error

        assert (raised.value.code, raised.value.transient) == ("store_full", True)

    async def test_a_full_disk_refuses_and_recovers_by_itself(self, file: SqliteWorld) -> None:
        async with file.open() as store:
            claimed = await talk(store)
            await _limit_pages(store, extra=0)

            with pytest.raises(StoreError) as refused:
                await _fill(store)
            waiting = await store.depth()
            await _limit_pages(store, extra=100_000)

            assert (refused.value.code, refused.value.transient) == ("store_full", True)
            await accept_one(store, chat_turn("room again"))
            assert (await store.depth()).queued_turns == waiting.queued_turns + 1
            assert await store.verify() == []
            assert await store.session(claimed.session.project_id, claimed.session.id) is not None

    async def test_everybody_in_a_group_learns_that_nothing_was_written(
        self, file: SqliteWorld
    ) -> None:
        async with file.open() as store:
            await talk(store)
            await _limit_pages(store, extra=0)

            results = await asyncio.gather(
                *(accept_one(store, api_turn("x" * 5000)) for _ in range(50)),
                return_exceptions=True,
            )
            await _limit_pages(store, extra=100_000)

            accepted = [one for one in results if not isinstance(one, BaseException)]
            failed = {type(one) for one in results if isinstance(one, BaseException)}
            assert failed == {StoreError}
            assert (await store.depth()).queued_turns == len(accepted)
            assert await store.verify() == []


class TestLog:
    @pytest.mark.parametrize(("writes", "size"), [(60, 200_000), (1_500, 200)])
    async def test_the_log_starts_over_while_many_write(
        self, file: SqliteWorld, writes: int, size: int
    ) -> None:
        """Few large rows or many small ones, without a pause: far more than the log may hold."""
        log, sizes = file.path.with_name("gateway.db-wal"), []

        async with file.open() as store:

            async def write(writer: int) -> None:
                for number in range(writes):
                    await store.keep_note("tg", f"{writer} {number}", {"text": "x" * size})
                    sizes.append(log.stat().st_size)

            await asyncio.gather(*(write(writer) for writer in range(8)))

        assert max(sizes) < 50_000_000


class TestLockedDatabase:
    async def test_a_short_writer_beside_us_is_waited_for(self, file: SqliteWorld) -> None:
        async with file.open() as store:
            await talk(store)
            with closing(sqlite3.connect(file.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                waiting = asyncio.create_task(accept_one(store, chat_turn()))
                _, pending = await asyncio.wait([waiting], timeout=0.2)
                other.execute("COMMIT")
                accepted = await waiting

        assert pending == {waiting}
        assert accepted.is_new


class TestKill:
    async def test_what_was_acknowledged_survives_kill_9(self, file: SqliteWorld) -> None:
        """Kill a process in the midst of its commits, several times over."""
        acknowledged: set[str] = set()
        for _ in range(4):
            with _child(file, "work") as said:
                for _ in range(60):
                    acknowledged.add(said.readline().strip())

        async with file.open(lock=True) as store:
            assert await store.verify() == []
            stored = file.execute("SELECT state || ' ' || turn_id FROM turn")
        states = {row[0].split()[1]: row[0].split()[0] for row in stored}
        for line in acknowledged - {""}:
            promise, turn_id = line.split()
            assert turn_id in states
            assert promise != "done" or states[turn_id] == "done"

    async def test_the_work_of_a_killed_process_goes_on_at_once(self, file: SqliteWorld) -> None:
        with _child(file, "hold"):
            pass

        async with file.open(lock=True) as store:
            released = await store.release_abandoned(living=[])
            (claimed,) = await store.claim(terms("new"))
            committed = await commit(store, claimed)

            assert released == 1
            assert claimed.turn.crash_count == 2
            assert committed.is_committed


@contextmanager
def _child(file: SqliteWorld, role: str) -> Iterator[IO[str]]:
    """A process that holds the store inside the block and is killed at its end; what it says."""
    script = [sys.executable, "-m", "tests.store.child", str(file.path), role]
    with subprocess.Popen(script, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        try:
            yield child.stdout
        finally:
            child.kill()


async def _fill(store: Store) -> None:
    for _ in range(200):
        await accept_one(store, chat_turn("x" * 5000))


async def _limit_pages(store: object, *, extra: int) -> None:
    """Let the database grow by so many pages and no more."""

    def limit(db: sqlite3.Connection) -> None:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + extra}").fetchall()

    await store._writer.run_alone(limit)  # type: ignore[attr-defined] # SQLite's own
