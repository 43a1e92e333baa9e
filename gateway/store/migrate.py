"""Migrations: numbered SQL files of a database, and which of them a store still needs.

Takes what a store says it has applied; gives what is left, in order. Runs nothing itself: each
database applies the files in its own transaction. Refuses a store that is newer than this program,
or whose migrations are not the ones this program knows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from gateway.errors import StoreError

_NAME = re.compile(r"(?P<number>\d{4})_(?P<name>\w+)\.(?P<dialect>\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of a schema."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file's text: an applied file must never change."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations(dialect: str) -> list[Migration]:
    """All migrations of a database (`sqlite`, `postgres`), by number."""
    found = []
    for entry in files("gateway.store").joinpath("migrations").iterdir():
        parts = _NAME.fullmatch(entry.name)
        if parts and parts["dialect"] == dialect:
            text = entry.read_text(encoding="utf-8")
            found.append(Migration(int(parts["number"]), parts["name"], text))
    return sorted(found, key=lambda migration: migration.number)


def pending_migrations(known: Sequence[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """Migrations a store still needs; `applied` is number -> checksum as the store has it.

    Raises StoreError: `store_newer` when the store has steps this program does not know,
    `store_corrupt` when an applied step is not the one this program has.
    """
    highest = max((migration.number for migration in known), default=0)
    if applied and max(applied) > highest:
        raise StoreError(
            f"The store was written by a newer version (schema {max(applied)}, this program knows"
            f" {highest}). Install that version, or restore a backup made by this one.",
            transient=False,
            code="store_newer",
        )
    for migration in known:
        checksum = applied.get(migration.number)
        if checksum is not None and checksum != migration.checksum:
            raise StoreError(
                f"Migration {migration.number} of the store is not the one this program has."
                " Use the version that wrote the store, or `bot-gateway restore` a backup.",
                transient=False,
                code="store_corrupt",
            )
    return [migration for migration in known if migration.number not in applied]
