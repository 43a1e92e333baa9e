"""Checkpoints: moving the write-ahead log into the database file, beside the commits.

SQLite's own way is to let the commit that fills the log pay for it. Here a thread of its own copies
with a passive checkpoint, which holds up nobody; only when the log has grown very long does the
writer itself finish the rest between two groups, so that the log starts over.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from gateway.store.sqlite.connect import open_connection

_ROWS_BETWEEN = 2_000
"""Changed rows after which the log is worth copying: a few MiB of it, if rows are small."""
_GROWTH_BETWEEN = 8 * 1024 * 1024
"""Growth of the log's file after which it is worth copying, however few rows that were."""
_LONG_LOG_PAGES = 4_096
"""From this length on (16 MiB) the log is to start over, which needs all of it copied."""
_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"


class Checkpoints:
    """Copies in the background; `start` it once, `stop` it once. `finish` runs in the writer."""

    def __init__(self, path: Path, *, ask_writer: Callable[[], None]) -> None:
        self._path = path
        self._log_path = path.with_name(path.name + "-wal")
        self._ask_writer = ask_writer
        self._wake = threading.Event()
        self._is_stopping = False
        self._changed_rows = 0
        self._known_size = 0
        self._thread = threading.Thread(target=self._run, name="store-checkpoints", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; returns when it has ended."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join()

    def count(self, changed_rows: int) -> None:
        """Note what a commit has changed; called by the writer's thread after each group."""
        self._changed_rows += changed_rows
        grown = self._log_size() - self._known_size
        if self._changed_rows >= _ROWS_BETWEEN or grown >= _GROWTH_BETWEEN:
            self._changed_rows = 0
            self._known_size += grown
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if self._is_stopping:
                return
            self._wake.clear()
            with suppress(sqlite3.Error):
                self._copy()

    def _copy(self) -> None:
        # On a connection of its own each time: one that is kept costs more than opening it does.
        with closing(open_connection(self._path)) as connection:
            _busy, log_pages, _copied = connection.execute(_PASSIVE).fetchone()
        if log_pages > _LONG_LOG_PAGES:
            # By now there is more in it again, unless nobody writes.
            self._ask_writer()

    def _log_size(self) -> int:
        try:
            return self._log_path.stat().st_size
        except OSError:
            return 0


def finish(connection: sqlite3.Connection) -> None:
    """Copy what is left of the log; run between two groups, so that nothing is added meanwhile."""
    connection.execute(_PASSIVE).fetchall()
