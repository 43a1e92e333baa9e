"""How much time really passed while something was tried, though the clock was set meanwhile.

A delivery in hand tells when it was made on the clock as it was when it was read. Once the clock
has followed a jump, that time is wrong by the jump, and a part of today would look a day old.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from time import perf_counter

from gateway.domain.delivery import Delivery
from gateway.store.protocol import Store


class Stopwatch:
    """Started when deliveries were read; afterwards it knows their age."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._began_at = store.now()
        self._began = perf_counter()

    @property
    def seconds(self) -> float:
        """How much time has passed."""
        return perf_counter() - self._began

    def aged(self, delivery: Delivery) -> Delivery:
        """The delivery on the clock as it is now: as old as it really is."""
        jump = self._store.now() - self._began_at - timedelta(seconds=self.seconds)
        return replace(delivery, created_at=delivery.created_at + jump)
