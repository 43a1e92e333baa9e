"""Carries the plain platform's events to the webhook, each until it is acknowledged.

Events of one chat go one after the other, chats side by side. Anything but 200, or a lost
connection, is tried again after a pause that doubles.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from gateway.testing.errands import Errands, Lanes
from gateway.testing.wire import JsonObject

FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 1.0
ANSWER_WITHIN_S: Final = 30.0
TOKEN_HEADER: Final = "X-Plain-Token"  # noqa: S105 - a header's name


@dataclass(frozen=True, slots=True)
class PlainAttempt:
    """One try to deliver an event; `status` is None when there was no answer."""

    event_id: str
    at: float
    ended_at: float
    status: int | None

    @property
    def is_success(self) -> bool:
        """The event counts as delivered."""
        return self.status == 200


class Courier:
    """Carries events to wherever the webhook is; waits as long as there is none."""

    def __init__(self, token: str, *, on_attempt: Callable[[PlainAttempt], None]) -> None:
        self.pending: dict[str, JsonObject] = {}
        self._token = token
        self._on_attempt = on_attempt
        self._url = ""
        self._has_url = asyncio.Event()
        self._errands = Errands()
        self._lanes: Lanes[JsonObject] = Lanes(self._errands, self._deliver)
        self._client: aiohttp.ClientSession | None = None

    def move(self, url: str) -> None:
        """Carry to this address from now on."""
        self._url = url
        self._has_url.set()

    def carry(self, event: JsonObject) -> None:
        """Deliver an event after those of its chat that are on their way."""
        self.pending[event["id"]] = event
        self._lanes.put(event["chat"], event)

    async def post(self, event: JsonObject) -> PlainAttempt:
        """Deliver an event once, now, beside whatever else is on its way."""
        began, status = time.monotonic(), None
        try:
            async with self._session().post(
                self._url, json=event, headers={TOKEN_HEADER: self._token}
            ) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = None
        attempt = PlainAttempt(event["id"], began, time.monotonic(), status)
        self._on_attempt(attempt)
        return attempt

    def open(self) -> None:
        """Carry from now on."""
        self._errands.open()

    async def stop(self) -> None:
        """Carry nothing more."""
        await self._errands.end()
        if self._client is not None:
            await self._client.close()

    async def _deliver(self, event: JsonObject) -> None:
        await self._has_url.wait()
        pause_s = FIRST_PAUSE_S
        while not (await self.post(event)).is_success:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        self.pending.pop(event["id"], None)

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S),
                connector=aiohttp.TCPConnector(limit=0),
            )
        return self._client
