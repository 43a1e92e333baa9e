"""What the daemon tells systemd over a real notify socket."""

import asyncio
import socket
from pathlib import Path

from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    async def hears(self, word: str) -> list[str]:
        """Everything up to a word."""
        heard: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            while not heard or heard[-1] != word:
                said = await asyncio.get_running_loop().sock_recv(self._socket, 4096)
                heard.append(said.decode())
        return heard

    def close(self) -> None:
        self._socket.close()


async def test_the_service_manager_hears_ready_alive_and_stopping(tmp_path: Path) -> None:
    manager = Manager(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "200000"}
    config = SCRIPTED + DESK
    async with GatewayProcess(tmp_path, config=config, environment=environment) as gateway:
        await gateway.spawn()

        before = await manager.hears("READY=1")
        await gateway.wait_until_ready()
        pulses = await manager.hears("WATCHDOG=1") + await manager.hears("WATCHDOG=1")
        code = await gateway.stop()
        after = await manager.hears("STOPPING=1")

        assert set(before[:-1]) <= {"WATCHDOG=1"}
        assert set(pulses) == {"WATCHDOG=1"}
        assert set(after[:-1]) <= {"WATCHDOG=1"}
        assert code == 0
    manager.close()
