"""Readers: a few connections that can only read, for lists, history and look-ups.

Each has a thread of its own (aiosqlite), so that a long read holds up neither the event loop nor
the writer. They see everything that was committed before the read began.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite

from gateway.store.rows import Row
from gateway.store.sqlite.condition import Condition
from gateway.store.sqlite.connect import READER_PRAGMAS

_READERS = 2

Query = Callable[[str, Mapping[str, Any], int], Awaitable[list[Row]]]
"""A query of a snapshot: SQL, parameters, how many rows at most."""


class Readers:
    """A pool of reading connections; `open` it once, `close` it once."""

    def __init__(self, path: Path, condition: Condition | None = None) -> None:
        self._path = path
        self._condition = condition or Condition(path)
        self._connections: list[aiosqlite.Connection] = []
        self._next = 0

    async def open(self) -> None:
        """Open the connections; raises sqlite3.Error."""
        for _ in range(_READERS):
            self._connections.append(await self._connect())

    async def close(self) -> None:
        """Close the connections; a second call changes nothing."""
        while self._connections:
            await self._connections.pop().close()

    async def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query; raises StoreError."""
        self._next = (self._next + 1) % _READERS
        try:
            rows = await self._connections[self._next].execute_fetchall(sql, parameters)
        except sqlite3.Error as error:
            raise self._condition.explain(error) from error
        return list(rows)

    async def one(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None; raises StoreError."""
        rows = await self.all(sql, parameters)
        return rows[0] if rows else None

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Query]:
        """Queries that all see the store as it is now; raises StoreError.

        On a connection of its own, so that it may take long.
        """
        connection = await self._connect()

        async def query(sql: str, parameters: Mapping[str, Any], limit: int) -> list[Row]:
            async with connection.execute(sql, dict(parameters)) as cursor:
                return list(await cursor.fetchmany(limit))

        try:
            await connection.execute_fetchall("BEGIN")
            yield query
        except sqlite3.Error as error:
            raise self._condition.explain(error) from error
        finally:
            await connection.close()

    async def _connect(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(
            self._path, isolation_level=None, cached_statements=256
        )
        for pragma in READER_PRAGMAS:
            await connection.execute_fetchall(pragma)
        return connection
