"""Whoever replaces what turns work with waits for those that still work with the old."""

import asyncio
from pathlib import Path

from gateway.testing.models import Hold
from tests.flow.house import house


async def test_it_is_over_when_the_turns_of_that_moment_have_ended(data: Path) -> None:
    first, later = Hold("one"), Hold("two")
    async with house(data, first, later) as home, home.at_work():
        await home.say("hi", chat="1")
        await first.reached.wait()
        settling = asyncio.create_task(home.worker.settled())
        await home.say("hi", chat="2")
        await later.reached.wait()
        was_over = settling.done()

        first.release.set()
        async with asyncio.timeout(5):
            await settling
        still_running = home.worker.running

        later.release.set()
        await home.settled()

    assert not was_over
    assert still_running == 1


async def test_it_is_over_at_once_when_nothing_runs(data: Path) -> None:
    async with house(data) as home:
        async with asyncio.timeout(1):
            await home.worker.settled()

        assert home.worker.running == 0
