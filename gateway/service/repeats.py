"""RepeatService: answers kept for requests that are sent twice.

For requests that make something other than a turn; a turn carries its repeat key itself.
"""

from __future__ import annotations

from gateway.store.protocol import Store
from gateway.store.protocol.coordination import StoredAnswer
from gateway.store.protocol.inbox import IdempotencyKey

__all__ = ["IdempotencyKey", "RepeatService", "StoredAnswer"]


class RepeatService:
    """Reserves repeat keys and keeps what was answered."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self, key: IdempotencyKey) -> StoredAnswer | None:
        """Reserve a key (None), or the earlier answer; status 0 = the first is still at work.

        Raises Unprocessable (`idempotency_key_reused`) for another body under the same key.
        """
        return await self._store.begin_answer(key)

    async def keep(self, key: IdempotencyKey, answer: StoredAnswer) -> None:
        """Keep the answer of a reserved key."""
        await self._store.keep_answer(key, answer)

    async def release(self, key: IdempotencyKey) -> None:
        """Give a reserved key free: the request changed nothing."""
        await self._store.keep_answer(key, None)
