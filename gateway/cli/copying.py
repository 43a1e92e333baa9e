"""Progress of a copy on the terminal, and sizes in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from gateway.cli.screen import screen
from gateway.store.copies import Phase, Tell


@contextmanager
def progress() -> Iterator[Tell]:
    """A bar on standard error while inside, if that is a terminal; moved by what it is told."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    console = screen(on_errors=True)
    is_hidden = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as bar:
        task = bar.add_task("copying", total=None)

        def tell(phase: Phase, done: int, total: int) -> None:
            bar.update(task, description=phase, completed=done, total=total or None)

        yield tell


def size(size_bytes: int) -> str:
    """A size in words short enough for a line.

    >>> size(900), size(1_234_567), size(5 * 1024**3)
    ('900 B', '1.2 MiB', '5.0 GiB')
    """
    for exponent, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size_bytes >= 1024**exponent:
            return f"{size_bytes / 1024**exponent:.1f} {unit}"
    return f"{size_bytes} B"
