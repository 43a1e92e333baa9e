"""How fast messages may leave: token buckets for an account and for each chat.

Pure arithmetic over a monotonic clock given by the caller. State is in memory: what must outlive a
process (a platform's own wait) stands in the store.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.contract import Address, Pace

MAX_CHATS = 10_000
"""Chats remembered at once; a forgotten one starts with a full bucket."""


@dataclass(slots=True)
class Bucket:
    """Holds up to `size` tokens, refilled at `rate_per_s`; rate 0 = unlimited.

    >>> bucket = Bucket(rate_per_s=1, size=2, tokens=2, at=0)
    >>> bucket.take(now=0), bucket.take(now=0), bucket.take(now=0)
    (0.0, 0.0, 1.0)
    """

    rate_per_s: float
    size: float
    tokens: float
    at: float

    def available(self, *, now: float) -> float:
        """How many tokens there are."""
        if not self.rate_per_s:
            return float("inf")
        self.tokens = min(self.size, self.tokens + (now - self.at) * self.rate_per_s)
        self.at = now
        return self.tokens

    def wait(self, *, now: float) -> float:
        """Seconds until there is a whole token."""
        if not self.rate_per_s:
            return 0.0
        return max(0.0, (1 - self.available(now=now)) / self.rate_per_s)

    def take(self, *, now: float) -> float:
        """Take one token, on credit if need be; seconds until the credit is paid back."""
        if not self.rate_per_s:
            return 0.0
        self.tokens = self.available(now=now) - 1
        return max(0.0, -self.tokens / self.rate_per_s)


class Pacer:
    """The pace of one channel."""

    def __init__(self, pace: Pace, *, now: float) -> None:
        self._pace = pace
        account_burst = max(1.0, pace.account_per_s)
        self._account = Bucket(pace.account_per_s, account_burst, account_burst, now)
        self._chats: OrderedDict[str, Bucket] = OrderedDict()

    def free(self, *, now: float) -> int:
        """How many messages the account may send right now."""
        return int(min(1000.0, max(0.0, self._account.available(now=now))))

    def sent(self, address: Address, *, now: float) -> float:
        """Count a message; seconds until the next one to that chat should leave.

        The threads of a chat share its pace.
        """
        self._account.take(now=now)
        account_wait_s = self._account.wait(now=now)
        chat = self._chats.get(address.chat)
        if chat is None:
            chat = self._chats[address.chat] = self._bucket(address, now=now)
        self._chats.move_to_end(address.chat)
        while len(self._chats) > MAX_CHATS:
            self._chats.popitem(last=False)
        chat.take(now=now)
        return max(account_wait_s, chat.wait(now=now))

    def _bucket(self, address: Address, *, now: float) -> Bucket:
        pace = self._pace
        is_slow = pace.slow is not None and pace.slow(address)
        burst = float(pace.slow_burst if is_slow else pace.address_burst)
        return Bucket(pace.slow_per_s if is_slow else pace.address_per_s, burst, burst, now)
