"""Long polling: asks Telegram for updates for as long as the channel listens.

Takes an open `BotApi` and a `Door`. The offset moves only after the gateway has stored the batch,
and is stored in the same commit: whatever happens in between, Telegram sends the batch again. One
account has one poller; a second one, or a webhook, shows in the channel's health.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from channels.telegram.bot_api import BotApi
from channels.telegram.door import Door
from channels.telegram.failures import TOKEN_REFUSED
from channels.telegram.parse import update_id
from channels.telegram.presence import PILE, Presence, backlog
from channels.telegram.transport import NoAnswer, Refused
from gateway.contract import ChannelHost
from gateway.errors import GatewayError

_log: Final = structlog.get_logger(__name__)

_PATIENCE: Final = 2
"""Long polls in a row that may run into their time limit before it shows in health."""

_RIVAL_POLLER: Final = "another instance is polling"
_RIVAL_WEBHOOK: Final = "another program keeps setting a webhook for this bot"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollTimes:
    """How long to wait for what, in seconds.

    Telegram holds a long poll 50 s at most. An empty answer that comes at once is not asked for
    again before `idle_s`. Pauses double from the first to the longest.
    """

    wait_s: float = 30
    idle_s: float = 0.5
    store_pause_s: float = 1
    first_pause_s: float = 1
    longest_pause_s: float = 30
    rival_first_s: float = 5
    rival_longest_s: float = 60


class Poller:
    """The polling loop of one account."""

    def __init__(
        self, api: BotApi, door: Door, *, host: ChannelHost, account: str, times: PollTimes
    ) -> None:
        self._api = api
        self._door = door
        self._host = host
        self._cursor = f"updates:{account}"
        self._presence = Presence(host, account=account)
        self._times = times
        self._failures = 0
        self._removed_webhook = False
        self._is_cut_off = False
        self._is_stored = True

    async def run(self) -> None:
        """Poll until cancelled, or until Telegram refuses the token."""
        offset = await self._stored_offset()
        while True:
            try:
                offset = await self._poll(offset)
            except Refused as refusal:
                if refusal.status in TOKEN_REFUSED:
                    self._host.health("stopped", reason=f"Telegram refuses the token ({refusal})")
                    return
                await self._after_refusal(refusal)
            except NoAnswer as silence:
                await self._after_silence(silence)
            except GatewayError as error:
                await self._after_store_failure(error)

    async def _stored_offset(self) -> int | None:
        """Where an earlier run stopped; the bot is in the name, as other bots count otherwise."""
        while True:
            try:
                stored = await self._host.cursor(self._cursor)
            except GatewayError as error:
                _log.warning("offset_not_read", cursor=self._cursor, code=error.code)
                await asyncio.sleep(self._times.store_pause_s)
            else:
                return int(stored) if stored is not None else None

    async def _poll(self, offset: int | None) -> int | None:
        """One round; returns the offset of the next.

        The first after a trouble does not wait for updates: it shows at once that all is well.
        """
        clock = asyncio.get_running_loop()
        began_at = clock.time()
        updates = await self._api.updates(
            offset, wait_s=0 if self._is_cut_off else self._times.wait_s
        )
        self._failures = 0
        self._is_cut_off = False
        await self._presence.answered(datetime.now(UTC))
        self._is_stored = self._is_stored or not updates
        if self._is_stored:
            self._host.health("connected", reason=await self._backlog(updates))
        following = _next_offset(updates, offset)
        if following != offset:
            await self._door.take(updates, cursor=(self._cursor, str(following)))
            self._is_stored = True
            return following
        await asyncio.sleep(max(0.0, self._times.idle_s - (clock.time() - began_at)))
        return offset

    async def _backlog(self, updates: Sequence[object]) -> str | None:
        """How many more wait, where one answer could not hold them."""
        if len(updates) < PILE:
            return None
        try:
            return backlog(await self._api.webhook(), taken=len(updates))
        except (Refused, NoAnswer):
            return None

    async def _after_store_failure(self, error: GatewayError) -> None:
        """The updates stay with Telegram, which gives them again."""
        self._is_stored = False
        _log.warning("updates_not_stored", cursor=self._cursor, code=error.code)
        self._host.health("degraded", reason=f"updates cannot be stored now: {error.message}")
        await asyncio.sleep(self._times.store_pause_s)

    async def _after_refusal(self, refusal: Refused) -> None:
        if refusal.status == 409:
            await self._after_conflict(refusal)
            return
        self._is_cut_off = True
        self._host.health("degraded", reason=f"Telegram refuses to give updates ({refusal})")
        await asyncio.sleep(refusal.retry_after_s or self._pause(self._times.first_pause_s))

    async def _after_conflict(self, refusal: Refused) -> None:
        """Somebody else takes the updates: an old webhook is removed once, a rival waited for.

        A rival is gone only when a whole long poll was ours.
        """
        self._is_cut_off = False
        if refusal.says("webhook") and not self._removed_webhook:
            self._removed_webhook = True
            await self._remove_webhook()
            return
        is_webhook = refusal.says("webhook")
        self._host.health("degraded", reason=_RIVAL_WEBHOOK if is_webhook else _RIVAL_POLLER)
        await asyncio.sleep(
            self._pause(self._times.rival_first_s, longest_s=self._times.rival_longest_s)
        )

    async def _remove_webhook(self) -> None:
        try:
            await self._api.delete_webhook()
        except (Refused, NoAnswer) as error:
            self._removed_webhook = False
            self._host.health("degraded", reason=f"the webhook could not be removed: {error}")
            await asyncio.sleep(self._pause(self._times.first_pause_s))
        else:
            _log.info("webhook_removed", cursor=self._cursor)

    async def _after_silence(self, silence: NoAnswer) -> None:
        """A poll that ran into its time limit is repeated at once; it took long enough."""
        self._is_cut_off = True
        if silence.timed_out:
            self._failures += 1
            if self._failures > _PATIENCE:
                self._host.health("degraded", reason=str(silence))
            return
        self._host.health("degraded", reason=str(silence))
        await asyncio.sleep(self._pause(self._times.first_pause_s))

    def _pause(self, first_s: float, *, longest_s: float | None = None) -> float:
        longest = self._times.longest_pause_s if longest_s is None else longest_s
        self._failures += 1
        return float(min(longest, first_s * 2 ** min(self._failures - 1, 10)))


def _next_offset(updates: Sequence[object], offset: int | None) -> int | None:
    """One past the last update.

    It may be lower than before: after a quiet week Telegram starts its numbers anew (Bot API,
    Update; read November 2026).
    """
    ids = [found for update in updates if (found := update_id(update)) is not None]
    return ids[-1] + 1 if ids else offset
