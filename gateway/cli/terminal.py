"""Lines from a person or a pipe, and Ctrl-C, without stopping the event loop.

A line is read in a thread of its own, because the loop has turns to run meanwhile. The settings of
the terminal are put back at the end, also when a line was being typed.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread


async def read_line(prompt: str) -> str | None:
    """The next line of standard input without its end; None at the end of the input."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str | None] = loop.create_future()

    def give(text: str | None) -> None:
        if not line.done():
            line.set_result(text)

    def read() -> None:
        try:
            text = input(prompt) if prompt else _next_line()
        except (EOFError, KeyboardInterrupt):
            text = None
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(give, text)

    Thread(target=read, name="keyboard", daemon=True).start()
    return await line


@contextmanager
def interactive(on_interrupt: Callable[[], None]) -> Iterator[None]:
    """A terminal with line editing, on which Ctrl-C calls `on_interrupt`."""
    with suppress(ImportError):
        __import__("readline")
    descriptor = sys.stdin.fileno()
    settings = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, settings)


def _next_line() -> str | None:
    line = sys.stdin.readline() if sys.stdin is not None else ""
    return line.rstrip("\r\n") if line else None
