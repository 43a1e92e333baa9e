"""How fast messages may leave: token buckets for an account and for each chat.

Pure arithmetic over a monotonic clock given by the caller. State is in memory: what must outlive a
process (a platform's own wait) stands in the store.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.contract import Address, Channel, Pace

ROUNDING = 1e-6
"""Of tokens that came in small pieces."""
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

    def has_spare(self, *, now: float) -> bool:
        """Whether half of the bucket is left after one token more; of a small one, all of it."""
        return self.available(now=now) + ROUNDING >= min(self.size, self.size / 2 + 1)

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
    """The pace of one channel: deliveries first, live output of what they leave.

    Deliveries are only counted: the caller waits as told. Live output gets nothing while one of the
    same chat is at work, while the platform asked for a pause, and of the last half of a burst.
    """

    def __init__(self, pace: Pace, *, now: float) -> None:
        self._pace = pace
        account_burst = max(1.0, pace.account_per_s)
        self._account = Bucket(pace.account_per_s, account_burst, account_burst, now)
        self._chats: OrderedDict[str, Bucket] = OrderedDict()
        self._at_work: Counter[str] = Counter()
        self._held: OrderedDict[str | None, float] = OrderedDict()

    def free(self, *, now: float) -> int:
        """How many messages the account may send right now."""
        return int(min(1000.0, max(0.0, self._account.available(now=now))))

    def sent(self, address: Address, *, now: float) -> float:
        """Count a message; seconds until the next one to that chat should leave."""
        self._account.take(now=now)
        account_wait_s = self._account.wait(now=now)
        chat = self._chat(address, now=now)
        chat.take(now=now)
        return max(account_wait_s, chat.wait(now=now))

    @contextmanager
    def delivering(self, address: Address) -> Iterator[None]:
        """A delivery to that chat is at work."""
        self._at_work[address.chat] += 1
        try:
            yield
        finally:
            self._at_work[address.chat] -= 1
            if not self._at_work[address.chat]:
                del self._at_work[address.chat]

    def hold(self, address: Address | None, *, until: float) -> None:
        """The platform wants nothing before then: in that chat, or for None at all."""
        chat = None if address is None else address.chat
        self._held[chat] = max(until, self._held.get(chat, until))
        self._held.move_to_end(chat)
        while len(self._held) > MAX_CHATS:
            self._held.popitem(last=False)

    def spare(self, address: Address, *, is_message: bool, now: float) -> bool:
        """Whether live output may make a call now, which is then counted.

        A message that grows counts as messages do; a preview counts for the account only.
        """
        is_held = max(self._held.get(None, now), self._held.get(address.chat, now)) > now
        if is_held or self._at_work[address.chat]:
            return False
        buckets = [self._account, *([self._chat(address, now=now)] if is_message else [])]
        if not all(each.has_spare(now=now) for each in buckets):
            return False
        for each in buckets:
            each.take(now=now)
        return True

    def _chat(self, address: Address, *, now: float) -> Bucket:
        """The bucket of a chat, which all its threads share."""
        chat = self._chats.get(address.chat)
        if chat is None:
            is_slow = self._pace.slow is not None and self._pace.slow(address)
            rate = self._pace.slow_per_s if is_slow else self._pace.address_per_s
            burst = float(self._pace.slow_burst if is_slow else self._pace.address_burst)
            chat = self._chats[address.chat] = Bucket(rate, burst, burst, now)
        self._chats.move_to_end(address.chat)
        while len(self._chats) > MAX_CHATS:
            self._chats.popitem(last=False)
        return chat


class Pacers:
    """The pace of every channel of one process."""

    def __init__(self) -> None:
        self._by_name: dict[str, Pacer] = {}

    def of(self, channel: Channel, *, now: float) -> Pacer:
        """The pacer of a channel."""
        pacer = self._by_name.get(channel.name)
        if pacer is None:
            pacer = self._by_name[channel.name] = Pacer(channel.capabilities.pace, now=now)
        return pacer
