"""Streams that an earlier life of this gateway opened, and whose reference it could not keep.

Slack ends a stream by itself some five minutes after its start; until then it stands there as being
written. So for a while after a start, the first reply in a thread that is older than the start is
put into such a message, if there is one. Asking is best effort: the reply never waits for it.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from channels.slack.api import SlackError
from channels.slack.lookup import Lookup
from channels.slack.places import Place
from channels.slack.sending import Grown
from gateway.errors import GatewayError

_log: Final = structlog.get_logger(__name__)

STREAM_LASTS_S: Final = 300.0
"""github.com/slackapi/python-slack-sdk issue 1859; read November 2026."""

ASK_FOR_S: Final = 600.0
_CLOCKS_DIFFER_S: Final = 5.0


class Orphans:
    """Looks each thread up once; `clock` tells the wall time in seconds."""

    def __init__(
        self, lookup: Lookup, *, grown: Grown, clock: Callable[[], float] = time.time
    ) -> None:
        self._lookup = lookup
        self._grown = grown
        self._clock = clock
        self._started_at = clock()
        self._settled: set[Place] = set()

    async def find(self, place: Place) -> str | None:
        """The reference of a message in which a reply should be put, or None."""
        if not self._may_have_one(place):
            return None
        since = datetime.fromtimestamp(self._started_at - STREAM_LASTS_S, UTC)
        try:
            ref = await self._lookup.opened(place, since=since)
        except (SlackError, GatewayError) as error:
            _log.warning("slack_thread_not_looked_up", team=place.team, error=type(error).__name__)
            return None
        return ref if ref is not None and not self._grown.is_ours(ref) else None

    def settle(self, place: Place) -> None:
        """A reply was said there: nothing of an earlier life is left to be finished."""
        if place.thread is not None and self._clock() < self._started_at + ASK_FOR_S:
            self._settled.add(place)

    def _may_have_one(self, place: Place) -> bool:
        if place.thread is None or place in self._settled:
            return False
        if self._clock() > self._started_at + ASK_FOR_S:
            self._settled.clear()
            return False
        try:
            return float(place.thread) < self._started_at + _CLOCKS_DIFFER_S
        except ValueError:
            return False
