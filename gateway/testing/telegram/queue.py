"""The bot's queue of updates on the server's side, and getUpdates over it.

Semantics from the server's source (tdlib/telegram-bot-api, `process_get_updates_query` and
`do_get_updates`): an offset confirms everything below it, a negative one keeps that many from the
end, one too far ahead is read as the head of the queue; a second poll that has to wait ends the
first with a conflict. It does not deliver to webhooks; `telegram_webhook.py` takes from here.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.testing.telegram.faults import ApiError, Refused, other_poller
from gateway.testing.telegram.updates import ALL_KINDS, DEFAULT_KINDS, kind_of
from gateway.testing.wire import JsonObject

MAX_POLL_S: Final = 50
MAX_BATCH: Final = 100
KEPT_S: Final = 24 * 3600
"""How long an update waits: 24 hours at most (Bot API, "Getting updates")."""

MAX_AHEAD: Final = 10
"""An offset further beyond the newest update than this is not believed."""


class UpdateQueue:
    """Updates that were not confirmed yet, oldest first."""

    def __init__(self, *, first_id: int, on_change: Callable[[], None]) -> None:
        self.next_id = first_id
        self.offset = 0
        self.allowed: frozenset[str] = DEFAULT_KINDS
        self._pending: dict[int, JsonObject] = {}
        self._posted_at: dict[int, float] = {}
        self._expired: set[int] = set()
        self._ahead_s = 0.0
        self._repeats: list[JsonObject] = []
        self._held: list[JsonObject] | None = None
        self._poll: asyncio.Future[None] | None = None
        self._on_change = on_change

    @property
    def pending(self) -> list[JsonObject]:
        """Updates that are not confirmed."""
        return list(self._pending.values())

    @property
    def now(self) -> float:
        """The platform's time, in seconds since 1970."""
        return time.time() + self._ahead_s

    def pass_time(self, seconds: float) -> list[JsonObject]:
        """Let that much time pass; gives the updates that waited too long and are gone."""
        self._ahead_s += seconds
        late = [key for key in self._pending if self.now - self._posted_at[key] > KEPT_S]
        self._expired.update(late)
        expired = [self._pending.pop(key) for key in late]
        self._on_change()
        return expired

    def is_expired(self, update_id: int) -> bool:
        """The update has waited too long and is not delivered any more."""
        return update_id in self._expired

    def allow(self, kinds: list[str] | None) -> None:
        """Keep the choice of `allowed_updates`: None keeps the last one, [] is the default."""
        if kinds is not None:
            self.allowed = frozenset(kinds) or DEFAULT_KINDS

    def add(self, content: JsonObject) -> JsonObject | None:
        """Give the content its id and queue it; None when the bot did not ask for that kind.

        Kinds that Telegram does not have (yet) always pass.
        """
        kind = kind_of(content)
        if kind in ALL_KINDS and kind not in self.allowed:
            return None
        update = {"update_id": self.next_id, **content}
        self.next_id += 1
        self._posted_at[update["update_id"]] = self.now
        if self._held is not None:
            self._held.append(update)
            return update
        self._pending[update["update_id"]] = update
        self._wake()
        return update

    @property
    def is_holding(self) -> bool:
        """New updates get their ids and are kept back."""
        return self._held is not None

    def hold(self) -> None:
        """Keep new updates back until they are released."""
        self._held = self._held or []

    def release(self, *, reverse: bool) -> list[JsonObject]:
        """Queue what was kept back, the newest first when `reverse`; gives it in that order."""
        held, self._held = self._held or [], None
        ordered = held[::-1] if reverse else held
        self._pending |= {update["update_id"]: update for update in ordered}
        self._wake()
        return ordered

    def repeat(self, update: JsonObject, times: int) -> None:
        """Hand an update out again, confirmed or not, with the next answers."""
        self._repeats += [update] * times
        self._wake()

    def forget(self, update_id: int) -> None:
        """The update was delivered."""
        self._pending.pop(update_id, None)
        self._on_change()

    def clear(self) -> None:
        """Forget everything (drop_pending_updates)."""
        self._pending.clear()
        self._on_change()

    async def poll(self, *, offset: int, limit: int, timeout_s: int) -> list[JsonObject]:
        """One getUpdates; Refused with 409 when another one or a webhook ends the wait."""
        self._confirm(offset)
        limit = min(max(limit, 1), MAX_BATCH)
        timeout_s = min(max(timeout_s, 0), MAX_POLL_S)
        batch = self._batch(offset, limit)
        if batch or not timeout_s:
            return batch
        self.end_poll(other_poller())
        await self._wait(timeout_s)
        return self._batch(offset, limit)

    def end_poll(self, conflict: ApiError) -> None:
        """End the waiting long poll, if there is one, with this error."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(Refused(conflict))
        self._poll = None

    async def _wait(self, timeout_s: int) -> None:
        waiting = self._poll = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait({waiting}, timeout=timeout_s)
        finally:
            if self._poll is waiting:
                self._poll = None
        if waiting.done():
            waiting.result()

    def _wake(self) -> None:
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)
        self._on_change()

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            self._pending = dict(list(self._pending.items())[offset:])
        elif 0 < offset <= self.next_id + MAX_AHEAD:
            self.offset = offset
            self._pending = {key: u for key, u in self._pending.items() if key >= offset}
        self._on_change()

    def _batch(self, offset: int, limit: int) -> list[JsonObject]:
        repeats, self._repeats = self._repeats[:limit], self._repeats[limit:]
        if offset > self.next_id + MAX_AHEAD:
            offset = 0
        new = [update for key, update in self._pending.items() if key >= offset]
        return [*repeats, *new[: limit - len(repeats)]]
