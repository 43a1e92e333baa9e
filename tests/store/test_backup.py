"""Backups and restores: complete, checked, never half; a restored store sends nothing twice."""

import asyncio
import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.domain.ids import new_delivery_id
from gateway.errors import GatewayError, HeldElsewhere, StoreError
from gateway.store.copies import Backup, Restored
from gateway.store.lock import LOCK_NAME
from gateway.store.protocol.dead_letters import DeadLetterFilter
from gateway.store.sqlite.backup import backup_sqlite
from gateway.store.sqlite.restore import STAGING, restore_sqlite
from tests.store.builders import (
    PROJECT,
    accept_one,
    api_turn,
    begin_sends,
    chat_turn,
    claimed_turn,
    delivery_of,
    end_send,
    state_of,
    talk,
    terms,
    texts,
)
from tests.store.worlds import SqliteWorld

AHEAD_S = 2 * 366 * 86_400
"""The clock of these stores is ahead of the machine's, by which a restore goes."""


@pytest.fixture
def file(tmp_path: Path) -> SqliteWorld:
    """A SQLite store that is not opened yet."""
    world = SqliteWorld(tmp_path)
    world.clock.advance(AHEAD_S)
    return world


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a backup goes, in a folder of its own."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "copy.db"


async def backup(file: SqliteWorld, to: Path, *, overwrite: bool = False) -> Backup:
    """A backup, made by somebody else while the store is used here."""
    return await asyncio.to_thread(backup_sqlite, file.path, to, overwrite=overwrite)


async def restore(file: SqliteWorld, source: Path, *, resume: bool = False) -> Restored:
    """A restore, made by somebody else."""
    return await asyncio.to_thread(restore_sqlite, file.path, source, resume=resume)


class Interrupted(BaseException):
    """As KeyboardInterrupt, which an event loop would not let a test catch."""


