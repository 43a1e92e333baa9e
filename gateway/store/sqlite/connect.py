"""Connections to the database file, and what an error of SQLite means to us.

Gives plain `sqlite3` connections in autocommit mode: whoever uses one begins and commits itself.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.errors import StoreError

BUSY_TIMEOUT_MS = 5_000
"""How long another process may hold the write lock before an operation gives up."""

_CACHED_STATEMENTS = 512
_JOURNAL_SIZE_LIMIT = 64 * 1024 * 1024
_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    f"PRAGMA journal_size_limit = {_JOURNAL_SIZE_LIMIT}",
    # The system keeps the file in its own cache; a second large copy here would only cost memory.
    "PRAGMA cache_size = -2000",
    "PRAGMA temp_store = MEMORY",
    # The writer checkpoints apart from its commits: see checkpoints.py.
    "PRAGMA wal_autocheckpoint = 0",
)
READER_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA query_only = ON",
    "PRAGMA cache_size = -1000",
    "PRAGMA temp_store = MEMORY",
)


def open_connection(path: Path) -> sqlite3.Connection:
    """A connection that may write, to be used by one thread at a time; raises sqlite3.Error."""
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_CACHED_STATEMENTS,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def store_error(error: sqlite3.Error, *, path: Path) -> StoreError:
    """What an error of SQLite means to the caller of a store."""
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return full_store(path)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StoreError(
            f"{path} cannot be written; give this user write access to it and to its directory.",
            code="store_read_only",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return corrupt_store(path, detail=str(error))
    return StoreError(f"The store {path} cannot be used now: {error}.", code="store_unavailable")


def full_store(path: Path) -> StoreError:
    """The error of a disk without room; it goes by itself when there is room again."""
    return StoreError(f"The disk of {path} is full; free some space.", code="store_full")


def corrupt_store(path: Path, *, detail: str) -> StoreError:
    """The error of a database file that is damaged."""
    return StoreError(
        f"The database {path} is damaged ({detail}). Bring back a backup with"
        " `bot-gateway restore FILE`.",
        transient=False,
        code="store_corrupt",
    )
