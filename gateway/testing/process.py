"""A gateway as a child process, to be started, talked to, killed and started again.

Works on a folder of its own with its own configuration and data. Never sleeps to wait: readiness is
asked for over HTTP, the end of a process is awaited.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0


class GatewayProcess:
    """One gateway on one folder: `config.toml`, `data/` and `gateway.log` stand in it.

    `config` is TOML text without `[server]` and `[store]`, which are written here; `server` adds
    lines to the former. As a context manager it is killed at the end if it still runs.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: str,
        server: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self.config_path = folder / "config.toml"
        self.log_path = folder / "gateway.log"
        self.config_path.write_text(
            f'[server]\nlisten = "127.0.0.1:{self.port}"\nadmin_listen = ""\n'
            f'public_url = "{self.url}"\n{server}\n'
            f'[store]\nurl = "sqlite:data/gateway.db"\nmin_free_bytes = 0\n\n{config}'
        )
        self.config_path.chmod(0o600)

    async def __aenter__(self) -> GatewayProcess:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.is_running:
            await self.kill()

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The id of the running process; raises RuntimeError when there is none."""
        if self._process is None:
            raise RuntimeError("the gateway was not started")
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything it has written so far."""
        return self.log_path.read_text() if self.log_path.exists() else ""

    async def start(
        self, *, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        """Start `serve` and return when it is ready; raises RuntimeError with its log if not."""
        await self.spawn(arguments=arguments, environment=environment)
        await self.wait_until_ready()

    async def spawn(
        self, *, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        """Start `serve` and return at once; `environment` is added for this one start."""
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command("serve", *arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self._environment, **(environment or {})},
                cwd=self.folder,
            )

    async def wait_until_ready(self) -> None:
        """Return when it is ready; raises RuntimeError with its log if it ended or takes long."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S), aiohttp.ClientSession() as session:
                while not await self._is_ready(session):
                    if not self.is_running:
                        raise RuntimeError(f"the gateway ended at once:\n{self.log[-4000:]}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise RuntimeError(f"the gateway is not ready:\n{self.log[-4000:]}") from None

    async def kill(self) -> None:
        """Kill it with -9, and wait until it is gone."""
        await self._signal(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM, and wait; returns the exit code."""
        return await self._signal(signal.SIGTERM)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal and do not wait; nothing happens when it has ended."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run another command on the same configuration: exit code, output, errors."""
        command = await asyncio.create_subprocess_exec(
            *self._command(*arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            cwd=self.folder,
        )
        output, errors = await command.communicate()
        return command.returncode or 0, output.decode(), errors.decode()

    async def run_json(self, *arguments: str) -> Any:  # noqa: ANN401 - whatever it prints
        """Run a command with `--json`; raises RuntimeError when it fails."""
        code, output, errors = await self.run(*arguments, "--json")
        if code != 0:
            raise RuntimeError(f"{' '.join(arguments)} ended with {code}: {errors or output}")
        return json.loads(output)

    async def create_key(self, *options: str, project: str = "default") -> str:
        """A fresh key of the project."""
        made = await self.run_json("key", "create", "--project", project, *options)
        return str(made["key"])

    async def wait_for_end(self) -> int:
        """Wait until the process ends by itself; returns the exit code."""
        if self._process is None:
            raise RuntimeError("the gateway was not started")
        async with asyncio.timeout(STOP_TIMEOUT_S):
            return await self._process.wait()

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def _signal(self, number: signal.Signals) -> int:
        self.send_signal(number)
        return await self.wait_for_end()

    def _command(self, name: str, *arguments: str) -> tuple[str, ...]:
        config = str(self.config_path)
        return (sys.executable, "-m", "gateway", *_with_config(name, arguments, config))


def _with_config(name: str, arguments: Sequence[str], config: str) -> tuple[str, ...]:
    return (name, *arguments, "--config", config)


def free_port() -> int:
    """A TCP port on loopback that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
