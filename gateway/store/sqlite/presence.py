"""Whether the database is the one that was here before: not lost, not replaced, its log complete.

SQLite makes a new database where a file is gone, and goes on without the commits of a log that was
cut short. Here a marker beside the file remembers that there was one, and the index of the log,
which a killed process leaves behind, how many commits there were. Opens no connection.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import StoreError
from gateway.store.sqlite.connect import corrupt_store

MARKER = ".marker"
_TIMES_LOOKED = 3

# The index of the log, in the machine's byte order, and the log's header, big end first: SQLite,
# "WAL-mode File Format", sections 2.1 and 1.2.
_INDEX = struct.Struct("=4x4x4xBBHI12x8s8x")
_CHECKPOINTED = struct.Struct("=I")
_LOG_HEADER = struct.Struct(">II4x4x8s8x")
_LOG_MAGIC = 0x377F0682
_FRAME_HEADER = 24


def check_presence(path: Path) -> None:
    """Raise StoreError when there was a database and it is gone or empty, or its log was cut."""
    marker = _marker(path)
    is_there = path.exists() and path.stat().st_size > 0
    if not is_there and marker.exists():
        raise StoreError(
            f"The database {path} is gone or empty, and {marker} says that there was one. Bring"
            " back a backup with `bot-gateway restore FILE`; to begin anew, remove the marker.",
            transient=False,
            code="store_missing",
        )
    if is_there:
        _check_log(path)


def mark(path: Path) -> None:
    """Remember that there is a database; a second call changes nothing. Raises OSError."""
    marker = _marker(path)
    if marker.exists():
        return
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    text = f"{path.name} stands here since {since}. Without it the gateway does not start.\n"
    descriptor = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def identity(path: Path, *, may_be_empty: bool = False) -> tuple[int, int] | None:
    """What tells a file from another of its name; None = it is gone or empty. Raises OSError."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_dev, found.st_ino) if found.st_size or may_be_empty else None


def lost_store(path: Path) -> StoreError:
    """The error of a database that went away under a process that uses it."""
    return StoreError(
        f"The database {path} was removed, emptied or replaced while it was in use. Bring back a"
        " backup with `bot-gateway restore FILE`.",
        transient=False,
        code="store_missing",
    )


def lost_log(log: Path) -> StoreError:
    """The error of a database whose log went away under a process that uses it."""
    return StoreError(
        f"The log {log} was removed or replaced while it was in use. Start the gateway again: it"
        " refuses to when commits are missing.",
        transient=False,
        code="store_missing",
    )


@dataclass(frozen=True, slots=True)
class _Index:
    """What the index says of the log: its generation, its frames, how many are in the database."""

    salt: bytes
    frames: int
    page_size: int
    checkpointed: int


def _check_log(path: Path) -> None:
    """Raise StoreError when the log holds fewer commits than its index knows.

    Others may write meanwhile: only an index that stays the same is believed.
    """
    log, index_file = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    before = _read_index(index_file)
    for _ in range(_TIMES_LOOKED):
        if before is None or before.frames == 0 or _is_complete(log, before):
            return
        again = _read_index(index_file)
        if again == before:
            break
        before = again
    else:
        return
    raise corrupt_store(
        path,
        detail=f"its log {log.name} was cut short or overwritten, so that commits are missing;"
        f" without {index_file.name} it would start without them",
    )


def _read_index(path: Path) -> _Index | None:
    """The index, if there is one that was written completely."""
    try:
        with path.open("rb") as file:
            first, second = file.read(48), file.read(48)
            checkpointed = file.read(_CHECKPOINTED.size)
    except FileNotFoundError:
        return None
    if first != second or len(second) < 48 or len(checkpointed) < _CHECKPOINTED.size:
        return None
    is_init, _, page_size, frames, salt = _INDEX.unpack(first)
    if not is_init:
        return None
    # 65536 does not fit into two bytes and is written as 1.
    size = 65_536 if page_size == 1 else page_size
    return _Index(salt, frames, size, _CHECKPOINTED.unpack(checkpointed)[0])


def _is_complete(log: Path, index: _Index) -> bool:
    """Whether the log has all frames its index knows; one of another generation tells nothing."""
    try:
        file = log.open("rb")
    except FileNotFoundError:
        return index.checkpointed >= index.frames
    with file:
        header = file.read(_LOG_HEADER.size)
        if not header:
            return index.checkpointed >= index.frames
        if len(header) < _LOG_HEADER.size:
            return False
        magic, _, salt = _LOG_HEADER.unpack(header)
        if magic & ~1 != _LOG_MAGIC:
            return False
        if salt != index.salt:
            return True
        step = _FRAME_HEADER + index.page_size
        descriptor = file.fileno()
        end = _LOG_HEADER.size + index.frames * step
        starts = range(_LOG_HEADER.size, end, step)
        return os.fstat(descriptor).st_size >= end and all(
            os.pread(descriptor, 8, start + 8) == salt for start in starts
        )


def _marker(path: Path) -> Path:
    return path.with_name(path.name + MARKER)
