"""Circuit breaker and slots of one model endpoint: do not ask what is down or full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext


class Breaker:
    """Opens after some failures in a row; after a while it lets one call through to try.

    `clock` gives seconds and never goes back.
    """

    def __init__(self, *, failures: int, open_s: float, clock: Callable[[], float]) -> None:
        self._limit = failures
        self._open_s = open_s
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._is_trying = False

    def blocked_s(self) -> float:
        """How long not to ask; 0 = ask now."""
        if self._opened_at is None:
            return 0
        remaining = self._opened_at + self._open_s - self._clock()
        if remaining > 0:
            return remaining
        return self._open_s if self._is_trying else 0

    def begin(self) -> None:
        """A call goes out."""
        self._is_trying = self._opened_at is not None

    def succeeded(self) -> None:
        """The endpoint answered."""
        self._failures = 0
        self._opened_at = None
        self._is_trying = False

    def failed(self) -> None:
        """The endpoint did not answer."""
        self._failures += 1
        if self._is_trying or self._failures >= self._limit:
            self._opened_at = self._clock()
        self._is_trying = False

    def given_up(self) -> None:
        """The caller went away before there was an answer: nothing is known."""
        self._is_trying = False


class Slots:
    """How many calls may be out at once; 0 = any number."""

    def __init__(self, count: int) -> None:
        self._semaphore = asyncio.Semaphore(count) if count else None

    def one(self) -> AbstractAsyncContextManager[None]:
        """Wait for a free slot and hold it."""
        return self._semaphore or nullcontext()
