"""Readers: a few connections that can only read, for lists, history and look-ups.

Each has a thread of its own (aiosqlite), so that a long read holds up neither the event loop nor
the writer. They see everything that was committed before the read began. All but the first are
opened when every open one is at work: a gateway with little to do keeps their memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite

from gateway.store.rows import Row
from gateway.store.sqlite.condition import Condition
from gateway.store.sqlite.connect import READER_PRAGMAS

_READERS = 2

Query = Callable[[str, Mapping[str, Any], int], Awaitable[list[Row]]]
"""A query of a snapshot: SQL, parameters, how many rows at most."""


@dataclass(slots=True, eq=False)
class _Reader:
    """One connection, and how many reads it has not finished."""

    connection: aiosqlite.Connection
    reads: int = 0


class Readers:
    """A pool of reading connections; `open` it once, `close` it once."""

    def __init__(self, path: Path, condition: Condition | None = None) -> None:
        self._path = path
        self._condition = condition or Condition(path)
        self._readers: list[_Reader] = []
        self._opening = 0

    async def open(self) -> None:
        """Open the first connection; raises sqlite3.Error."""
        await self._add()

    async def close(self) -> None:
        """Close the connections; a second call changes nothing."""
        while self._readers:
            await self._readers.pop().connection.close()

    async def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query; raises StoreError."""
        try:
            if self._all_at_work and len(self._readers) + self._opening < _READERS:
                await self._add()
            reader = min(self._readers, key=lambda reader: reader.reads)
            reader.reads += 1
            try:
                return list(await reader.connection.execute_fetchall(sql, parameters))
            finally:
                reader.reads -= 1
        except sqlite3.Error as error:
            raise self._condition.explain(error) from error

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

    @property
    def _all_at_work(self) -> bool:
        return all(reader.reads for reader in self._readers)

    async def _add(self) -> None:
        self._opening += 1
        try:
            self._readers.append(_Reader(await self._connect()))
        finally:
            self._opening -= 1

    async def _connect(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(
            self._path, isolation_level=None, cached_statements=256
        )
        try:
            for pragma in READER_PRAGMAS:
                await connection.execute_fetchall(pragma)
        except BaseException:  # cancelled as well: an open connection keeps the process from ending
            await connection.close()
            raise
        return connection
