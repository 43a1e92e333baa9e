"""Child processes of a benchmark: pinned to a processor, timed by the operating system."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

SERVER_CPU = 0
LOAD_CPU = 1
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def pin(cpu: int, pid: int = 0) -> None:
    """Keep a process on one processor, where there are several."""
    if (os.cpu_count() or 1) > cpu:
        os.sched_setaffinity(pid, {cpu})


def cpu_s(pid: int) -> float:
    """User and system time a process has used (proc(5), /proc/pid/stat fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def resident_mib(pid: int) -> float:
    """Memory a process holds (proc(5), VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no VmRSS")


@asynccontextmanager
async def child(*arguments: str, cpu: int, port: int, is_quiet: bool = False) -> AsyncIterator[int]:
    """A python child that listens on a port; gives its pid, kills it at the end."""
    output = asyncio.subprocess.DEVNULL if is_quiet else None
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=output, stderr=output
    )
    pin(cpu, process.pid)
    try:
        await _listens(port, process)
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _listens(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(30):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            if process.returncode is not None:
                raise RuntimeError(f"the child ended with {process.returncode}")
            await asyncio.sleep(0.01)
