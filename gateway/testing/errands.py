"""Work that runs beside the test, on the loop the fake was opened in.

Takes coroutines, from wherever in that thread (also where no loop runs at that moment, as in a
plain fixture), and ends those that are left when the fake closes.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Errands:
    """A set of tasks with one end; `on_end` is told whenever one of them has ended."""

    def __init__(self, *, on_end: Callable[[], None] = lambda: None) -> None:
        self._on_end = on_end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def are_done(self) -> bool:
        """Nothing is on its way."""
        return not self._tasks

    def open(self) -> None:
        """Tasks run on the present loop from now on."""
        self._loop = asyncio.get_running_loop()

    def run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Begin; the fake must be open."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the fake is not running: use it with `async with`")
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        return task

    async def end(self) -> None:
        """Cancel what is left and wait for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._on_end()


class Lanes(Generic[Item]):
    """Carries items: those of one lane one after the other, the lanes side by side."""

    def __init__(self, errands: Errands, carry: Callable[[Item], Awaitable[None]]) -> None:
        self._errands = errands
        self._carry = carry
        self._lanes: dict[Hashable, deque[Item]] = {}

    def put(self, lane: Hashable, item: Item) -> None:
        """Carry an item after those of its lane that are on their way."""
        waiting = self._lanes.setdefault(lane, deque())
        waiting.append(item)
        if len(waiting) == 1:
            self._errands.run(self._empty(lane))

    async def _empty(self, lane: Hashable) -> None:
        waiting = self._lanes[lane]
        while waiting:
            await self._carry(waiting[0])
            waiting.popleft()
        del self._lanes[lane]
