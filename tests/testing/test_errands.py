"""Work beside a test: begun on the loop of the fake, in lanes where order counts, ended with it."""

import asyncio

import pytest

from gateway.testing.errands import Errands, Lanes


async def test_what_is_left_is_cancelled_at_the_end():
    errands = Errands()
    errands.open()
    task = errands.run(asyncio.sleep(60))

    await errands.end()

    assert task.cancelled()


async def test_whoever_asks_is_told_when_all_are_done():
    done = asyncio.Event()
    errands = Errands(on_end=lambda: done.set() if errands.are_done else None)
    errands.open()
    errands.run(asyncio.sleep(0))
    assert not errands.are_done

    await asyncio.wait_for(done.wait(), 5)


async def test_nothing_begins_before_the_fake_is_open():
    with pytest.raises(RuntimeError, match="not running"):
        Errands().run(asyncio.sleep(0))


async def test_a_lane_keeps_its_order_and_holds_up_no_other():
    carried: list[str] = []
    others_may_go, all_done = asyncio.Event(), asyncio.Event()

    async def carry(item: str) -> None:
        if item == "a1":
            await others_may_go.wait()
        carried.append(item)
        others_may_go.set()

    errands = Errands(on_end=lambda: all_done.set() if errands.are_done else None)
    errands.open()
    lanes: Lanes[str] = Lanes(errands, carry)
    for item in ("a1", "a2", "b1"):
        lanes.put(item[0], item)
    await asyncio.wait_for(all_done.wait(), 5)

    assert carried == ["b1", "a1", "a2"]
