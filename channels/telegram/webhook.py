"""The webhook: answers Telegram's calls, and keeps the address registered.

A call is proven by its secret header before a byte of it is read, stored, and only then answered
200. What Telegram must send again gets 503 with Retry-After. Never 410, which would remove the
webhook, and never 500: an update that cannot be read is stored raw and answered 200, because
Telegram delivers one update of a chat after the other and would hold up the rest for a day.
"""

import asyncio
import hashlib
import hmac
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from aiohttp import web

from channels.telegram.bot_api import BotApi, WebhookState
from channels.telegram.door import Door
from channels.telegram.failures import TOKEN_REFUSED
from channels.telegram.presence import Presence, backlog, trouble
from channels.telegram.reading import ALLOWED_UPDATES
from channels.telegram.transport import NoAnswer, Refused
from gateway.contract import ChannelHost
from gateway.contract.raw_body import UnusableBody, raw_body
from gateway.errors import GatewayError, RequestError

SECRET_HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name

_NOTE: Final = "webhook"
_RETRY_AFTER_S: Final = 5

_log: Final = structlog.get_logger(__name__)


class WebhookCalls:
    """Answers the calls; `door()` is None while the channel is not connected."""

    def __init__(self, secret: str, *, door: Callable[[], Door | None]) -> None:
        self._secret = secret.encode()
        self._door = door

    async def answer(self, request: web.Request) -> web.Response:
        """One call of Telegram's, or of somebody who pretends to be Telegram."""
        given = request.headers.get(SECRET_HEADER, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._secret):
            return web.Response(status=401)
        door = self._door()
        if door is None:
            return _later()
        try:
            body = await raw_body(request)
        except UnusableBody as error:
            return web.Response(status=error.status)
        try:
            await _take(door, body)
        except GatewayError as error:
            _log.warning("update_not_stored", path=request.path, code=error.code)
            return _later(error)
        return web.Response()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTimes:
    """How long to wait for what, in seconds; pauses double from the first to the longest."""

    check_s: float = 300
    first_pause_s: float = 5
    longest_pause_s: float = 60


class WebhookKeeper:
    """Has Telegram post to our address for as long as the channel listens."""

    def __init__(
        self,
        api: BotApi,
        *,
        host: ChannelHost,
        account: str,
        url: str,
        secret: str,
        times: WebhookTimes,
    ) -> None:
        self._api = api
        self._host = host
        self._presence = Presence(host, account=account)
        self._url = url
        self._secret = secret
        self._times = times
        self._failures = 0

    async def run(self) -> None:
        """Check again and again until cancelled, or until Telegram refuses the token."""
        while True:
            try:
                await self._check()
            except Refused as refusal:
                if refusal.status in TOKEN_REFUSED:
                    self._host.health("stopped", reason=f"Telegram refuses the token ({refusal})")
                    return
                self._host.health("degraded", reason=f"Telegram refuses the webhook ({refusal})")
                await asyncio.sleep(refusal.retry_after_s or self._pause())
            except (NoAnswer, GatewayError) as error:
                self._host.health("degraded", reason=str(error))
                await asyncio.sleep(self._pause())
            else:
                self._failures = 0
                await asyncio.sleep(self._times.check_s)

    async def _check(self) -> None:
        state = await self._api.webhook()
        now = datetime.now(UTC)
        await self._presence.answered(now)
        noted = await self._host.note(_NOTE)
        # Telegram never tells the secret it has: what we gave it last is in our own note. Of the
        # kinds it tells those that it knows, which on an older server are not all.
        fingerprint = {"url": self._url, "secret": self._fingerprint()}
        is_ours = state.url == self._url and noted == fingerprint
        if not is_ours or not state.allowed_updates or state.allowed_updates - set(ALLOWED_UPDATES):
            await self._api.set_webhook(self._url, secret=self._secret)
            await self._host.keep_note(_NOTE, fingerprint)
            _log.info("webhook_registered", url=self._url)
            self._host.health("connected")
            return
        broken = trouble(state, now=now)
        self._host.health("degraded" if broken else "connected", reason=broken or backlog(state))

    def _fingerprint(self) -> str:
        told = "\n".join((self._url, *ALLOWED_UPDATES))
        return hmac.new(self._secret.encode(), told.encode(), hashlib.sha256).hexdigest()

    def _pause(self) -> float:
        self._failures += 1
        doubled = self._times.first_pause_s * 2 ** min(self._failures - 1, 10)
        return float(min(self._times.longest_pause_s, doubled))


def registered_sentence(state: WebhookState) -> str:
    """What stands registered at Telegram, for `doctor`."""
    if not state.url:
        return f"no webhook is set; {state.pending} updates wait"
    error = f"; last error: {state.last_error}" if state.last_error else ""
    return f"updates go to {state.url}; {state.pending} wait{error}"


async def _take(door: Door, body: bytes) -> None:
    try:
        update = json.loads(body)
    except (ValueError, RecursionError):
        await door.take_unreadable(body, reason="a webhook call that is not JSON")
    else:
        await door.take([update])


def _later(error: GatewayError | None = None) -> web.Response:
    wished = error.retry_after_s if isinstance(error, RequestError) else None
    retry_after_s = max(1, math.ceil(wished or _RETRY_AFTER_S))
    return web.Response(status=503, headers={"Retry-After": str(retry_after_s)})
