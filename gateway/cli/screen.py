"""What commands print: tables and lines for people, JSON for programs.

Texts of people and platforms are printed as they are: nothing in them is read as markup. Colour
only on a terminal, and never with NO_COLOR.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

WIDTH_OF_FILES = 200
"""Width where no terminal tells one, so that ids are not broken."""
_UNLIMITED = 10_000


def screen(*, on_errors: bool = False) -> Console:
    """Standard output (or error) as rich sees it."""
    file = sys.stderr if on_errors else sys.stdout
    width = None if file.isatty() else WIDTH_OF_FILES
    return Console(file=file, width=width, markup=False, emoji=False, highlight=False)


def table(title: str | None, *columns: str) -> Table:
    """An empty table; the first column is the name of the row and is never broken."""
    made = Table(
        title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False
    )
    for number, column in enumerate(columns):
        made.add_column(
            column, style="cyan" if number == 0 else "", no_wrap=number == 0, overflow="fold"
        )
    return made


def add_row(to: Table, *cells: object) -> None:
    """Add a row; nothing in a cell is read as markup. None shows as a dash."""
    to.add_row(*(cell if isinstance(cell, Text) else Text(shown(cell)) for cell in cells))


def print_list(rows: Table) -> None:
    """Print a table to standard output; where it is too wide, each row in lines of its own.

    A line with the row's name then, and under it the other cells, each after its column's name.
    """
    console = screen()
    wanted = Measurement.get(console, console.options.update(width=_UNLIMITED), rows).maximum
    if wanted <= console.width or not console.is_terminal:
        console.print(rows)
        return
    for name, *cells in zip(*(column.cells for column in rows.columns), strict=True):
        console.print(name, style="cyan", soft_wrap=True)
        named = zip(rows.columns[1:], cells, strict=True)
        facts = [
            Text.assemble((f"{column.header} ", "dim"), cell)
            for column, cell in named
            if isinstance(cell, Text)
        ]
        console.print(Padding(Text(", ").join(facts), (0, 0, 0, 2), expand=False))


def shown(value: object) -> str:
    """A value in a cell.

    >>> shown(None), shown(True), shown(["b", "a"]), shown(3)
    ('-', 'yes', 'b, a', '3')
    """
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(str(item) for item in value) or "-"
    return str(value)


def age(seconds: float) -> str:
    """A duration in words short enough for a table.

    >>> age(0.4), age(75), age(7300), age(200_000)
    ('0 s', '1 min', '2 h', '2 days')
    """
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(max(0.0, seconds))} s"


def print_json(value: object) -> None:
    """Write a value as JSON to standard output."""
    print(json.dumps(as_json(value), ensure_ascii=False, indent=2))


def as_json(value: object) -> object:
    """Domain values as JSON values: dataclasses as objects, sets sorted, times in RFC 3339.

    >>> as_json({"at": datetime(2026, 1, 1, tzinfo=UTC), "of": frozenset({"b", "a"})})
    {'at': '2026-01-01T00:00:00Z', 'of': ['a', 'b']}
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Mapping():
            return {str(key): as_json(item) for key, item in value.items()}
        case set() | frozenset():
            return sorted(str(item) for item in value)
        case Sequence():
            return [as_json(item) for item in value]
        case Path() | UUID():
            return str(value)
        case _ if dataclasses.is_dataclass(value):
            fields = dataclasses.fields(value)
            return {field.name: as_json(getattr(value, field.name)) for field in fields}
        case _:
            raise TypeError(f"cannot be shown as JSON: {type(value).__name__}")
