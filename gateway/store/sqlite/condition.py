"""The condition of an open database file: still the one that was opened, and not seen damaged.

Shared by all connections of a store. What was seen once stays: a damaged file does not mend itself.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.errors import StoreError
from gateway.store.sqlite.connect import store_error
from gateway.store.sqlite.presence import identity, lost_log, lost_store


class Condition:
    """What is known of one file; may be used from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._identity: tuple[int, int] | None = None
        self._log_identity: tuple[int, int] | None = None
        self._damage: str | None = None

    def opened(self) -> None:
        """Remember which file it is; called when the first connection is open."""
        self._identity = identity(self._path)

    def explain(self, error: sqlite3.Error) -> StoreError:
        """What an error of a connection means to its caller; damage is remembered."""
        found = store_error(error, path=self._path)
        if found.code == "store_corrupt":
            self._damage = found.message
        return found

    def check(self) -> None:
        """Raise StoreError, not transient, when the file is another one, gone, or damaged."""
        if self._damage is not None:
            raise StoreError(self._damage, transient=False, code="store_corrupt")
        self.check_identity()

    def check_identity(self) -> None:
        """Raise StoreError when the file is another one or gone: what is written is lost then.

        So it is with its log, which stays the same from the first commit on, though others may
        empty it by a checkpoint. A file that cannot be looked at, as in a directory without rights,
        is taken for the same.
        """
        try:
            is_same = self._identity is None or identity(self._path) == self._identity
            log = identity(self._log, may_be_empty=True)
        except OSError:
            return
        if not is_same:
            raise lost_store(self._path)
        if self._log_identity is None:
            self._log_identity = log
        elif log != self._log_identity:
            raise lost_log(self._log)
