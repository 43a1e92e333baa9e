"""The store in one SQLite file: all areas over one writer and its readers, and its life.

The data directory is made when it is missing; the file is migrated before anything else is done.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

from gateway.errors import StoreError
from gateway.store.lock import hold_directory
from gateway.store.sqlite.accounts import SqliteAccounts
from gateway.store.sqlite.checkpoints import Checkpoints, finish
from gateway.store.sqlite.clock import StoreClock
from gateway.store.sqlite.connect import full_store, open_connection, store_error
from gateway.store.sqlite.coordination import SqliteCoordination, forget_abandoned_answers
from gateway.store.sqlite.dead_letters import SqliteDeadLetters
from gateway.store.sqlite.files import SqliteFiles
from gateway.store.sqlite.history import SqliteHistory
from gateway.store.sqlite.inbox import SqliteInbox
from gateway.store.sqlite.lingering import SqliteLingering
from gateway.store.sqlite.outbox import SqliteOutbox
from gateway.store.sqlite.people import SqlitePeople
from gateway.store.sqlite.people_standing import SqlitePeopleStanding
from gateway.store.sqlite.presence import check_presence, mark
from gateway.store.sqlite.readers import Readers
from gateway.store.sqlite.recent import Recent
from gateway.store.sqlite.restored import SqliteRestored
from gateway.store.sqlite.schema import check, is_empty, migrate, missing_migrations
from gateway.store.sqlite.turns import SqliteTurns
from gateway.store.sqlite.waits import follow_wall, take_over_clock
from gateway.store.sqlite.writer import Writer

_UMASK = 0o077


class SqliteStore(
    SqliteInbox,
    SqliteTurns,
    SqliteOutbox,
    SqliteDeadLetters,
    SqliteHistory,
    SqlitePeople,
    SqlitePeopleStanding,
    SqliteFiles,
    SqliteAccounts,
    SqliteCoordination,
    SqliteLingering,
    SqliteRestored,
):
    """Everything that is remembered, in one SQLite file."""


@asynccontextmanager
async def open_sqlite(
    path: Path, *, lock: bool, owner: str, clock: StoreClock | None = None
) -> AsyncIterator[SqliteStore]:
    """The store in that file, made and migrated as needed; closed at the end of the block.

    With `lock` the data directory is held and the file is looked through. Raises HeldElsewhere, and
    StoreError (`store_read_only`, `store_corrupt`, `store_missing`, `store_newer`) that
    no waiting mends.
    """
    clock = clock or StoreClock()
    async with AsyncExitStack() as stack:
        with explained(path):
            _prepare(path, stack, lock=lock, owner=owner, clock=clock)
            writer = Writer(path)
            checkpoints = Checkpoints(path, ask_writer=lambda: writer.post(finish))
            recent = Recent()
            writer.start(after_commit=checkpoints.count, on_doubt=recent.forget)
            stack.push_async_callback(writer.close)
            checkpoints.start()
            stack.callback(checkpoints.stop)
            readers = Readers(path, writer.condition)
            stack.push_async_callback(readers.close)
            await readers.open()
        yield SqliteStore(writer, readers, recent, clock)


def _prepare(
    path: Path, stack: AsyncExitStack, *, lock: bool, owner: str, clock: StoreClock
) -> None:
    """Make directory and file, hold the lock, migrate, set the clock."""
    old_umask = os.umask(_UMASK)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if lock:
            stack.enter_context(hold_directory(path.parent, owner=owner))
        with _opened(path) as connection, ExitStack() as while_migrating:
            if lock:
                check(connection, path)
            if missing_migrations(connection):
                if not lock and not is_empty(connection):
                    # Nobody may serve from a store whose schema changes.
                    while_migrating.enter_context(hold_directory(path.parent, owner="migrating"))
                migrate(connection)
            mark(path)
            take_over_clock(connection, clock)
            if lock:
                follow_wall(connection, clock)
                forget_abandoned_answers(connection)
    finally:
        os.umask(old_umask)


def migrate_sqlite(path: Path) -> list[int]:
    """Bring the file up to this program's schema with the directory held; the steps taken.

    Raises HeldElsewhere and StoreError as `open_sqlite` does.
    """
    old_umask = os.umask(_UMASK)
    try:
        with explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (
                hold_directory(path.parent, owner="migrating"),
                _opened(path) as connection,
            ):
                check(connection, path)
                steps = migrate(connection)
                mark(path)
                return steps
    finally:
        os.umask(old_umask)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    check_presence(path)
    with closing(open_connection(path)) as connection:
        yield connection


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Errors of opening as what no waiting mends, but for a full disk and another writer."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise full_store(path) from error
        raise StoreError(
            f"The data directory {path.parent} cannot be used ({error.strerror}). Give this user"
            " write access to it, or name another in `store.url`.",
            transient=False,
            code="store_read_only",
        ) from error
    except sqlite3.Error as error:
        found = store_error(error, path=path)
        passes = found.code == "store_full" or _is_busy(error)
        raise StoreError(found.message, transient=passes, code=found.code) from error


def _is_busy(error: sqlite3.Error) -> bool:
    """Whether another process holds the database just now."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
