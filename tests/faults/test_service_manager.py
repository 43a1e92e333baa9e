"""The played service manager aborts a process without a pulse, and starts it again."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.testing.faults.props.service_manager import ServiceManager

PATIENCE_S = 10.0


class Process:
    """Stands for a gateway: tells its manager what a test says, and notes its signals."""

    def __init__(self, manager: ServiceManager) -> None:
        self.signals: list[int] = []
        self.starts = 0
        self.news = asyncio.Event()
        self._address = "\0" + manager.environment["NOTIFY_SOCKET"][1:]

    async def spawn(self) -> None:
        self.starts += 1
        self.tell("READY=1")
        self.news.set()

    def send_signal(self, number: signal.Signals) -> None:
        self.signals.append(number)

    async def wait_for_end(self) -> int:
        return -signal.SIGABRT

    def tell(self, message: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message.encode(), self._address)


@asynccontextmanager
async def managed(*, watchdog_s: float) -> AsyncIterator[tuple[ServiceManager, Process]]:
    async with ServiceManager(watchdog_s=watchdog_s) as manager:
        process = Process(manager)
        await manager.start(process)
        yield manager, process


async def test_a_process_without_a_pulse_is_aborted_and_started_again() -> None:
    async with managed(watchdog_s=0.1) as (manager, process):
        process.news.clear()
        await asyncio.wait_for(process.news.wait(), PATIENCE_S)

        assert process.signals[0] == signal.SIGABRT
        assert process.starts >= 2
        assert manager.aborted >= 1


async def test_a_process_with_a_pulse_is_left_alone() -> None:
    async with managed(watchdog_s=PATIENCE_S) as (manager, process):
        process.tell("WATCHDOG=1")
        await asyncio.sleep(0)

    assert (manager.aborted, process.starts) == (0, 1)


def test_the_watched_process_is_told_where_and_how_often() -> None:
    told = ServiceManager(watchdog_s=2.5).environment

    assert told["WATCHDOG_USEC"] == "2500000"
    assert os.fsdecode(told["NOTIFY_SOCKET"]).startswith("@")
