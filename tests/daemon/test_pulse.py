"""The pulse stops when the store or the loops hang, and goes on when the store only refuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.daemon.pulse import PASS_MAX_AGE_S, beat
from gateway.errors import StoreError

PATIENCE_S = 5.0
Ping = Callable[[], Awaitable[None]]


class Manager:
    """The service manager: hears the pulse."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._news = asyncio.Event()

    def tell(self, message: str) -> None:
        self.heard.append(message)
        self._news.set()

    async def hears_more(self) -> bool:
        """Whether another beat comes soon."""
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), timeout=0.2)
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def beating(ping: Ping, *, pass_age_s: float = 0) -> AsyncIterator[Manager]:
    manager, loop = Manager(), asyncio.get_running_loop()
    task = asyncio.create_task(
        beat(
            ping=ping,
            last_pass_at=lambda: loop.time() - pass_age_s,
            interval_s=0.01,
            tell=manager.tell,
        )
    )
    yield manager
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def answers() -> None:
    """A store that is well."""


async def refuses() -> None:
    raise StoreError("The database is locked.", transient=True, code="store_locked")


async def hangs() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("ping", [answers, refuses], ids=["is well", "refuses"])
async def test_a_store_that_answers_keeps_the_pulse_going(ping: Ping) -> None:
    async with beating(ping) as manager:
        assert await manager.hears_more()
        assert await manager.hears_more()

    assert set(manager.heard) == {"WATCHDOG=1"}


async def test_a_store_that_hangs_stops_the_pulse() -> None:
    async with beating(hangs) as manager:
        assert not await manager.hears_more()


async def test_a_loop_that_makes_no_pass_stops_the_pulse() -> None:
    async with beating(answers, pass_age_s=PASS_MAX_AGE_S + 1) as manager:
        assert not await manager.hears_more()
