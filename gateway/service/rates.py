"""How often a caller may ask: token buckets in memory, one a caller and window.

Pure arithmetic over a clock that is handed in. A bucket holds a window's quota and refills evenly;
the number of buckets kept is bounded, the longest unused one goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import ceil

MAX_BUCKETS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is left of one quota after this request.

    `reset_s` is when more is to be had: the whole quota, or (with nothing left) the next request.
    `retry_after_s` is set when this request was one too many.
    """

    name: str
    quota: int
    window_s: int
    remaining: int
    reset_s: int
    retry_after_s: float | None = None


class Buckets:
    """Token buckets of all callers of one process."""

    def __init__(self, *, max_buckets: int = MAX_BUCKETS) -> None:
        self._buckets: OrderedDict[tuple[str, int], tuple[float, float]] = OrderedDict()
        self._max_buckets = max_buckets

    def take(self, owner: str, *, name: str, quota: int, window_s: int, now: float) -> Allowance:
        """Take one request from an owner's bucket; `now` is monotonic seconds.

        >>> buckets = Buckets()
        >>> buckets.take("key_1", name="minute", quota=1, window_s=60, now=0.0).remaining
        0
        >>> buckets.take("key_1", name="minute", quota=1, window_s=60, now=15.0).retry_after_s
        45.0
        """
        key = (owner, window_s)
        tokens, at = self._buckets.get(key, (float(quota), now))
        tokens = min(float(quota), tokens + (now - at) * quota / window_s)
        is_allowed = tokens >= 1
        tokens -= is_allowed
        self._buckets[key] = (tokens, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._max_buckets:
            self._buckets.popitem(last=False)
        wait_s = max(0.0, 1 - tokens) * window_s / quota
        whole = int(tokens)
        return Allowance(
            name=name,
            quota=quota,
            window_s=window_s,
            remaining=whole,
            reset_s=ceil((quota - tokens) * window_s / quota) if whole else ceil(wait_s),
            retry_after_s=None if is_allowed else wait_s,
        )
