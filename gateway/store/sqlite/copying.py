"""Copying a database file while others use it, and looking whether a copy is sound.

The copy is of one moment: a read transaction stays open over all its steps. That holds up no writer
(the log only grows meanwhile, as it cannot start over), and no writer makes the copy begin anew.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from gateway.errors import StoreError
from gateway.store.copies import Tell
from gateway.store.protocol.coordination import Finding
from gateway.store.sqlite.connect import READER_PRAGMAS
from gateway.store.sqlite.readers import Readers
from gateway.store.sqlite.schema import is_empty, missing_migrations
from gateway.store.sqlite.verifying import verify

_PAGES_A_STEP = 1_024
"""4 MiB: short enough for a bar that moves, long enough not to cost time."""
BESIDE = ("-journal", "-wal", "-shm")
"""Files that SQLite keeps beside a database, by the ends of their names."""


def copy_database(source: Path, copy: Path, *, is_at_work: bool, tell: Tell) -> None:
    """Copy a database to a new file, as it is at this moment; raises sqlite3.Error.

    `is_at_work`: others may write to the source meanwhile. The copy needs no file beside it and is
    on disk when this returns.
    """
    with (
        closing(_reading(source, is_at_work=is_at_work)) as reading,
        closing(_plain(copy)) as writing,
    ):
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()

        def stepped(_status: int, remaining: int, total: int) -> None:
            tell("copying", total - remaining, total)

        reading.backup(writing, pages=_PAGES_A_STEP, progress=stepped)
        writing.execute("PRAGMA journal_mode = DELETE").fetchall()
    sync(copy)


def check_copy(copy: Path, *, tell: Tell) -> Sequence[Finding]:
    """Look through every page and row of a copy; what breaks an invariant of the store.

    Raises StoreError when it is damaged, is no store of ours, or a newer one.
    """
    tell("checking", 0, 0)
    with closing(_reading(copy, is_at_work=False)) as connection:
        if is_empty(connection):
            raise StoreError("It holds no store of this program.", transient=False)
        for pragma in ("integrity_check(1)", "foreign_key_check"):
            found = connection.execute(f"PRAGMA {pragma}").fetchone()
            if found is not None and found[0] != "ok":
                said = " ".join(str(value) for value in found).splitlines()[-1]
                raise StoreError(f"It is damaged ({said}).", transient=False, code="store_corrupt")
        is_older = bool(missing_migrations(connection))
    # Rows of an older schema cannot be judged by this version's invariants. At time 0 no part is
    # sent for too long: nobody sends from a copy, and however old it is, it is sound.
    return [] if is_older else asyncio.run(verify(Readers(copy), now=0))


def sync(path: Path) -> None:
    """Wait until a file, or what a directory lists, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_database(path: Path) -> None:
    """Remove a database file and all that SQLite keeps beside it, as far as they are there."""
    for suffix in ("", *BESIDE):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _reading(path: Path, *, is_at_work: bool) -> sqlite3.Connection:
    """A connection that writes nothing.

    A file that nobody writes to may stand on a read-only disk: no file is made beside it either.
    """
    has_log = path.with_name(path.name + "-wal").exists()
    flags = "mode=rw" if is_at_work else "mode=ro" if has_log else "mode=ro&immutable=1"
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{flags}", uri=True, isolation_level=None
    )
    try:
        for pragma in READER_PRAGMAS:
            connection.execute(pragma).fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _plain(path: Path) -> sqlite3.Connection:
    """A connection to a copy in the making, which nobody else uses."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    return connection
