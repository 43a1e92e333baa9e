"""What is wrong with a configuration, gathered so that all of it is told at once.

Each problem becomes one line `FILE:LINE: KEY: what is wrong and what to do`. Values are never
quoted from the file: they may be secrets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gateway.config.lines import KeyPath
from gateway.errors import ConfigError

_LIKE = 0.6
"""How alike two words must be to be taken for a slip of the keyboard (difflib's own default)."""


class Report:
    """The problems of one configuration file.

    `mute` keeps quiet about everything below a path whose own problem is already told, or does not
    matter because nothing uses it.
    """

    def __init__(self, file: Path, lines: Mapping[KeyPath, int]) -> None:
        self.file = file
        self._lines = lines
        self._muted: set[KeyPath] = set()
        self.said = 0
        """How often something was added, muted or not."""
        self._found: dict[tuple[int, str], None] = {}

    def add(self, path: KeyPath, message: str) -> None:
        """Note a problem of the value at that path; the same one twice counts once."""
        self.said += 1
        if self.is_muted(path):
            return
        self._found[self.line(path), f"{dotted(path)}: {message}"] = None

    def mute(self, path: KeyPath) -> None:
        """Ignore what is said from now on about this path and what lies below it."""
        self._muted.add(path)

    def is_muted(self, path: KeyPath) -> bool:
        """Whether nothing is heard about this path."""
        return any(path[: len(muted)] == muted for muted in self._muted)

    def names_muted_in(self, table: str) -> frozenset[str]:
        """Names of that table's entries whose own problem is told already."""
        found = (path[1] for path in self._muted if path[0] == table and len(path) == 2)
        return frozenset(name for name in found if isinstance(name, str))

    def unmute(self) -> None:
        """Hear everything again."""
        self._muted.clear()

    def line(self, path: KeyPath) -> int:
        """The line of that key, or of the table it is missing in."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1

    def place(self, path: KeyPath) -> str:
        """`FILE:LINE` of that key."""
        return f"{self.file}:{self.line(path)}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """All problems, in the order of the file."""
        return tuple(f"{self.file}:{line}: {text}" for line, text in sorted(self._found))

    def error(self) -> ConfigError:
        """All problems as one error."""
        found = self.sentences
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        return ConfigError("\n".join((f"{self.file}: {count}", *found)), problems=found)


def dotted(path: KeyPath) -> str:
    """A path as a person would write it; the line says which element of an array is meant.

    >>> dotted(("bots", 0, "agents", 2, "modle"))
    'bots.agents.modle'
    """
    return ".".join(part for part in path if isinstance(part, str))


def nearest_key(key: str, known: Iterable[str]) -> str | None:
    """The known key most like this one, however unlike."""
    return next(iter(_close_matches(key, sorted(known), cutoff=0)), None)


def is_typo(word: str, known: str) -> bool:
    """Whether the one was probably meant to be the other.

    >>> is_typo("listne", "listen"), is_typo("requests", "secret")
    (True, False)
    """
    return bool(_close_matches(word, [known], cutoff=_LIKE))


def nearest(word: str, known: Iterable[str]) -> str:
    """Half a sentence with the known word most like this one, or with all there are.

    >>> nearest("listne", ["listen", "public_url"])
    'did you mean "listen"?'
    """
    names = sorted(known)
    if not names:
        return "none is configured"
    close = _close_matches(word, names, cutoff=_LIKE)
    if close:
        return f'did you mean "{close[0]}"?'
    return "known: " + ", ".join(names)


def _close_matches(word: str, known: Sequence[str], *, cutoff: float) -> list[str]:
    # Here and not above: it is for files with mistakes only.
    from difflib import get_close_matches  # noqa: PLC0415

    return get_close_matches(word, known, n=1, cutoff=cutoff)
