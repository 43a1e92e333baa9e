"""The service manager, played by a row: it watches the pulse, aborts, and starts again.

As systemd does it (systemd.service(5), `WatchdogSec=`, and sd_notify(3)): the watch begins with
READY=1, the signal is SIGABRT, and `Restart=always` follows.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from secrets import token_hex
from types import TracebackType
from typing import Protocol, Self

START_WITHIN_S = 60.0
RESTART_AFTER_S = 0.1
_MESSAGE_BYTES = 4096


class Watched(Protocol):
    """What is watched: a `GatewayProcess`, or what stands for one."""

    async def spawn(self) -> None:
        """Start, and return at once."""
        ...

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        ...

    async def wait_for_end(self) -> int:
        """Wait until it has ended; returns the exit code."""
        ...


class ServiceManager:
    """Watches one gateway; an async context manager. `aborted` counts the processes it aborted."""

    def __init__(self, *, watchdog_s: float) -> None:
        self.aborted = 0
        self._watchdog_s = watchdog_s
        self._address = f"bot-gateway-{token_hex(8)}"
        self._socket: socket.socket | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the watched process has to find in its environment."""
        return {
            "NOTIFY_SOCKET": f"@{self._address}",
            "WATCHDOG_USEC": str(int(self._watchdog_s * 1_000_000)),
        }

    async def start(self, gateway: Watched) -> None:
        """Start the gateway, wait until it is ready, and watch it from then on."""
        await gateway.spawn()
        await self._hear("READY=1", within_s=START_WITHIN_S)
        self._watching = asyncio.create_task(self._watch(gateway))

    async def __aenter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{self._address}")
        self._socket.setblocking(False)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))
        if self._socket is not None:
            self._socket.close()
        if self._watching is not None and not self._watching.cancelled():
            self._watching.result()

    async def _watch(self, gateway: Watched) -> None:
        while True:
            try:
                await self._hear("WATCHDOG=1", within_s=self._watchdog_s)
            except TimeoutError:
                gateway.send_signal(signal.SIGABRT)
                await gateway.wait_for_end()
                self.aborted += 1
                await asyncio.sleep(RESTART_AFTER_S)
                await gateway.spawn()
                await self._hear("READY=1", within_s=START_WITHIN_S)

    async def _hear(self, message: str, *, within_s: float) -> None:
        """Wait for a message, whatever comes before it; raises TimeoutError."""
        loop = asyncio.get_running_loop()
        if self._socket is None:
            raise RuntimeError("the service manager is used with `async with`")
        async with asyncio.timeout(within_s):
            while await loop.sock_recv(self._socket, _MESSAGE_BYTES) != message.encode():
                pass