class TestBackup:
    async def test_it_has_everything_committed_and_stands_alone(
        self, file: SqliteWorld, target: Path
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

    async def test_writers_go_on_while_it_is_made(self, file: SqliteWorld, target: Path) -> None:
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
        self, file: SqliteWorld, target: Path
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
        self, file: SqliteWorld, target: Path
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
        self, file: SqliteWorld, suffix: str
    ) -> None:
        async with file.open() as store:
            await talk(store)
            with pytest.raises(GatewayError, match="part of the store"):
                await backup(file, file.path.with_name(file.path.name + suffix), overwrite=True)

        async with file.open() as store:
            assert await store.verify() == []

    async def test_the_lock_of_the_store_is_never_overwritten(self, file: SqliteWorld) -> None:
        async with file.open():
            with pytest.raises(GatewayError, match="part of the store"):
                await backup(file, file.path.with_name(LOCK_NAME), overwrite=True)

    async def test_a_link_that_waits_where_the_draft_is_made_is_not_followed(
        self, file: SqliteWorld, target: Path
    ) -> None:
        other = target.with_name("other.txt")
        other.write_text("precious")
        target.with_name("copy.db.partial").symlink_to(other)

        async with file.open():
            with pytest.raises(GatewayError, match="cannot be written"):
                await backup(file, target)

        assert other.read_text() == "precious"

    async def test_where_nothing_can_be_written_it_says_so(self, file: SqliteWorld) -> None:
        async with file.open():
            with pytest.raises(GatewayError, match="/proc cannot be written"):
                await backup(file, Path("/proc/copy.db"))

    async def test_a_name_that_cannot_be_looked_up_is_told(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open():
            with pytest.raises(GatewayError, match="cannot be used"):
                await backup(file, impossible(target))

    async def test_without_a_store_none_is_made(self, file: SqliteWorld, target: Path) -> None:
        with pytest.raises(StoreError, match="no store"):
            await backup(file, target)

        assert not file.path.exists()

    async def test_a_damaged_store_is_not_backed_up(self, file: SqliteWorld, target: Path) -> None:
        async with file.open() as store:
            for number in range(50):
                await talk(store, f"m{number}")
        overwrite_pages(file.path)

        with pytest.raises(StoreError, match="bot-gateway restore") as refused:
            await backup(file, target)

        assert (refused.value.code, refused.value.transient) == ("store_corrupt", False)
        assert names(target.parent) == []

    async def test_a_store_with_findings_is_kept_only_when_asked_for(
        self, file: SqliteWorld, target: Path
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
        self, file: SqliteWorld, target: Path
    ) -> None:
        target.with_name("copy.db.partial").write_bytes(b"half a copy" * 10_000)
        async with file.open() as store:
            await talk(store)

            await backup(file, target)

        assert names(target.parent) == ["copy.db"]

    async def test_two_at_once_do_not_mix(self, file: SqliteWorld, target: Path) -> None:
        async with file.open() as store:
            await talk(store)
            refused = pytest.raises(GatewayError, match="Another process writes")
            with _held(target.with_name("copy.db.partial")), refused:
                await backup(file, target)

    async def test_an_interrupted_one_leaves_nothing(self, file: SqliteWorld, target: Path) -> None:
        async with file.open() as store:
            await talk(store)

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            backup_sqlite(file.path, target, tell=interrupt)

        assert names(target.parent) == []


class TestRestore:
    async def test_it_brings_back_what_was_and_keeps_what_is(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open() as store:
            first = await talk(store, "before")
            await backup(file, target)
            await talk(store, "after")

        restored = await restore(file, target)

        async with file.open(lock=True) as store:
            assert await texts(store, first.session.id) == ["before", "re: before"]
        with closing(sqlite3.connect(restored.kept[0])) as former:
            assert former.execute("SELECT count(*) FROM message").fetchone() == (4,)
        assert (restored.held, restored.cancelled) == (0, 0)

    async def test_the_log_of_the_former_store_goes_with_it(
        self, file: SqliteWorld, target: Path
    ) -> None:
        """Beside the new file it would be its ruin."""
        async with file.open() as store:
            await talk(store, "before")
            await backup(file, target)
            await talk(store, "after")
            log = file.path.with_name("gateway.db-wal")
            kept_log = log.read_bytes()
        log.write_bytes(kept_log)

        restored = await restore(file, target)

        assert [path.name[-4:] for path in restored.kept][1:] == ["-wal"]
        async with file.open(lock=True) as store:
            assert await store.verify() == []

    async def test_a_store_that_is_gone_can_be_restored(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open() as store:
            claimed = await talk(store, "before")
            await backup(file, target)
        file.path.unlink()

        restored = await restore(file, target)

        assert restored.kept == ()
        async with file.open(lock=True) as store:
            assert len(await texts(store, claimed.session.id)) == 2

    async def test_replies_that_were_on_their_way_are_held(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open() as store:
            await talk(store, "one", parts=2)
            (first,) = await begin_sends(store)
            await backup(file, target)
            await end_send(store, first)

        restored = await restore(file, target)

        async with file.open(lock=True) as store:
            assert await begin_sends(store) == []
            held = await store.dead_deliveries(DeadLetterFilter())
            assert restored.held == len(held) == 2
            assert {dead.delivery.error for dead in held} == {
                "restored: it may have been sent after the backup was made"
            }

    @pytest.mark.parametrize("resume", [False, True])
    async def test_a_part_that_was_being_sent_then_is_no_flaw_of_an_old_backup(
        self, file: SqliteWorld, target: Path, *, resume: bool
    ) -> None:
        async with file.open() as store:
            await talk(store, "one", parts=1)
            (sending,) = await begin_sends(store)
            await backup(file, target)
        with closing(sqlite3.connect(target)) as copy, copy:
            copy.execute("UPDATE outbox SET sent_started_at = 1")

        await restore(file, target, resume=resume)

        async with file.open(lock=True) as store:
            after = await delivery_of(store, sending.id)
            assert after.state == ("ambiguous" if resume else "held")

    async def test_turns_that_were_not_over_are_cancelled(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open() as store:
            running = await claimed_turn(store, api_turn("running"))
            queued = await accept_one(store, chat_turn("queued"))
            await backup(file, target)

        restored = await restore(file, target)

        async with file.open(lock=True) as store:
            assert restored.cancelled == 2
            assert await state_of(store, queued.turn_id) == "cancelled"
            assert await state_of(store, running.turn.id) == "cancelled"
            assert await store.verify() == []

    async def test_a_message_that_was_growing_is_not_taken_back(
        self, file: SqliteWorld, target: Path
    ) -> None:
        """It may have become an answer since."""
        async with file.open() as store:
            running = await claimed_turn(store)
            shown = await store.open_part(
                running.lease, running.turn.id, delivery_id=new_delivery_id()
            )
            assert shown is not None
            await store.keep_open_ref(running.lease, shown.delivery.id, open_ref="m1")
            await backup(file, target)

        restored = await restore(file, target)

        async with file.open(lock=True) as store:
            assert await begin_sends(store) == []
            assert (await delivery_of(store, shown.delivery.id)).state == "cancelled"
            assert restored.held == 0
            assert await store.verify() == []

    async def test_with_resume_everything_goes_on_as_after_a_crash(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open() as store:
            await talk(store, "one", parts=1)
            (sending,) = await begin_sends(store)
            await accept_one(store, api_turn("queued"))
            await backup(file, target)

        restored = await restore(file, target, resume=True)

        assert (restored.held, restored.cancelled) == (0, 0)
        async with file.open(lock=True) as store:
            assert len(await store.claim(terms("new"))) == 1
            assert (await delivery_of(store, sending.id)).state == "ambiguous"

    async def test_a_store_that_is_served_from_is_left_alone(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open(lock=True) as store:
            await backup(file, target)
            with pytest.raises(HeldElsewhere):
                await restore(file, target)
            await store.ping()

    @pytest.mark.parametrize("damage", ["cut", "overwritten", "nonsense", "empty", "foreign"])
    async def test_a_backup_that_is_not_sound_changes_nothing(
        self, file: SqliteWorld, target: Path, damage: str
    ) -> None:
        async with file.open() as store:
            for number in range(30):
                await talk(store, f"m{number}")
            await backup(file, target)
        _spoil(target, damage)
        stood_there, before = names(file.path.parent), file.dump()

        with pytest.raises(GatewayError, match="cannot be used") as refused:
            await restore(file, target)

        assert not isinstance(refused.value, StoreError)
        assert file.dump() == before
        assert names(file.path.parent) == [*stood_there, "gateway.lock"]

    async def test_a_backup_of_a_newer_version_is_refused(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open():
            await backup(file, target)
        _execute(
            target, "INSERT INTO schema_migration (number, name, checksum) VALUES (99, '', '')"
        )

        with pytest.raises(GatewayError, match="newer version"):
            await restore(file, target)

    async def test_without_room_for_the_copy_it_tells_how_much_is_needed(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open():
            await backup(file, target)
        os.truncate(target, 8 * 1024**4)

        with pytest.raises(StoreError, match=r"the restore needs 8388609\.0 MiB") as refused:
            await restore(file, target)

        assert (refused.value.code, refused.value.transient) == ("store_full", True)
        assert STAGING not in names(file.path.parent)

    async def test_what_is_no_file_is_told_by_its_name(
        self, file: SqliteWorld, target: Path
    ) -> None:
        for source, why in ((target.parent, "is a directory"), (impossible(target), "be read")):
            with pytest.raises(GatewayError, match=why):
                await restore(file, source)

    async def test_ctrl_c_while_the_files_are_moved_leaves_the_former_store(
        self, file: SqliteWorld, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with file.open() as store:
            await backup(file, target)
            talked = await talk(store, "after")
        before = names(file.path.parent)

        def interrupt(path: Path) -> None:
            if path.is_dir():
                raise Interrupted

        monkeypatch.setattr("gateway.store.sqlite.restore.sync", interrupt)
        with pytest.raises(Interrupted):
            await restore(file, target)

        assert names(file.path.parent) == sorted({*before, LOCK_NAME})
        async with file.open() as store:
            assert "after" in await texts(store, talked.session.id)

    async def test_a_missing_backup_is_told(self, file: SqliteWorld, target: Path) -> None:
        with pytest.raises(GatewayError, match="no file"):
            await restore(file, target)

    async def test_a_copy_of_the_directory_can_be_restored_with_its_log(
        self, file: SqliteWorld, target: Path
    ) -> None:
        async with file.open() as store:
            claimed = await talk(store, "in the log")
            for suffix in ("", "-wal"):
                source = file.path.with_name(file.path.name + suffix)
                target.with_name(target.name + suffix).write_bytes(source.read_bytes())

        await restore(file, target)

        async with file.open(lock=True) as store:
            session = await store.session(PROJECT, claimed.session.id)
        assert session is not None

    async def test_the_backup_itself_is_not_touched(self, file: SqliteWorld, target: Path) -> None:
        async with file.open() as store:
            await talk(store)
            await backup(file, target)
        before = target.read_bytes()

        await restore(file, target)

        assert target.read_bytes() == before
        assert names(target.parent) == ["copy.db"]

    async def test_what_a_killed_restore_left_goes(self, file: SqliteWorld, target: Path) -> None:
        async with file.open() as store:
            await talk(store)
            await backup(file, target)
        left = file.path.parent / "restoring"
        left.mkdir()
        (left / "gateway.db").write_bytes(b"half")

        await restore(file, target)

        assert not left.exists()


def names(folder: Path) -> list[str]:
    """What stands in a folder."""
    return sorted(path.name for path in folder.iterdir())


def impossible(path: Path) -> Path:
    """A name beside it that is longer than any file system takes."""
    return path.with_name("a" * 5_000)


def overwrite_pages(path: Path) -> None:
    """Write nonsense over every third page."""
    size = path.stat().st_size
    with path.open("r+b") as handle:
        for page in range(4, size // 4096, 3):
            handle.seek(page * 4096)
            handle.write(os.urandom(4096))


def _spoil(path: Path, damage: str) -> None:
    match damage:
        case "cut":
            os.truncate(path, path.stat().st_size // 2)
        case "overwritten":
            overwrite_pages(path)
        case "nonsense":
            path.write_bytes(b"not a database" * 1000)
        case "empty":
            path.write_bytes(b"")
        case "foreign":
            path.unlink()
            _execute(path, "CREATE TABLE recipe (name TEXT)")


def _execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


@contextmanager
def _held(draft: Path) -> Iterator[None]:
    """Another backup that writes this draft."""
    with draft.open("wb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
