"""What the webhook missed: looked up in Twilio's list, at every start and every few minutes.

Twilio tries a webhook few times and then forgets it, but keeps the messages. Everything that came
in since the stored cursor, with ten minutes before it, is taken in the order it was sent; what is
known already is dropped by its SID. A long time is looked through hour by hour, so that memory is
bounded and a stop in between loses no place. Before its first look a channel answers nothing old.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from channels.twilio.api import Listed, TwilioApi
from channels.twilio.door import Door
from channels.twilio.failures import failure_of
from channels.twilio.files_in import Leftovers
from channels.twilio.health import CREDENTIALS, Health
from channels.twilio.parse import Ignored, form_of, inbound
from channels.twilio.settings import Line
from channels.twilio.transport import NoAnswer, Refused
from gateway.contract import ChannelHost, Inbound
from gateway.errors import GatewayError

CURSOR: Final = "inbound"
OVERLAP: Final = timedelta(minutes=10)
WINDOW: Final = timedelta(hours=1)
SMALLEST_WINDOW: Final = timedelta(minutes=1)
MAX_PAGES: Final = 10
"""Of 1000 messages each, in one window; more of them make the window smaller."""

_LIST: Final = "list"
_BATCH: Final = 100

_log: Final = structlog.get_logger(__name__)

Window = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUpTimes:
    """How long to wait between two looks, in seconds; pauses double while there is no answer."""

    every_s: float = 300.0
    first_pause_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """Looks for what was missed for as long as the channel listens."""

    api: TwilioApi
    host: ChannelHost
    line: Line
    door: Door
    health: Health
    leftovers: Leftovers
    times: CatchUpTimes
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        failures = 0
        while True:
            try:
                await self.look()
                await self.leftovers.remove(self.api, now=self.now())
            except Refused as refusal:
                failures += 1
                self._tell(refusal)
            except (NoAnswer, GatewayError) as error:
                failures += 1
                self.health.alarm(_LIST, f"missed messages cannot be looked up: {error}")
            else:
                failures = 0
                self.health.clear(CREDENTIALS)
                self.health.clear(_LIST)
                self.health.tell()
            await asyncio.sleep(self._pause_s(failures))

    async def look(self) -> None:
        """Take what was missed up to now; raises Refused, NoAnswer or GatewayError."""
        now = self.now()
        since = await self.host.cursor(CURSOR)
        if since is None:
            await self.door.take([], cursor=(CURSOR, now.isoformat()))
            return
        windows = deque(hours(datetime.fromisoformat(since) - OVERLAP, now))
        while windows:
            start, end = windows.popleft()
            found, is_complete = await self._listed(start, end, is_last=not windows)
            if not is_complete and end - start > SMALLEST_WINDOW:
                middle = start + (end - start) / 2
                windows.extendleft([(middle, end), (start, middle)])
                continue
            if not is_complete:
                _log.warning("catch_up_incomplete", channel=self.line.channel, messages=len(found))
            await self._take(found, until=end)

    async def _listed(
        self, start: datetime, end: datetime, *, is_last: bool
    ) -> tuple[list[Listed], bool]:
        """What people sent to us in a window, oldest first, and whether that is all of it."""
        found: list[Listed] = []
        pages = self.api.pages(
            to=self.line.sender,
            after=start.replace(microsecond=0),
            before=None if is_last else end,
        )
        number = 0
        async with aclosing(pages):
            async for page in pages:
                if number == MAX_PAGES:
                    return found[::-1], False
                found += [message for message in page if self._is_missed(message)]
                number += 1
        return found[::-1], True

    def _is_missed(self, message: Listed) -> bool:
        is_ours = self.line.sender is not None or message.service == self.line.service
        return message.direction == "inbound" and is_ours and not self.door.is_known(message.sid)

    async def _take(self, found: Sequence[Listed], *, until: datetime) -> None:
        for start in range(0, len(found), _BATCH):
            events = [await self._meaning(one) for one in found[start : start + _BATCH]]
            known = [event for event in events if not isinstance(event, Ignored)]
            await self.door.take(known)
            _log.info("messages_caught_up", channel=self.line.channel, messages=len(known))
        await self.door.take([], cursor=(CURSOR, until.isoformat()))

    async def _meaning(self, message: Listed) -> Inbound | Ignored:
        media = await self.api.media_of(message.sid) if message.media_count else []
        form = form_of(message, media, account=self.line.account)
        return inbound(form, self.line, received_at=self.now())

    def _tell(self, refusal: Refused) -> None:
        failure = failure_of(refusal)
        if failure is not None and failure.meaning == "account":
            self.health.note_failure(failure, code=refusal.code)
        else:
            self.health.alarm(_LIST, f"missed messages cannot be looked up: {refusal}")

    def _pause_s(self, failures: int) -> float:
        if failures == 0:
            return self.times.every_s
        return float(min(self.times.every_s, self.times.first_pause_s * 2 ** min(failures - 1, 10)))


def hours(start: datetime, end: datetime) -> list[Window]:
    """A time in windows of an hour, oldest first; the last one may be a little longer.

    >>> noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    >>> [(a.hour, b.hour) for a, b in hours(noon, noon + timedelta(hours=2, minutes=5))]
    [(12, 13), (13, 14)]
    """
    windows: list[Window] = []
    while end - start > WINDOW + OVERLAP:
        windows.append((start, start + WINDOW))
        start += WINDOW
    windows.append((start, end))
    return windows
