"""A store of each kind with a clock that only moves when a test says so."""

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any, Protocol

from gateway.store.protocol import Store
from gateway.store.sqlite.clock import StoreClock
from gateway.store.sqlite.store import open_sqlite

NOON = 1_767_268_800_000_000


class FixedClock(StoreClock):
    """Microseconds since 1970; every reading is one later than the one before."""

    def __init__(self) -> None:
        self._now = NOON
        super().__init__(wall=lambda: self._now, counted=lambda: self._now, boot="fixed")

    def __call__(self) -> int:
        self._now += 1
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += int(seconds * 1_000_000)


class World(Protocol):
    """One kind of store that tests can open, and look under the floor of."""

    clock: FixedClock

    def open(self, *, lock: bool = False) -> AbstractAsyncContextManager[Store]:
        """The store; each call opens it once more."""
        ...

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Run one statement on the database behind the store's back."""
        ...

    def dump(self) -> str:
        """Everything in the database, as text."""
        ...


class SqliteWorld:
    """A SQLite file in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "data" / "gateway.db"
        self.clock = FixedClock()

    def open(self, *, lock: bool = False) -> AbstractAsyncContextManager[Store]:
        return open_sqlite(self.path, lock=lock, owner="test", clock=self.clock)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def dump(self) -> str:
        with closing(sqlite3.connect(self.path)) as connection:
            return "\n".join(connection.iterdump())
