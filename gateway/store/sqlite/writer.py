"""The one writer: a thread that owns the one writing connection and commits in groups.

Takes whole operations, functions of the connection; gives their results, or raises what they
raised, only after COMMIT. Operations that the event loop asks for in one turn of it go to the
thread together, and everything that waits when the thread looks becomes one transaction. All
results of a group go back to the event loop in one hop.

An operation that raises undoes itself and nothing else. As most never do, a group runs without
savepoints first; only when one raises after it has written is the group undone and run again with
a savepoint around each. So an operation may be run twice, never committed twice.

Operations never begin or end transactions, and never touch the event loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from gateway.errors import StoreError, Unprocessable
from gateway.store.sqlite.condition import Condition
from gateway.store.sqlite.connect import open_connection

Result = TypeVar("Result")
Operation = Callable[[sqlite3.Connection], Result]

_MAX_GROUP = 256
"""Operations in one commit at most, so that the first of them does not wait for ever."""


@dataclass(slots=True)
class _Job:
    operation: Operation[Any]
    future: asyncio.Future[Any] | None
    is_alone: bool = False
    result: Any = None
    error: BaseException | None = None


def _ignore(*_: object) -> None:
    """What is called when nobody wants to be told."""


class _GroupUndone(sqlite3.OperationalError):
    """SQLite ended the transaction under a group; the cause is the first error."""


class _Caught:
    """Keeps an exception of a job for its caller, who gets it after the group's end."""

    __slots__ = ("_job",)

    def __init__(self, job: _Job) -> None:
        self._job = job

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._job.error = error
        return error is not None


class Writer:
    """Runs operations for one event loop; `start` it once, `close` it once.

    `condition` is what is known of the file, by all who use it.
    """

    def __init__(self, path: Path, condition: Condition | None = None) -> None:
        self._path = path
        self.condition = condition or Condition(path)
        self._after_commit: Callable[[int], None] = _ignore
        self._on_doubt: Callable[[], None] = _ignore
        self._outgoing: list[_Job] = []
        self._groups: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._connection: sqlite3.Connection
        self._data_version = 0
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._is_closed = False

    def start(
        self,
        *,
        after_commit: Callable[[int], None] = _ignore,
        on_doubt: Callable[[], None] = _ignore,
    ) -> None:
        """Open the connection and start the thread; raises sqlite3.Error.

        `after_commit` is told, in the thread, how many rows each group has changed. `on_doubt` is
        called there when something was undone or another process has written: whatever is known of
        rows may be wrong then.
        """
        self._after_commit = after_commit
        self._on_doubt = on_doubt
        self._connection = open_connection(self._path)
        self.condition.opened()
        self._thread.start()

    async def run(self, operation: Operation[Result]) -> Result:
        """Run an operation durably: returns or raises only after its group's commit.

        Raises what the operation raises, and StoreError when the group could not be committed.
        """
        return await self._put(operation, is_alone=False)

    async def run_alone(self, operation: Operation[Result]) -> Result:
        """Run an operation between two groups, outside any transaction."""
        return await self._put(operation, is_alone=True)

    def post(self, operation: Operation[object]) -> None:
        """Have an operation run between two groups some time; may be called from any thread."""
        self._groups.put([_Job(operation, None, is_alone=True)])

    async def close(self) -> None:
        """Run what waits, then close the connection; a second call changes nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._send_out()
            self._groups.put(None)
            await self._ended
            self._thread.join()

    async def _put(self, operation: Operation[Result], *, is_alone: bool) -> Result:
        if self._is_closed:
            raise StoreError("The store is closed.", transient=False)
        future: asyncio.Future[Result] = self._loop.create_future()
        if not self._outgoing:
            self._loop.call_soon(self._send_out)
        self._outgoing.append(_Job(operation, future, is_alone))
        return await future

    def _send_out(self) -> None:
        """Give the thread what was asked for in this turn of the event loop."""
        if self._outgoing:
            self._groups.put(self._outgoing)
            self._outgoing = []

    # ------------------------------------------------------------ in the thread

    def _run(self) -> None:
        is_open = True
        while is_open:
            jobs, is_open = self._take()
            alone = [job for job in jobs if job.is_alone]
            together = [job for job in jobs if not job.is_alone] if alone else jobs
            if together:
                self._commit(together)
            for job in alone:
                self._attempt(job)
            self._hand_back(jobs)
        self._connection.close()
        self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _take(self) -> tuple[list[_Job], bool]:
        """Everything that waits, at least one job; False when the writer is to close."""
        jobs: list[_Job] = []
        group = self._groups.get()
        try:
            while group is not None:
                jobs.extend(group)
                if len(jobs) >= _MAX_GROUP:
                    return jobs, True
                group = self._groups.get_nowait()
        except Empty:
            return jobs, True
        return jobs, False

    def _commit(self, jobs: Sequence[_Job]) -> None:
        """Run a group in one transaction; results and errors stand in the jobs afterwards."""
        connection = self._connection
        changes_before = connection.total_changes
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._notice_others()
            if not self._run_together(jobs):
                self._undo()
                connection.execute("BEGIN IMMEDIATE")
                self._run_apart(jobs)
            connection.execute("COMMIT")
            self.condition.check_identity()
        except StoreError as error:
            for job in jobs:
                job.error = error
        except sqlite3.Error as error:
            self._undo()
            cause = error.__cause__ if isinstance(error, _GroupUndone) else error
            for job in jobs:
                job.error = job.error or cause
        self._after_commit(connection.total_changes - changes_before)

    def _notice_others(self) -> None:
        """Doubt what is known when another process has written since the last group."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            self._data_version = version
            self._on_doubt()

    def _run_together(self, jobs: Sequence[_Job]) -> bool:
        """Run jobs one after the other; False when one failed that had written already."""
        connection = self._connection
        for job in jobs:
            changes_before = connection.total_changes
            if not self._attempt(job) and (
                connection.total_changes != changes_before or not connection.in_transaction
            ):
                return False
        return True

    def _run_apart(self, jobs: Sequence[_Job]) -> None:
        """Run jobs again, each of which can be undone alone."""
        execute = self._connection.execute
        for job in jobs:
            execute("SAVEPOINT operation")
            if not self._attempt(job):
                self._on_doubt()
                if not self._connection.in_transaction:
                    # SQLite itself undid the whole group, as it does when the disk is full.
                    raise _GroupUndone(str(job.error)) from job.error
                execute("ROLLBACK TO operation")
            execute("RELEASE operation")

    def _attempt(self, job: _Job) -> bool:
        """Run one job; False when it raised, and what it raised is kept for its caller."""
        job.error = None
        with _Caught(job):
            job.result = job.operation(self._connection)
        return job.error is None

    def _undo(self) -> None:
        self._on_doubt()
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _hand_back(self, jobs: Sequence[_Job]) -> None:
        for job in jobs:
            if isinstance(job.error, sqlite3.Error):
                cause = job.error
                job.error = self.condition.explain(cause)
                job.error.__cause__ = cause
            elif isinstance(job.error, UnicodeEncodeError):
                job.error = Unprocessable(
                    "The text holds half a surrogate pair and cannot be stored.",
                    code="invalid_text",
                )
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        if job.future is None or job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
