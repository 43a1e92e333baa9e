"""The pulse for the service manager: sent only by a process that gets something done.

Every beat lies behind a round trip to the store, a turn of the event loop and a recent pass of the
loops. A process that hangs in any of them falls silent, and the manager starts it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.errors import StoreError

log = structlog.get_logger(__name__)

PASS_MAX_AGE_S = 20.0


async def beat(
    *,
    ping: Callable[[], Awaitable[None]],
    last_pass_at: Callable[[], float],
    interval_s: float,
    tell: Callable[[str], object],
) -> None:
    """Tell `WATCHDOG=1` every `interval_s`, until cancelled, while there is life.

    `last_pass_at` is when the loop that was longest away has passed, on the event loop's clock. A
    store that refuses has answered: readiness tells of it, and starting again would not mend it.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            await ping()
        except StoreError as error:
            log.warning("pulse_ping_failed", code=error.code)
        if loop.time() - last_pass_at() < PASS_MAX_AGE_S:
            tell("WATCHDOG=1")
        await asyncio.sleep(interval_s)
