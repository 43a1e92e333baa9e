"""On which line each key of a TOML text stands.

Python's `tomllib` tells values and no places (python/cpython issue 115516, read 2026-11-21), nor
does tomlkit (its issue 55). So `tomllib` decides what the text means, and this scanner only finds
the lines again. It is meant for text that `tomllib` has accepted and checks nothing itself.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]
"""Where a value stands in the tree: keys of tables, indices of arrays (also arrays of tables)."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2}(?!"))'
    r"|'''.*?'''(?:'{0,2}(?!'))"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def locate(text: str) -> Mapping[KeyPath, int]:
    r"""The line (from 1) on which each key, table and array element of a valid text begins.

    >>> lines = locate('[server]\nlisten = "x"\n[[bots]]\nslug = "a"\n[[bots]]\n')
    >>> lines["server", "listen"], lines["bots", 0, "slug"], lines["bots", 1]
    (2, 4, 5)
    """
    scanner = _Scanner(text)
    scanner.scan()
    return scanner.lines


class _Scanner:
    """One pass over the text; `lines` is what it found."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._tables_in: dict[KeyPath, int] = {}

    def scan(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        start = self._at
        is_array = self._text.startswith("[[", start)
        self._at += 2 if is_array else 1
        *parents, last = self._key()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for part in parents:
            path = self._enter((*path, part), start)
        if not is_array:
            return self._enter((*path, last), start)
        array: KeyPath = (*path, last)
        index = self._tables_in.get(array, 0)
        self._tables_in[array] = index + 1
        self._note(array, start)
        self._note((*array, index), start)
        return (*array, index)

    def _enter(self, path: KeyPath, start: int) -> KeyPath:
        """Step into a table; into the newest element where it is an array of tables."""
        self._note(path, start)
        count = self._tables_in.get(path)
        return path if count is None else (*path, count - 1)

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = table
        for part in self._key():
            path = (*path, part)
            self._note(path, start)
        self._at += 1  # the equals sign
        self._skip(_BLANK)
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while True:
            match = _KEY_PART.match(self._text, self._at)
            if match is None:
                raise ValueError(f"no key at offset {self._at}")
            parts.append(_unquoted(match[1]))
            self._at = match.end()
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        first = self._text[self._at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        elif first in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while self._next_element("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while self._next_element("}"):
            self._pair(path)

    def _next_element(self, closing: str) -> bool:
        """Go to the next element; False when the closing bracket came, which is then behind us."""
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_BLANK)
        if self._text[self._at] == closing:
            self._at += 1
            return False
        return True

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"no value at offset {self._at}")
        self._at = match.end()

    def _note(self, path: KeyPath, offset: int) -> None:
        self.lines.setdefault(path, bisect_right(self._line_starts, offset))


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    return str(tomllib.loads(f"key = {part}")["key"])
