"""Fixtures of the services' tests: a real store and a clock that stands still."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.store.open import open_store
from gateway.store.protocol import Store


@dataclass
class FixedClock:
    """A monotonic clock that moves when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FixedClock:
    """A clock that stands still."""
    return FixedClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A fresh store."""
    async with open_store(f"sqlite:{tmp_path}/gateway.db", lock=True) as opened:
        yield opened
