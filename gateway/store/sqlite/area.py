"""What the areas of the store share: writer, readers, what is known of late, and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.store.sqlite.readers import Readers
from gateway.store.sqlite.recent import Recent
from gateway.store.sqlite.writer import Writer

Clock = Callable[[], int]
"""The time now in microseconds since 1970, UTC."""


def system_clock() -> int:
    """The machine's own time."""
    return time.time_ns() // 1000


class Area:
    """One area of the store; `SqliteStore` is all of them over the same writer and readers."""

    def __init__(self, writer: Writer, readers: Readers, recent: Recent, clock: Clock) -> None:
        self._writer = writer
        self._readers = readers
        self._recent = recent
        self._clock = clock
