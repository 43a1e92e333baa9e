"""System calls of the daemon: what it acknowledges is on the disk before."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.testing import TelegramServer
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, on_telegram, serving

MARKS = re.compile(
    r"(?P<received>(recvfrom|recvmsg|read)\(.*POST /)"
    r"|(?P<synced>fdatasync(\(\d+\)| resumed>\)) += 0)"
    r"|(?P<answered>(sendto|sendmsg|writev?)\(.*HTTP/1\.1 2)"
)


@asynccontextmanager
async def traced(gateway: GatewayProcess, to: Path) -> AsyncIterator[None]:
    """Write the calls of the running daemon down."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    tracer = await asyncio.create_subprocess_exec(
        *(strace, "-f", "-p", str(gateway.pid), "-o", str(to), "-s", "40"),
        *("-e", "trace=fdatasync,fsync,recvfrom,recvmsg,read,sendto,sendmsg,write,writev"),
        stderr=asyncio.subprocess.PIPE,
    )
    assert tracer.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        first = await tracer.stderr.readline()
    if b"attached" not in first:
        await tracer.wait()
        pytest.skip(f"strace may not attach here: {first.decode()}")
    try:
        yield
    finally:
        tracer.terminate()
        await tracer.communicate()


def marks(trace: Path) -> list[str]:
    """What happened, in order: received, synced, answered."""
    lines = trace.read_text().splitlines()
    found = [match.groupdict() for line in lines if (match := MARKS.search(line))]
    return [next(name for name, text in groups.items() if text) for groups in found]


async def test_an_update_is_on_the_disk_before_telegram_hears_yes(tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        config = SCRIPTED + DESK + on_telegram(telegram)
        async with GatewayProcess(tmp_path, config=config) as gateway:
            await gateway.start()
            await telegram.wait_for_calls("setWebhook", timeout_s=PATIENCE_S)
            async with traced(gateway, tmp_path / "trace"):
                telegram.post_text(7, 7, "slowly")
                await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)

            seen = marks(tmp_path / "trace")
            received, answered = seen.index("received"), seen.index("answered")
            assert "synced" in seen[received:answered]


async def test_a_message_is_on_the_disk_before_its_caller_hears_yes(tmp_path: Path) -> None:
    async with serving(tmp_path) as (gateway, caller):
        async with traced(gateway, tmp_path / "trace"):
            await caller.say("slowly", background=True)

        seen = marks(tmp_path / "trace")
        received, answered = seen.index("received"), seen.index("answered")
        assert "synced" in seen[received:answered]
