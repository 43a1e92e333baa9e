"""Delivers queued updates to the bot's webhook, with the platform's persistence.

From the server's source (tdlib/telegram-bot-api, WebhookActor): updates of one chat go one after
the other, chats side by side up to `max_connections`. Anything but 2xx, or a lost connection, is
tried again: at once, then after 2, 4, 8 ... seconds up to a minute or two, or when the answer's
Retry-After says (up to an hour). An update is forgotten when it was delivered.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from gateway.testing.errands import Errands, Lanes
from gateway.testing.telegram.queue import UpdateQueue
from gateway.testing.telegram.updates import chat_of
from gateway.testing.wire import JsonObject

MAX_RETRY_AFTER_S: Final = 3600
LONGEST_PAUSE_S: Final = (60, 120)


@dataclass(frozen=True, slots=True)
class WebhookRetry:
    """How an update is tried again; `scale` 0.01 makes two seconds 20 milliseconds.

    `enabled` = False: each update is posted once, whatever the answer.
    """

    enabled: bool = True
    scale: float = 1.0
    answer_within_s: float = 60.0


@dataclass(frozen=True, slots=True)
class WebhookAttempt:
    """One delivery; `status` is None when the connection failed."""

    update_id: int
    at: float
    status: int | None
    retry_after_s: int = 0
    seconds: float = 0.0

    @property
    def is_success(self) -> bool:
        """The update counts as delivered."""
        return self.status is not None and 200 <= self.status <= 299

    @property
    def error(self) -> str:
        """What getWebhookInfo says about a failure."""
        if self.status is None:
            return "Webhook connection closed"
        return f"Wrong response from the webhook: {self.status}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """What setWebhook was told."""

    url: str
    secret_token: str = ""
    max_connections: int = 40
    ip_address: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What proves to the bot that a delivery is Telegram's."""
        if not self.secret_token:
            return {}
        return {"X-Telegram-Bot-Api-Secret-Token": self.secret_token}


class WebhookCourier:
    """Carries updates to one webhook until it is stopped."""

    def __init__(
        self,
        webhook: Webhook,
        queue: UpdateQueue,
        *,
        retry: WebhookRetry,
        on_attempt: Callable[[WebhookAttempt], None],
    ) -> None:
        self.webhook = webhook
        self._queue = queue
        self._retry = retry
        self._on_attempt = on_attempt
        self._errands = Errands()
        self._errands.open()
        self._lanes: Lanes[JsonObject] = Lanes(self._errands, self._deliver)
        self._connections = asyncio.Semaphore(webhook.max_connections)
        timeout = aiohttp.ClientTimeout(total=retry.answer_within_s)
        self._session = aiohttp.ClientSession(timeout=timeout)
        for update in queue.pending:
            self.carry(update)

    def carry(self, update: JsonObject) -> None:
        """Deliver an update after those of its chat that are on their way."""
        self._lanes.put(chat_of(update), update)

    async def post(self, update: JsonObject) -> WebhookAttempt:
        """Deliver an update once, now, beside whatever else is on its way."""
        start = time.monotonic()
        status, retry_after_s = None, 0
        try:
            async with (
                self._connections,
                self._session.post(
                    self.webhook.url,
                    json=update,
                    headers=self.webhook.headers,
                    allow_redirects=False,
                ) as response,
            ):
                await response.read()
                status = response.status
                retry_after_s = _seconds(response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError):
            status = None
        attempt = WebhookAttempt(
            update["update_id"], start, status, retry_after_s, time.monotonic() - start
        )
        self._on_attempt(attempt)
        return attempt

    async def stop(self) -> None:
        """Deliver nothing more; what was not delivered stays in the queue."""
        await self._errands.end()
        await self._session.close()

    async def _deliver(self, update: JsonObject) -> None:
        failures, delay_s = 0, 1.0
        while not self._queue.is_expired(update["update_id"]):
            attempt = await self.post(update)
            if attempt.is_success or not self._retry.enabled:
                self._queue.forget(update["update_id"])
                return
            wait_s = float(min(attempt.retry_after_s, MAX_RETRY_AFTER_S))
            if not wait_s and failures:
                delay_s = min(random.uniform(*LONGEST_PAUSE_S), delay_s * 2)
                wait_s = delay_s
            failures += 1
            await asyncio.sleep(wait_s * self._retry.scale)


def _seconds(header: str) -> int:
    return int(header) if header.isdigit() else 0
