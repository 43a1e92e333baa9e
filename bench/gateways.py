"""The servers that are measured: a gateway of its own folder, and a yardstick."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter

from aiohttp import ClientSession

from bench.load import Target, new_client
from bench.processes import LOAD_CPU, SERVER_CPU, child
from gateway.testing.process import free_port

TURNS_A_SESSION = 10
MESSAGE = "Hello there, how are you doing today?"
CONFIG = """
[server]
listen = "127.0.0.1:{port}"
admin_listen = ""
[store]
url = "sqlite:data/gateway.db"
min_free_bytes = 0
[log]
level = "info"
format = "json"
[limits]
requests_per_minute = 0
{model}
[[bots]]
slug = "bench"
name = "Bench"
start_agent = "Desk"
[[bots.agents]]
name = "Desk"
instructions = "You answer briefly."
model = "main"
"""
OPENAI = '[models.main]\nprovider = "openai"\nbase_url = "{url}"\napi_key = "none"\nmodel = "m"\n'
SCRIPTED = '[models.main]\nprovider = "scripted"\n[[models.main.rules]]\nreply = "Good."\n'


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it is, its process, and where its next turns go."""

    url: str
    pid: int
    headers: dict[str, str]
    folder: Path
    ready_s: float = 0.0

    def new_sessions(self) -> Target:
        """Every turn opens a conversation of its own."""
        return Target(
            url=lambda _: f"{self.url}/v1/chat",
            body=lambda _: {"input": MESSAGE},
            headers=self.headers,
        )

    def in_sessions(self, sessions: Callable[[int], str]) -> Target:
        """User n goes on in session `sessions(n)`."""
        return Target(
            url=lambda number: f"{self.url}/v1/sessions/{sessions(number)}/messages",
            body=lambda _: {"input": MESSAGE},
            headers=self.headers,
        )

    def in_growing(self, sessions: Sequence[str]) -> Target:
        """Turns go round the sessions, `TURNS_A_SESSION` further turns in each."""
        turns = count()
        return self.in_sessions(lambda _: sessions[next(turns) % len(sessions)])

    def in_session(self, session: str) -> Target:
        """Everybody goes on in one session."""
        return self.in_sessions(lambda _: session)

    def streaming(self) -> Target:
        """Every turn opens a conversation and streams its answer."""
        return Target(
            url=lambda _: f"{self.url}/v1/chat",
            body=lambda _: {"input": MESSAGE, "stream": True},
            headers=self.headers,
        )

    async def open_sessions(self, count: int) -> list[str]:
        """Fresh sessions, each with its first turn done."""
        async with new_client() as client:
            return [await self._open_session(client) for _ in range(count)]

    async def _open_session(self, client: ClientSession) -> str:
        body = {"input": MESSAGE}
        async with client.post(f"{self.url}/v1/chat", json=body, headers=self.headers) as answer:
            return str((await answer.json())["session_id"])


@asynccontextmanager
async def model(*options: str) -> AsyncIterator[str]:
    """The stub model, on the processor of the load; gives its base address."""
    port = free_port()
    arguments = ("-m", "gateway.testing.openai.server", "--port", str(port), *options)
    async with child(*arguments, cpu=LOAD_CPU, port=port, is_quiet=True):
        yield f"http://127.0.0.1:{port}/v1"


@asynccontextmanager
async def gateway(
    model_url: str | None,
    *,
    prepare: Callable[[Path], None] | None = None,
    channels: str = "",
    is_paced: bool = True,
) -> AsyncIterator[Server]:
    """A gateway on a fresh folder; `prepare` is given the folder once the store was made.

    `channels` is added to the configuration; `is_paced` False: without the platforms' limits.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, port = Path(name), free_port()
        chosen = SCRIPTED if model_url is None else OPENAI.format(url=model_url)
        config = folder / "config.toml"
        config.write_text(CONFIG.format(port=port, model=chosen) + channels)
        config.chmod(0o600)
        key = await asyncio.to_thread(_create_key, config)
        if prepare is not None:
            await asyncio.to_thread(prepare, folder)
        began = perf_counter()
        program = "gateway" if is_paced else "bench.unpaced"
        arguments = ("-m", program, "serve", "--config", str(config))
        async with child(*arguments, cpu=SERVER_CPU, port=port, is_quiet=True) as pid:
            url = f"http://127.0.0.1:{port}"
            await _is_ready(url)
            ready_s = perf_counter() - began
            yield Server(url, pid, {"Authorization": f"Bearer {key}"}, folder, ready_s)


@asynccontextmanager
async def yardstick(kind: str, model_url: str) -> AsyncIterator[tuple[int, Target]]:
    """A yardstick server: its pid, and a target whose sessions grow as ours do."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        arguments = (
            *("-m", "bench.yardstick", kind, "--port", str(port)),
            *("--model-url", model_url, "--database", f"{folder}/yardstick.db"),
        )
        async with child(*arguments, cpu=SERVER_CPU, port=port, is_quiet=True) as pid:
            turns = count()
            target = Target(
                url=lambda _: f"http://127.0.0.1:{port}/turn",
                body=lambda _: {
                    "session_id": f"s{next(turns) // TURNS_A_SESSION}",
                    "input": MESSAGE,
                },
                headers={},
            )
            yield pid, target


def _create_key(config: Path) -> str:
    command = (sys.executable, "-m", "gateway", "key", "create", "--project", "default", "--json")
    made = subprocess.run(
        [*command, "--config", str(config)], check=True, capture_output=True, env=os.environ
    )
    return str(json.loads(made.stdout)["key"])


async def _is_ready(url: str) -> None:
    async with asyncio.timeout(30), new_client() as client:
        while True:
            async with client.get(f"{url}/readyz") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.01)
