"""A store whose process can die between any two steps, or in the middle of a commit.

What a killed process leaves is what stands in its files. So a crash is a copy of the files, taken
after the last COMMIT or, with a transaction open, before it; the next process opens the copy, and
the old one goes on into nowhere and is put away.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Literal, TypeVar

from gateway.store.protocol import Store
from gateway.store.protocol.coordination import Finding
from gateway.store.sqlite.readers import Query, Readers
from gateway.store.sqlite.store import open_sqlite
from gateway.store.sqlite.verifying import verify
from tests.store.worlds import FixedClock

Result = TypeVar("Result")
Fate = Literal["returns", "lost after commit", "lost before commit"]
FILES = ("gateway.db", "gateway.db-wal")


class WatchedClock(FixedClock):
    """A fixed clock that can tell when the store looks at it, in whatever thread."""

    def __init__(self) -> None:
        super().__init__()
        self.on_look: Callable[[], None] | None = None

    def __call__(self) -> int:
        if self.on_look is not None:
            self.on_look()
        return super().__call__()

    def seconds(self) -> int:
        """The time in whole seconds: what is later by microseconds only counts as equal."""
        return round(self._now / 1_000_000)


class QuickReaders(Readers):
    """Reads in the thread that asks: what a test asks after every step has to be quick."""

    def __init__(self, path: Path) -> None:
        self._file = path

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Query]:
        """Queries that all see the store as it is now."""
        with closing(sqlite3.connect(self._file, isolation_level=None)) as connection:

            async def query(sql: str, parameters: Mapping[str, Any], limit: int) -> list[Any]:
                return connection.execute(sql, dict(parameters)).fetchmany(limit)

            connection.execute("BEGIN")
            yield query


class CrashableStore:
    """The store of one process after another, all in one folder.

    `here` is the process that serves. `beside` is a second process on the same files that takes no
    lock, as an operator's command; it dies with the first.
    """

    def __init__(self, folder: Path, *, template: Path) -> None:
        self.clock = WatchedClock()
        self.lives = 0
        self._folder = folder
        self._template = template
        self._stack = AsyncExitStack()
        self._here: Store | None = None
        self._beside: Store | None = None

    @property
    def here(self) -> Store:
        """The store of the process that serves."""
        assert self._here is not None
        return self._here

    async def beside(self) -> Store:
        """The store of a second process."""
        if self._beside is None:
            opened = open_sqlite(self._path(), lock=False, owner="command", clock=self.clock)
            self._beside = await self._stack.enter_async_context(opened)
        return self._beside

    async def start(self) -> None:
        """Open the files as a new process: the template's at first, then what a crash left."""
        left = self._folder / "left" if self.lives else self._template
        self.lives += 1
        _copy(left, self._path().parent)
        opened = open_sqlite(self._path(), lock=True, owner="process", clock=self.clock)
        self._here = await self._stack.enter_async_context(opened)

    async def call(
        self, operation: Callable[[Store], Awaitable[Result]], fate: Fate = "returns"
    ) -> Result | None:
        """Run one operation; None when its process dies before the commit."""
        if fate == "lost before commit":
            self.clock.on_look = self._leave
            await asyncio.gather(operation(self.here), self.here.ping(), return_exceptions=True)
            self.clock.on_look = None
            await self._begin_again()
            return None
        try:
            return await operation(self.here)
        finally:
            if fate == "lost after commit":
                await self.crash()

    async def verify(self) -> list[Finding]:
        """What breaks an invariant of the store."""
        return await verify(QuickReaders(self._path()), now=self.clock())

    async def crash(self) -> None:
        """Kill the process, and start the next."""
        self._leave()
        await self._begin_again()

    async def close(self) -> None:
        """Put everything away."""
        await self._stack.aclose()
        shutil.rmtree(self._folder)

    def _path(self) -> Path:
        return self._folder / f"life{self.lives}" / "gateway.db"

    def _leave(self) -> None:
        _copy(self._path().parent, self._folder / "left")

    async def _begin_again(self) -> None:
        self._here = self._beside = None
        await self._stack.aclose()
        shutil.rmtree(self._path().parent)
        await self.start()


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (target / name).unlink(missing_ok=True)
        if (source / name).exists():
            shutil.copyfile(source / name, target / name)
