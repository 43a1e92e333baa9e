"""The lock on a data directory: one serving process at a time.

An flock(2) on a file: the kernel gives it up with the process, so a killed process holds nothing
and the file may stay. Knows no database.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import HeldElsewhere

LOCK_NAME = "gateway.lock"


@contextmanager
def hold_directory(directory: Path, *, owner: str) -> Iterator[None]:
    """Hold the directory while inside; `owner` is written into the lock for people.

    Raises HeldElsewhere when another process (or another store of this one) holds it, and OSError.
    """
    path = directory / LOCK_NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace").strip() or "unknown"
            raise HeldElsewhere(
                f"Another process holds the data directory {directory} ({holder}). Stop it first,"
                " or give this one a directory of its own."
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()} {owner}".strip().encode() + b"\n", 0)
        yield
    finally:
        os.close(descriptor)
