"""Each test of this folder runs against every kind of store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.protocol import Store
from tests.store.worlds import FixedClock, SqliteWorld, World

pytest.register_assert_rewrite(
    "tests.store.machine",
    "tests.store.machine_arrivals",
    "tests.store.machine_deliveries",
    "tests.store.machine_operators",
    "tests.store.machine_crashes",
    "tests.store.machine_turns",
    "tests.store.model",
    "tests.store.model_lanes",
)


@pytest.fixture(params=["sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A kind of store that is not opened yet."""
    kinds = {"sqlite": SqliteWorld}
    return kinds[request.param](tmp_path)


@pytest.fixture
async def store(world: World) -> AsyncIterator[Store]:
    """An empty store; whatever a test does with it, its invariants hold afterwards."""
    async with world.open() as opened:
        yield opened
        assert await opened.verify() == []


@pytest.fixture
def clock(world: World) -> FixedClock:
    """The clock of that store."""
    return world.clock
