"""What the areas of the store share: writer, readers, what is known of late, and the clock."""

from __future__ import annotations

from gateway.store.sqlite.clock import StoreClock
from gateway.store.sqlite.readers import Readers
from gateway.store.sqlite.recent import Recent
from gateway.store.sqlite.writer import Writer


class Area:
    """One area of the store; `SqliteStore` is all of them over the same writer and readers."""

    def __init__(self, writer: Writer, readers: Readers, recent: Recent, clock: StoreClock) -> None:
        self._writer = writer
        self._readers = readers
        self._recent = recent
        self._clock = clock
