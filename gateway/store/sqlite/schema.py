"""Bringing a database file up to this program's schema, and looking whether it is sound.

Migrations run under one exclusive transaction: all of what is missing, or nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from gateway.store.migrate import Migration, load_migrations, pending_migrations
from gateway.store.sqlite.connect import corrupt_store

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migration (
    number      INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    checksum    TEXT NOT NULL,
    applied_at  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT
"""
_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_migration'"
_APPLIED = "SELECT number, checksum FROM schema_migration"
_RECORD = "INSERT INTO schema_migration (number, name, checksum) VALUES (?, ?, ?)"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"

_WHOLE_CHECK_BYTES = 256 * 1024 * 1024
"""Up to this size the whole file is looked through at every start."""
_LARGE_TABLES = frozenset(
    {
        "message",
        "turn",
        "turn_event",
        "inbox",
        "outbox",
        "tool_call",
        "idempotency",
        "session",
        "file_piece",
    }
)


def missing_migrations(connection: sqlite3.Connection) -> list[Migration]:
    """What the database still needs; raises StoreError when it is newer or not ours."""
    applied: dict[int, str] = {}
    if connection.execute(_HAS_TABLE).fetchone():
        applied = dict(connection.execute(_APPLIED).fetchall())
    return pending_migrations(load_migrations("sqlite"), applied)


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether nothing was ever written to the database."""
    return connection.execute(_HAS_TABLE).fetchone() is None


def migrate(connection: sqlite3.Connection) -> list[int]:
    """Apply what is missing; the numbers applied. Raises StoreError and sqlite3.Error."""
    connection.execute("BEGIN EXCLUSIVE")
    try:
        connection.execute(_CREATE_TABLE)
        missing = missing_migrations(connection)
        for migration in missing:
            for statement in _statements(migration.sql):
                connection.execute(statement)
            connection.execute(_RECORD, (migration.number, migration.name, migration.checksum))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return [migration.number for migration in missing]


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Look through the file; raises StoreError (`store_corrupt`) naming what was found.

    Above 256 MiB only the small tables are looked through, so that a start stays quick; the rest
    of a large file is checked when it is backed up. Raises sqlite3.Error as well: only some of them
    mean damage, and `store_error` knows which.
    """
    is_small = path.stat().st_size <= _WHOLE_CHECK_BYTES
    if is_small:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    else:
        found = _check_small_tables(connection)
    if found != "ok":
        raise corrupt_store(path, detail=found.splitlines()[-1])


def _check_small_tables(connection: sqlite3.Connection) -> str:
    for (table,) in connection.execute(_TABLES).fetchall():
        if table not in _LARGE_TABLES:
            # A pragma takes no parameters; the name comes from the schema itself.
            found = connection.execute(f"PRAGMA quick_check([{table}])").fetchone()[0]
            if found != "ok":
                return str(found)
    return "ok"


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
