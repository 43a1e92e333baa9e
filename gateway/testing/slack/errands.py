"""Work that runs beside the test, on the loop the server was opened in.

Takes coroutines, from wherever in that thread (also where no loop runs at that moment, as in a
plain fixture), and ends those that are left when the server closes.
"""

import asyncio
from collections.abc import Coroutine


class Errands:
    """A set of tasks with one end."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Tasks run on the present loop from now on."""
        self._loop = asyncio.get_running_loop()

    def run(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Begin; the server must be open."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the fake is not running: use it with `async with`")
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self) -> None:
        """Cancel what is left and wait for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
