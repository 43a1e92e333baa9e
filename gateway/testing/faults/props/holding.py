"""A turn that is silent until it is told to go on: its tool asks somebody here who does not answer.

The scripted model calls the tool for every message that holds the word `hold`, and answers as
always when the tool has come back.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from gateway.testing.loopback import Changes, Loopback

HOLD: Final = "hold"
"""What a message says that is to be held."""


class Holding:
    """Holds tool calls until `let_go`; an async context manager. `calls` counts them."""

    def __init__(self) -> None:
        self.calls = 0
        self._go = asyncio.Event()
        self._changes = Changes()
        self._door = Loopback(self._answer)

    @property
    def config(self) -> str:
        """The model `main`, the tool, and what an agent needs to have it."""
        return f"""
[models.main]
provider = "scripted"

[[models.main.rules]]
tool = "{HOLD}"
reply = "Heard: {{text}}"

[[models.main.rules]]
text = "{HOLD}"
call = "{HOLD}"

[[models.main.rules]]
reply = "Heard: {{text}}"

[tools.{HOLD}]
kind = "http"
url = "{self._door.url}/hold"
timeout_s = 290
allow_private_network = true
idempotent = true

[[bots]]
slug = "support"
apology = "Sorry, that did not work."

[[bots.agents]]
name = "Desk"
model = "main"
tools = ["{HOLD}"]
"""

    async def wait_for_calls(self, count: int, *, within_s: float) -> None:
        """Wait until so many calls have come; raises TimeoutError."""
        await self._changes.until(
            lambda: self.calls >= count,
            timeout_s=within_s,
            otherwise=lambda: f"{self.calls} of {count} tool calls arrived",
        )

    def let_go(self) -> None:
        """Answer all calls, those to come as well."""
        self._go.set()

    async def __aenter__(self) -> Self:
        await self._door.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._door.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        self.calls += 1
        self._changes.tell()
        await self._go.wait()
        return web.json_response({"ok": True})
