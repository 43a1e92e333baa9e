"""The line "is thinking..." below a thread, while a turn runs there.

Shown a moment late, so that an answer that comes at once costs no call; taken away a moment after
the turn, unless a message of ours was posted there, which takes it away by itself. Best effort:
nothing is retried, nobody waits for it, and what fails is not shown again in that turn.
"""

import asyncio
from collections.abc import Coroutine
from typing import Final

import structlog

from channels.slack.api import SlackError
from channels.slack.calls import Calls
from channels.slack.places import Place
from gateway.errors import GatewayError

_log: Final = structlog.get_logger(__name__)

METHOD: Final = "assistant.threads.setStatus"
THINKING: Final = "is thinking..."

SHOW_AFTER_S: Final = 0.3
CLEAR_AFTER_S: Final = 1.0
CALL_WITHIN_S: Final = 5.0

_LABEL_CHARACTERS: Final = 40


class StatusBoard:
    """The status lines of one app, by thread; `close` takes all of them away."""

    def __init__(
        self,
        calls: Calls,
        *,
        show_after_s: float = SHOW_AFTER_S,
        clear_after_s: float = CLEAR_AFTER_S,
    ) -> None:
        self._calls = calls
        self._show_after_s = show_after_s
        self._clear_after_s = clear_after_s
        self._shown: set[Place] = set()
        self._changing: dict[Place, asyncio.Task[None]] = {}
        self._is_closed = False

    def show(self, place: Place, label: str | None) -> None:
        """Say in a thread that something happens."""
        status = f"is using {label[:_LABEL_CHARACTERS]}..." if label else THINKING
        wait_s = 0.0 if place in self._shown else self._show_after_s
        self._change(place, self._set(place, status, wait_s=wait_s))

    def replaced(self, place: Place) -> None:
        """A message of ours was posted in the thread: Slack took the status away."""
        self._cancel(place)
        self._shown.discard(place)

    def clear(self, place: Place) -> None:
        """Nothing happens any more; at once where it was not shown yet."""
        self._cancel(place)
        if place in self._shown:
            self._change(place, self._set(place, "", wait_s=self._clear_after_s))

    async def close(self) -> None:
        """Take every status away, and show no more."""
        self._is_closed = True
        for place in list(self._changing):
            self._cancel(place)
        clearing = (self._set(place, "", wait_s=0.0) for place in list(self._shown))
        await asyncio.gather(*clearing)

    def _change(self, place: Place, change: Coroutine[None, None, None]) -> None:
        self._cancel(place)
        if self._is_closed:
            change.close()
            return
        task = asyncio.create_task(change)
        self._changing[place] = task
        task.add_done_callback(lambda done: self._forget(place, done))

    def _cancel(self, place: Place) -> None:
        task = self._changing.pop(place, None)
        if task is not None:
            task.cancel()

    def _forget(self, place: Place, done: asyncio.Task[None]) -> None:
        if self._changing.get(place) is done:
            del self._changing[place]

    async def _set(self, place: Place, status: str, *, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        params = {"channel_id": place.channel, "thread_ts": place.thread, "status": status}
        # Once the call is written the line may stand there, whatever becomes of the answer.
        (self._shown.add if status else self._shown.discard)(place)
        try:
            async with asyncio.timeout(CALL_WITHIN_S):
                await self._calls.call(place.team, METHOD, params)
        except (SlackError, GatewayError, TimeoutError) as error:
            _log.info("slack_status_not_set", team=place.team, reason=type(error).__name__)
