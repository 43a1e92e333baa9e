"""`env:NAME`, `file:PATH` and `cred:NAME`: values that stand somewhere else.

Any string of the configuration may be such a reference. `env:NAME|text` falls back to the text when
the variable is not set; an empty variable counts as not set. Reads the environment it is given and
the named files; which of the missing ones matter, the caller decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.lines import KeyPath

CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""Where systemd puts the credentials of a service (systemd.exec(5), LoadCredential=)."""

PLACEHOLDER = "http://unset.invalid"
"""Stands where a reference leads nowhere: fit for a text as for an address."""

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READABLE_BY_OTHERS = 0o077


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A tree with its references replaced.

    `missing` tells what is wrong with each one that could not be followed (`PLACEHOLDER` stands
    in its place); `files` names the file behind each value that came from `file:`.
    """

    tree: dict[str, object]
    missing: Mapping[KeyPath, str] = field(default_factory=dict)
    files: Mapping[KeyPath, Path] = field(default_factory=dict)
    references: Mapping[KeyPath, str] = field(default_factory=dict)


def resolve(
    tree: Mapping[str, object], *, folder: Path, environment: Mapping[str, str]
) -> Resolved:
    """Follow every reference of a tree; relative paths start at `folder`."""
    follower = _Follower(folder, environment)
    return Resolved(
        tree={key: follower.follow(value, (key,)) for key, value in tree.items()},
        missing=follower.missing,
        files=follower.files,
        references=follower.references,
    )


def too_open(file: Path) -> str | None:
    """What is wrong with the mode of a file that holds a secret, if anything."""
    mode = file.stat().st_mode & 0o777
    if mode & _READABLE_BY_OTHERS:
        return f"{file} holds a secret and others may read it (mode {mode:04o}); chmod 600 it"
    return None


class _Follower:
    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.missing: dict[KeyPath, str] = {}
        self.files: dict[KeyPath, Path] = {}
        self.references: dict[KeyPath, str] = {}
        self._folder = folder
        self._environment = environment

    def follow(self, value: object, path: KeyPath) -> object:
        if isinstance(value, dict):
            return {key: self.follow(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.follow(inner, (*path, index)) for index, inner in enumerate(value)]
        if isinstance(value, str):
            return self._text(value, path)
        return value

    def _text(self, value: str, path: KeyPath) -> str:
        kind, colon, rest = value.partition(":")
        if not colon or kind not in {"env", "file", "cred"}:
            return value
        self.references[path] = value
        if kind == "env":
            return self._variable(rest, path)
        if kind == "file":
            return self._file(self._folder / Path(rest).expanduser(), path)
        return self._credential(rest, path)

    def _variable(self, rest: str, path: KeyPath) -> str:
        name, bar, default = rest.partition("|")
        if not _ENV_NAME.fullmatch(name):
            return self._miss(path, f'"env:{name}" names no variable; write env:NAME')
        found = self._environment.get(name)
        if found:
            return found
        if bar:
            return default
        state = "is empty" if found == "" else "is not set"
        return self._miss(
            path, f"the environment variable {name} {state}; set it, or write the value here"
        )

    def _credential(self, name: str, path: KeyPath) -> str:
        folder = self._environment.get(CREDENTIALS_DIRECTORY)
        if not name or name != Path(name).name:
            return self._miss(path, f'"cred:{name}" names no credential; write cred:NAME')
        if not folder:
            return self._miss(
                path,
                f"there is no credential {name}: ${CREDENTIALS_DIRECTORY} is not set, which systemd"
                f" does; add LoadCredential={name}:PATH to the unit, or use env: or file:",
            )
        return self._read(Path(folder) / name, path)

    def _file(self, file: Path, path: KeyPath) -> str:
        self.files[path] = file
        return self._read(file, path)

    def _read(self, file: Path, path: KeyPath) -> str:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            return self._miss(path, f"{file} is not UTF-8 text")
        except OSError as error:
            reason = (error.strerror or "cannot be read").lower()
            return self._miss(path, f"cannot read {file}: {reason}; make it, or change the path")

    def _miss(self, path: KeyPath, message: str) -> str:
        self.missing[path] = message
        return PLACEHOLDER
