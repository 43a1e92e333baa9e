"""Opening a store by its address: picks the database and gives the one `Store` protocol.

`sqlite:PATH` is a file; a relative path is relative to `base`. Drivers are imported here and only
when they are asked for: the one place where an import stands inside a function.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from gateway.errors import ConfigError
from gateway.store.copies import Backup, Restored, Tell, say_nothing
from gateway.store.protocol import Store


def open_store(
    url: str, *, lock: bool, base: Path | None = None, owner: str = ""
) -> AbstractAsyncContextManager[Store]:
    """The store behind an address, migrated and ready inside the block.

    With `lock` this process alone may serve from it: HeldElsewhere when another one does. `owner`
    tells people who holds it. Raises ConfigError for an address that means nothing here, and
    StoreError when the store cannot be used.

    >>> open_store("mongodb://host/db", lock=False)
    Traceback (most recent call last):
    ...
    gateway.errors.ConfigError: store.url must begin with sqlite: and a path, not with mongodb:
    """
    scheme, _, rest = url.partition(":")
    if scheme != "sqlite" or not rest:
        raise ConfigError(f"store.url must begin with sqlite: and a path, not with {scheme}:")
    from gateway.store.sqlite.store import open_sqlite

    return open_sqlite(sqlite_path(url, base=base), lock=lock, owner=owner)


def backup_store(
    url: str,
    to: Path,
    *,
    base: Path | None = None,
    overwrite: bool = False,
    with_findings: bool = False,
    tell: Tell = say_nothing,
) -> Backup:
    """Copy the store behind an address to a new file, also while others use it.

    Raises GatewayError (the file exists, cannot be written, or the copy breaks invariants and
    `with_findings` is not set), StoreError and ConfigError; then nothing is left behind.
    """
    path = _required_path(url, base=base)
    from gateway.store.sqlite.backup import backup_sqlite

    return backup_sqlite(path, to, overwrite=overwrite, with_findings=with_findings, tell=tell)


def restore_store(
    url: str,
    source: Path,
    *,
    base: Path | None = None,
    resume: bool = False,
    tell: Tell = say_nothing,
) -> Restored:
    """Put a backup in the place of the store behind an address, whose files are kept beside it.

    Raises HeldElsewhere while a process serves from it, GatewayError when the backup cannot be
    used, StoreError and ConfigError; then the store is as it was.
    """
    path = _required_path(url, base=base)
    from gateway.store.sqlite.restore import restore_sqlite

    return restore_sqlite(path, source, resume=resume, tell=tell)


def migrate_store(url: str, *, base: Path | None = None) -> list[int]:
    """Bring the store behind an address up to this program's schema; the steps taken, if any.

    Raises HeldElsewhere while a process serves from it, else as `open_store`.
    """
    path = _required_path(url, base=base)
    from gateway.store.sqlite.store import migrate_sqlite

    return migrate_sqlite(path)


def sqlite_path(url: str, *, base: Path | None = None) -> Path:
    """The file that a `sqlite:` address means.

    >>> sqlite_path("sqlite:data/gateway.db", base=Path("/etc/bot"))
    PosixPath('/etc/bot/data/gateway.db')
    >>> sqlite_path("sqlite:///var/lib/bot/gateway.db")
    PosixPath('/var/lib/bot/gateway.db')
    """
    path = url.removeprefix("sqlite:")
    if path.startswith("//"):
        path = path.removeprefix("//")
    return (base or Path.cwd()) / Path(path).expanduser()


def _required_path(url: str, *, base: Path | None) -> Path:
    if not url.startswith("sqlite:"):
        raise ConfigError("store.url must begin with sqlite: and a path")
    return sqlite_path(url, base=base)
