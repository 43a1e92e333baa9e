"""Backups: one file, made beside a running daemon, checked before it bears its name."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from gateway.errors import GatewayError, StoreError
from gateway.store.copies import Backup, Tell, say_nothing
from gateway.store.lock import LOCK_NAME
from gateway.store.sqlite.connect import store_error
from gateway.store.sqlite.copying import (
    BESIDE,
    check_copy,
    copy_database,
    remove_database,
    sync,
)
from gateway.store.sqlite.presence import MARKER
from gateway.store.sqlite.store import explained

PARTIAL = ".partial"
_FOR_THIS_USER = 0o600
_HEADER = b"SQLite format 3\0"


def backup_sqlite(
    path: Path,
    to: Path,
    *,
    overwrite: bool = False,
    with_findings: bool = False,
    tell: Tell = say_nothing,
) -> Backup:
    """Copy the store at `path` into a new file, on disk and checked when this returns.

    Raises GatewayError when the file cannot be written or is there already (unless `overwrite`),
    and when `verify` finds something in the copy (unless `with_findings`); StoreError when there
    is no store or it is damaged. Then nothing is left behind.
    """
    began = monotonic()
    with explained(path):
        is_there = path.exists()
    if not is_there:
        raise StoreError(
            f"There is no store at {path} to be backed up.", transient=False, code="store_missing"
        )
    _check_target(path, to, overwrite=overwrite)
    with _drafting(to) as draft:
        findings = _copy(path, draft, tell=tell)
        if findings and not with_findings:
            raise GatewayError(
                f"The store breaks {findings} invariants, see `bot-gateway verify`; nothing was"
                " written. With --with-findings the copy is kept all the same.",
                code="backup_unsound",
            )
        _check_target(path, to, overwrite=overwrite)
        draft.rename(to)
        sync(to.parent)
    size_bytes = to.stat().st_size
    seconds = monotonic() - began
    return Backup(file=to, size_bytes=size_bytes, seconds=seconds, findings=findings)


def _check_target(path: Path, to: Path, *, overwrite: bool) -> None:
    """Raise GatewayError unless the backup may have this name.

    Never that of a file which the store needs, and no file that is no database is replaced.
    """
    try:
        _judge_target(path, to, overwrite=overwrite)
    except OSError as error:
        why = f"{to} cannot be used ({_reason(error)})."
        raise GatewayError(why, code="backup_failed") from error


def _judge_target(path: Path, to: Path, *, overwrite: bool) -> None:
    if to.is_dir():
        raise GatewayError(f"{to} is a directory; name a file.", code="backup_failed")
    if _belongs_to(path, to):
        raise GatewayError(f"{to} is part of the store; name another file.", code="backup_failed")
    if not to.exists():
        return
    if not overwrite:
        raise GatewayError(f"{to} exists; --force overwrites it.", code="backup_exists")
    if not _may_be_backup(to):
        raise GatewayError(
            f"{to} exists and is no database, so that --force leaves it alone; name another file.",
            code="backup_failed",
        )


def _belongs_to(path: Path, to: Path) -> bool:
    """Whether it is the store at `path` or a file beside it that must not become another one."""
    names = {*(path.name + suffix for suffix in ("", *BESIDE, MARKER)), LOCK_NAME}
    is_beside = to.parent.resolve() == path.parent.resolve() and to.name in names
    return is_beside or (to.exists() and to.samefile(path))


def _may_be_backup(file: Path) -> bool:
    """Whether it is a regular file that is empty or a database."""
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(len(_HEADER)) in (b"", _HEADER)


def _copy(path: Path, draft: Path, *, tell: Tell) -> int:
    """Copy and look through the copy; how many findings."""
    try:
        copy_database(path, draft, is_at_work=True, tell=tell)
        return len(check_copy(draft, tell=tell))
    except sqlite3.Error as error:
        found = store_error(error, path=path)
        if found.code == "store_full":
            raise _cannot_write(draft.parent, "the disk is full") from error
        raise found from error
    except StoreError as error:
        raise StoreError(
            f"The store {path} cannot be backed up. {error.message} Bring back an earlier backup"
            " with `bot-gateway restore FILE`.",
            transient=False,
            code=error.code,
        ) from error


@contextmanager
def _drafting(to: Path) -> Iterator[Path]:
    """A file beside the target, held by this process and gone afterwards under this name.

    What a killed backup has left there is overwritten.
    """
    draft = to.with_name(to.name + PARTIAL)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(draft, flags, _FOR_THIS_USER)
    except OSError as error:
        raise _cannot_write(to.parent, _reason(error)) from error
    try:
        _hold(descriptor, draft)
        os.fchmod(descriptor, _FOR_THIS_USER)
        os.ftruncate(descriptor, 0)
        try:
            yield draft
        except OSError as error:
            raise _cannot_write(to.parent, _reason(error)) from error
        finally:
            remove_database(draft)
    finally:
        os.close(descriptor)


def _hold(descriptor: int, draft: Path) -> None:
    """Make sure that no other process writes this draft; raises GatewayError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_held = os.path.samestat(os.fstat(descriptor), draft.stat())
    except (BlockingIOError, FileNotFoundError):
        is_held = False
    if not is_held:
        raise GatewayError(f"Another process writes {draft} now.", code="backup_failed")


def _cannot_write(directory: Path, reason: str) -> GatewayError:
    return GatewayError(f"{directory} cannot be written ({reason}).", code="backup_failed")


def _reason(error: OSError) -> str:
    return (error.strerror or "no access").lower()
