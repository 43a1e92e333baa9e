"""How an account stands with Telegram: what waits there, and whether we were away for too long.

Takes what Telegram answers and the time of it; gives sentences for health, and a line in the log
where messages are lost for good. Keeps one note; asks nothing of Telegram.
"""

import contextlib
from datetime import datetime, timedelta
from typing import Final

import structlog

from channels.telegram.bot_api import WebhookState
from gateway.contract import ChannelHost
from gateway.errors import GatewayError

KEPT: Final = timedelta(hours=24)
"""How long Telegram keeps an update. Bot API, "Getting updates"; read November 2026."""

PILE: Final = 100
"""So many waiting updates are worth a word: getUpdates gives no more at once."""

_NOTED_EVERY: Final = timedelta(minutes=10)
_FRESH: Final = timedelta(minutes=10)

_log: Final = structlog.get_logger(__name__)


class Presence:
    """Remembers, also over a restart, when Telegram last answered this account."""

    def __init__(self, host: ChannelHost, *, account: str) -> None:
        self._host = host
        self._account = account
        self._note = f"answered:{account}"
        self._last_at: datetime | None = None
        self._noted_at: datetime | None = None

    async def answered(self, now: datetime) -> None:
        """Telegram answered; says in the log what came in between, if that was over a day."""
        with contextlib.suppress(GatewayError):  # known by the next answer, if the store is away
            last_at = self._last_at or await self._read()
            if last_at is not None and now - last_at > KEPT:
                away_h = round((now - last_at) / timedelta(hours=1))
                since = last_at.isoformat()
                _log.warning("updates_lost", account=self._account, away_h=away_h, since=since)
            self._last_at = now
            if self._noted_at is None or abs(now - self._noted_at) >= _NOTED_EVERY:
                await self._host.keep_note(self._note, {"at": now.isoformat()})
                self._noted_at = now

    async def _read(self) -> datetime | None:
        noted = await self._host.note(self._note)
        at = noted.get("at") if noted is not None else None
        return datetime.fromisoformat(at) if isinstance(at, str) else None


def trouble(state: WebhookState, *, now: datetime) -> str | None:
    """What Telegram says went wrong with our address, while it is fresh."""
    if state.last_error and state.last_error_at and now - state.last_error_at < _FRESH:
        return f"Telegram says: {state.last_error}; {state.pending} updates wait"
    return None


def backlog(state: WebhookState, *, taken: int = 0) -> str | None:
    """How many updates wait at Telegram, when they pile up; `taken` are with us already."""
    waiting = state.pending - taken
    if waiting < PILE:
        return None
    error = f"; its last error with our address: {state.last_error}" if state.last_error else ""
    return f"{waiting} updates wait at Telegram{error}"
