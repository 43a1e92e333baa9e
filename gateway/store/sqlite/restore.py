"""Restoring: a backup in the place of the store, which is kept beside it.

Everything is prepared in a folder of its own first: a restore that fails or is killed leaves the
store as it was. Between moving the old files away and the new one in, the store is missing for a
moment; a start refuses it then, and the same restore can be run again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from gateway.domain.ids import ProjectId, TurnId
from gateway.errors import GatewayError, StoreError
from gateway.store.copies import Restored, Tell, say_nothing
from gateway.store.lock import hold_directory
from gateway.store.protocol.inbox import ClaimTerms
from gateway.store.sqlite.connect import store_error
from gateway.store.sqlite.copying import BESIDE, check_copy, copy_database, sync
from gateway.store.sqlite.presence import mark
from gateway.store.sqlite.store import explained, open_sqlite

STAGING = "restoring"
ASIDE = ".before-restore-"
_UMASK = 0o077
_WORKING_ROOM = 1024 * 1024
"""What SQLite keeps beside a small database while it is opened and written to, with a margin."""


def restore_sqlite(
    path: Path, source: Path, *, resume: bool = False, tell: Tell = say_nothing
) -> Restored:
    """Put a backup in the place of the store at `path`, checked and brought up to the schema.

    Replies that were on their way when the backup was made are held, and turns that were not over
    are cancelled: both may have been dealt with since. With `resume` they go on as after a crash.
    Raises HeldElsewhere while a process serves from the store, GatewayError when the backup cannot
    be used, and StoreError.
    """
    began = monotonic()
    size_bytes = _size_of_source(source)
    with _alone(path):
        if path.exists() and source.samefile(path):
            raise _failed(f"{source} is the store itself.")
        with _staging(path.parent / STAGING) as folder:
            _check_room(folder, size_bytes)
            draft = folder / path.name
            _copy(source, draft, tell=tell)
            held, cancelled = asyncio.run(_prepare(draft, source, resume=resume))
            sync(draft)
            kept = _put_in_place(draft, path)
        return Restored(
            file=path,
            size_bytes=path.stat().st_size,
            seconds=monotonic() - began,
            kept=kept,
            held=held,
            cancelled=cancelled,
        )


def _size_of_source(source: Path) -> int:
    """How many bytes a backup has; raises GatewayError when it is no file, or closed to us."""
    try:
        if source.is_dir():
            raise _failed(f"{source} is a directory; name a file.")
        if not source.is_file():
            raise GatewayError(f"There is no file {source}.", code="not_found")
        with source.open("rb") as opened:
            return os.fstat(opened.fileno()).st_size
    except OSError as error:
        why = (error.strerror or "no access").lower()
        raise _failed(f"{source} cannot be read ({why}).") from error


def _check_room(folder: Path, size_bytes: int) -> None:
    """Raise StoreError when the copy cannot fit beside the store."""
    needed, free = size_bytes + _WORKING_ROOM, shutil.disk_usage(folder).free
    if free < needed:
        mib = 1024 * 1024
        raise StoreError(
            f"The disk of {folder.parent} has {free / mib:.1f} MiB free, and the restore needs"
            f" {needed / mib:.1f} MiB beside the store; free some space.",
            code="store_full",
        )


def _failed(why: str) -> GatewayError:
    return GatewayError(why, code="restore_failed")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the data directory; whatever is made is for this user alone."""
    old_umask = os.umask(_UMASK)
    try:
        with explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with hold_directory(path.parent, owner="restoring"):
                yield
    finally:
        os.umask(old_umask)


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """An empty folder, gone afterwards; what a killed restore left in it goes first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, draft: Path, *, tell: Tell) -> None:
    """Copy the backup and look through it; raises GatewayError when it cannot be used."""
    try:
        copy_database(source, draft, is_at_work=False, tell=tell)
        findings = check_copy(draft, tell=tell)
    except sqlite3.Error as error:
        found = store_error(error, path=source)
        if found.code == "store_full":
            raise StoreError(found.message.replace(str(source), str(draft))) from error
        raise GatewayError(f"{source} cannot be used: {error}.", code=found.code) from error
    except StoreError as error:
        raise GatewayError(f"{source} cannot be used. {error.message}", code=error.code) from error
    if findings:
        first = findings[0]
        raise GatewayError(
            f"{source} breaks {len(findings)} invariants of a store, the first:"
            f" {first.invariant} at {first.where}, {first.detail}.",
            code="store_corrupt",
        )


async def _prepare(draft: Path, source: Path, *, resume: bool) -> tuple[int, int]:
    """Migrate the copy, and settle what it cannot know; deliveries held, turns cancelled."""
    async with open_sqlite(draft, lock=True, owner="restoring") as store:
        held, turns = 0, []
        await store.release_abandoned(living=[])
        await store.doubt_abandoned(living=[])
        if not resume:
            turns = await store.turns_under_way()
            for project_id, turn_id in turns:
                await store.request_cancel(ProjectId(project_id), TurnId(turn_id))
            # What was running ends when it is taken over.
            await store.claim(ClaimTerms(owner=STAGING, limit=len(turns)))
            held = await store.hold_deliveries()
        await store.record_restore(source=str(source), held=held, cancelled=len(turns))
        findings = await store.verify()
        if findings:
            raise GatewayError(
                f"{source} cannot be used: {findings[0].invariant}.", code="store_corrupt"
            )
    return held, len(turns)


def _put_in_place(draft: Path, path: Path) -> tuple[Path, ...]:
    """Move the store's files aside and the copy in; the former files under their new names.

    The log goes together with its database: beside another one it would be its ruin.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    pairs = [
        (path.with_name(path.name + end), path.with_name(f"{path.name}{ASIDE}{stamp}{end}"))
        for end in ("", *BESIDE)
    ]
    moves = [(old, aside) for old, aside in pairs if old.exists()]
    try:
        for old, aside in moves:
            old.rename(aside)
        sync(path.parent)
        draft.rename(path)
    except BaseException:  # Ctrl-C too
        _move_back(moves)
        raise
    mark(path)
    sync(path.parent)
    return tuple(aside for _, aside in moves)


def _move_back(moves: Sequence[tuple[Path, Path]]) -> None:
    """Give files their names again, the database last: a start refuses until it is there."""
    for old, aside in reversed(moves):
        if aside.exists():
            aside.rename(old)
