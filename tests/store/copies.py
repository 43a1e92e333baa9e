"""What tests of backups and of restores share: a store file, copies of it, damage.

The store goes by the machine's own clock, as a backup and a restore do.
"""

import asyncio
import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from gateway.store.copies import Backup, Restored
from gateway.store.protocol import Store
from gateway.store.sqlite.backup import backup_sqlite
from gateway.store.sqlite.restore import restore_sqlite
from gateway.store.sqlite.store import open_sqlite
from tests.store.worlds import SqliteWorld


class StoreFile(SqliteWorld):
    """A SQLite file whose store goes by the machine's own clock."""

    def open(self, *, lock: bool = False) -> AbstractAsyncContextManager[Store]:
        return open_sqlite(self.path, lock=lock, owner="test")


def place_of_copy(folder: Path) -> Path:
    """Where a backup goes, in a folder of its own that is made."""
    backups = folder / "backups"
    backups.mkdir()
    return backups / "copy.db"


async def backup(file: StoreFile, to: Path, *, overwrite: bool = False) -> Backup:
    """A backup, made by somebody else while the store is used here."""
    return await asyncio.to_thread(backup_sqlite, file.path, to, overwrite=overwrite)


async def restore(file: StoreFile, source: Path, *, resume: bool = False) -> Restored:
    """A restore, made by somebody else."""
    return await asyncio.to_thread(restore_sqlite, file.path, source, resume=resume)


def names(folder: Path) -> list[str]:
    """What stands in a folder."""
    return sorted(path.name for path in folder.iterdir())


def impossible(path: Path) -> Path:
    """A name beside it that is longer than any file system takes."""
    return path.with_name("a" * 5_000)


def overwrite_pages(path: Path) -> None:
    """Write nonsense over every third page."""
    size = path.stat().st_size
    with path.open("r+b") as handle:
        for page in range(4, size // 4096, 3):
            handle.seek(page * 4096)
            handle.write(os.urandom(4096))
