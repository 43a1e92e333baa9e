"""Restores: of sound backups alone, whole or not at all; a restored store sends nothing twice."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.domain.ids import new_delivery_id
from gateway.errors import GatewayError, HeldElsewhere, StoreError
from gateway.store.lock import LOCK_NAME
from gateway.store.protocol.dead_letters import DeadLetterFilter
from gateway.store.sqlite.restore import STAGING
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
from tests.store.copies import (
    StoreFile,
    backup,
    impossible,
    names,
    overwrite_pages,
    place_of_copy,
    restore,
)


@pytest.fixture
def file(tmp_path: Path) -> StoreFile:
    """A SQLite store that is not opened yet."""
    return StoreFile(tmp_path)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where a backup goes, in a folder of its own."""
    return place_of_copy(tmp_path)


class Interrupted(BaseException):
    """As KeyboardInterrupt, which an event loop would not let a test catch."""


class TestRestore:
    async def test_it_brings_back_what_was_and_keeps_what_is(
        self, file: StoreFile, target: Path
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
        self, file: StoreFile, target: Path
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
        self, file: StoreFile, target: Path
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
        self, file: StoreFile, target: Path
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
        self, file: StoreFile, target: Path, *, resume: bool
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
        self, file: StoreFile, target: Path
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
        self, file: StoreFile, target: Path
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
        self, file: StoreFile, target: Path
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
        self, file: StoreFile, target: Path
    ) -> None:
        async with file.open(lock=True) as store:
            await backup(file, target)
            with pytest.raises(HeldElsewhere):
                await restore(file, target)
            await store.ping()

    @pytest.mark.parametrize("damage", ["cut", "overwritten", "nonsense", "empty", "foreign"])
    async def test_a_backup_that_is_not_sound_changes_nothing(
        self, file: StoreFile, target: Path, damage: str
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
        self, file: StoreFile, target: Path
    ) -> None:
        async with file.open():
            await backup(file, target)
        _execute(
            target, "INSERT INTO schema_migration (number, name, checksum) VALUES (99, '', '')"
        )

        with pytest.raises(GatewayError, match="newer version"):
            await restore(file, target)

    async def test_without_room_for_the_copy_it_tells_how_much_is_needed(
        self, file: StoreFile, target: Path
    ) -> None:
        async with file.open():
            await backup(file, target)
        os.truncate(target, 8 * 1024**4)

        with pytest.raises(StoreError, match=r"the restore needs 8388609\.0 MiB") as refused:
            await restore(file, target)

        assert (refused.value.code, refused.value.transient) == ("store_full", True)
        assert STAGING not in names(file.path.parent)

    async def test_what_is_no_file_is_told_by_its_name(self, file: StoreFile, target: Path) -> None:
        for source, why in ((target.parent, "is a directory"), (impossible(target), "be read")):
            with pytest.raises(GatewayError, match=why):
                await restore(file, source)

    async def test_ctrl_c_while_the_files_are_moved_leaves_the_former_store(
        self, file: StoreFile, target: Path, monkeypatch: pytest.MonkeyPatch
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

    async def test_a_missing_backup_is_told(self, file: StoreFile, target: Path) -> None:
        with pytest.raises(GatewayError, match="no file"):
            await restore(file, target)

    async def test_a_copy_of_the_directory_can_be_restored_with_its_log(
        self, file: StoreFile, target: Path
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

    async def test_the_backup_itself_is_not_touched(self, file: StoreFile, target: Path) -> None:
        async with file.open() as store:
            await talk(store)
            await backup(file, target)
        before = target.read_bytes()

        await restore(file, target)

        assert target.read_bytes() == before
        assert names(target.parent) == ["copy.db"]

    async def test_what_a_killed_restore_left_goes(self, file: StoreFile, target: Path) -> None:
        async with file.open() as store:
            await talk(store)
            await backup(file, target)
        left = file.path.parent / "restoring"
        left.mkdir()
        (left / "gateway.db").write_bytes(b"half")

        await restore(file, target)

        assert not left.exists()


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
