"""The server's secret: configured, or made once in the data directory."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from gateway.config.settings import SECRET_CHARS
from gateway.config.values import Config
from gateway.errors import ConfigError

FILE = "secret"


def server_secret(config: Config) -> bytes:
    """The secret that signs tokens and cursors; made (mode 0600) where none is configured.

    Two processes that make it at once end with the same one. Raises ConfigError when the file
    cannot be made or read, is too short, or others may read it.
    """
    configured = config.settings.server.secret
    if configured is not None:
        return configured.get_secret_value().encode()
    path = config.settings.store.data_dir / FILE
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path}: others may read it; chmod 600 {path}")
        secret = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "cannot be used").lower()
        raise ConfigError(
            f"{path}: {reason}; the gateway must be able to write {path.parent}"
        ) from error
    if len(secret) < SECRET_CHARS:
        raise ConfigError(f"{path}: too short to be a secret; remove it, a new one is made")
    return secret


def _make(path: Path) -> None:
    """Make the file whole or not at all: written beside, then linked into place.

    The name beside is random: processes in two containers may have the same number.
    """
    if path.exists():
        return
    draft = path.with_name(f"{FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_urlsafe(48).encode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink(missing_ok=True)
