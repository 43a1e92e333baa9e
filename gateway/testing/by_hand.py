"""A fake as a process of its own with one person on the other side, to try a bot by hand.

Each line of standard input is what the person writes; each message that the bot sends is printed
as one line of JSON. Which fake it is, and how it is told and asked, the caller says.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gateway.testing.loopback import announce_and_serve
from gateway.testing.wire import JsonObject

Message = TypeVar("Message")


async def converse(
    introduction: str,
    *,
    write: Callable[[str], object],
    wait_for_sent: Callable[[int], Awaitable[Sequence[Message]]],
    show: Callable[[Message], JsonObject],
) -> None:
    """Print the introduction on a line of its own, and serve until SIGINT or SIGTERM.

    `write` takes a line without its end, `wait_for_sent(n)` gives all messages once there are n.
    """
    async with asyncio.TaskGroup() as tasks:
        followers = [
            tasks.create_task(_write_lines(write)),
            tasks.create_task(_print_sent(wait_for_sent, show)),
        ]
        await announce_and_serve(introduction)
        for follower in followers:
            follower.cancel()


async def _write_lines(write: Callable[[str], object]) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        write(line.decode().rstrip("\n"))


async def _print_sent(
    wait_for_sent: Callable[[int], Awaitable[Sequence[Message]]],
    show: Callable[[Message], JsonObject],
) -> None:
    printed = 0
    while True:
        sent = await wait_for_sent(printed + 1)
        for message in sent[printed:]:
            sys.stdout.write(json.dumps(show(message), ensure_ascii=False) + "\n")
        sys.stdout.flush()
        printed = len(sent)
