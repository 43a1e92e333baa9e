"""Makes an outage good: looks up what was said where people talked to us lately.

Slack tells an app of an event four times within six minutes, and then no more. So before hearing
begins, and after a longer outage, the history of every remembered place is read from the newest
message we know. What was stored before is not stored again: a message is known by channel and ts,
however it comes. docs.slack.dev, conversations.history and conversations.replies; read November
2026.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from channels.slack.api import SlackApi, SlackError, SlackRefused, SlackSilence
from channels.slack.door import Door
from channels.slack.failures import delivery_error
from channels.slack.installations import Installations
from channels.slack.parse import BROKEN, Stamp, digest, said
from channels.slack.reading import Raw, Reading, order_of
from channels.slack.recent import CURSOR, Spot
from gateway.contract import ChannelHost, InboundMessage, Json
from gateway.errors import DeliveryRefused, GatewayError

_log: Final = structlog.get_logger(__name__)

PAGE: Final = 200
MAX_PAGES: Final = 10
"""Of one place at a time; more was said there than anybody waits for."""

TRIES: Final = 3
AGAIN_S: Final = 60.0
"""When Slack is away, the past is looked up once it is back."""

STORE_PAUSE_S: Final = 1.0
WITHIN_S: Final = 10.0
"""How long hearing waits for the past; the rest is looked up beside it."""


@dataclass(slots=True)
class _Found:
    """What was found in a place: messages for us, and threads in which there may be more."""

    messages: list[InboundMessage]
    threads: list[Spot]


class CatchingUp:
    """Looks the past up, of one app in all its workspaces."""

    def __init__(
        self,
        host: ChannelHost,
        api: SlackApi,
        *,
        installations: Installations,
        door: Door,
        again_s: float = AGAIN_S,
    ) -> None:
        self._host = host
        self._api = api
        self._installations = installations
        self._door = door
        self._again_s = again_s
        self._running: asyncio.Task[None] | None = None
        self._since: list[tuple[Spot, str]] | None = None

    async def open(self) -> None:
        """Read how far was heard before; nothing is heard until then. Raises GatewayError."""
        self._door.recent.read(await self._host.cursor(CURSOR))
        self._since = self._door.recent.spots

    async def run(self) -> None:
        """Make the outage good; returns after a while at the latest, and goes on beside."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._catch_up())
        await asyncio.wait((self._running,), timeout=WITHIN_S)

    async def close(self) -> None:
        """Stop looking."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _catch_up(self) -> None:
        while True:
            if await self._is_made_good():
                return
            await asyncio.sleep(self._again_s)

    async def _is_made_good(self) -> bool:
        began, count = time.monotonic(), 0
        spots = self._door.recent.spots if self._since is None else self._since
        try:
            for spot, newest in spots:
                count += await self._make_good(spot, newest)
        except (GatewayError, *BROKEN) as error:
            _log.warning("slack_outage_not_made_good", reason=type(error).__name__)
            return False
        self._since = None
        if spots:
            _log.info(
                "slack_outage_made_good",
                places=len(spots),
                messages=count,
                duration_ms=round((time.monotonic() - began) * 1000),
            )
        return True

    async def _make_good(self, spot: Spot, newest: str) -> int:
        """Store what was said there since; how many messages that was."""
        try:
            found = await self._said_since(spot, newest)
            for thread in found.threads:
                found.messages += (await self._said_since(thread, newest)).messages
        except (SlackError, DeliveryRefused) as error:
            meaning = delivery_error(error) if isinstance(error, SlackError) else error
            if not isinstance(meaning, DeliveryRefused):
                raise meaning from error
            _log.info("slack_history_not_read", team=spot.team, reason=str(error))
            return 0
        messages = sorted(found.messages, key=lambda message: message.source_order or 0)
        for message in messages:
            self._door.recent.note(message, kind=spot.kind)
        await self._store(messages)
        return len(messages)

    async def _said_since(self, spot: Spot, newest: str) -> _Found:
        found = _Found([], [])
        installation = await self._installations.find(spot.team)
        if installation is None:
            return found
        reading = self._door.reading(installation)
        async for message in self._history(spot, newest):
            meaning = _meaning(message, spot, reading=reading)
            if meaning is not None:
                found.messages.append(meaning)
            is_parent = spot.thread is None and message.get("thread_ts") == message["ts"]
            if is_parent and (spot.is_direct or meaning is not None):
                found.threads.append(Spot(spot.team, spot.chat, spot.kind, message["ts"]))
        return found

    async def _history(self, spot: Spot, newest: str) -> AsyncIterator[Raw]:
        """Messages of a place that are newer, in no order."""
        method = "conversations.history" if spot.thread is None else "conversations.replies"
        params = {"channel": spot.chat, "ts": spot.thread, "oldest": newest, "limit": PAGE}
        for _ in range(MAX_PAGES):
            page = await self._page(spot.team, method, params)
            for message in page.get("messages") or ():
                if isinstance(message, dict) and order_of(message["ts"]) > order_of(newest):
                    yield message
            following = (page.get("response_metadata") or {}).get("next_cursor")
            if not following:
                return
            params = {**params, "cursor": following}
        _log.warning("slack_history_cut", team=spot.team, pages=MAX_PAGES)

    async def _page(self, team: str, method: str, params: Json) -> Json:
        """One page; waits where Slack asks for it."""
        for _ in range(TRIES):
            try:
                return await self._api.call(
                    method, params, token=await self._installations.token(team)
                )
            except SlackRefused as refusal:
                if refusal.retry_after_s is None:
                    raise
                await asyncio.sleep(refusal.retry_after_s)
        raise SlackSilence("Slack lets nobody read histories now", was_written=False)

    async def _store(self, messages: list[InboundMessage]) -> None:
        while messages:
            try:
                await self._door.store(messages, keeps_places=True)
            except GatewayError as error:
                _log.warning("events_not_stored", events=len(messages), code=error.code)
                await asyncio.sleep(STORE_PAUSE_S)
            else:
                return


def _meaning(message: Raw, spot: Spot, *, reading: Reading) -> InboundMessage | None:
    """A message of a history, read as the event that it was."""
    now = datetime.now(UTC)
    event = {"type": "message", **message, "channel": spot.chat, "channel_type": spot.kind}
    stamp = Stamp(
        account=spot.team,
        external_id=f"history:{spot.chat}:{message['ts']}",
        digest=digest(message),
        received_at=now,
    )
    try:
        meaning = said(event, reading, stamp)
    except BROKEN:
        return None
    return meaning if isinstance(meaning, InboundMessage) else None
