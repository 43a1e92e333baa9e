"""How long something takes, and how old a delivery has become meanwhile.

Measured on a clock that only counts. A delivery tells its age as it was when it was read; what has
passed since is added here, so that no jump of the wall makes a part of today look a day old.
"""

from __future__ import annotations

from time import perf_counter

from gateway.domain.delivery import Delivery


class Stopwatch:
    """Started when deliveries were read; afterwards it knows their age."""

    def __init__(self) -> None:
        self._began = perf_counter()

    @property
    def seconds(self) -> float:
        """How much time has passed."""
        return perf_counter() - self._began

    def age_s(self, delivery: Delivery) -> float:
        """How long the delivery has been on its way by now."""
        return delivery.age_s + self.seconds
