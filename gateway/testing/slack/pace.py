"""The platform's limits on calls, as an option of the fake.

From docs.slack.dev, "Rate limits": posting about one message a second in a channel with short
bursts, other methods by tier, each for itself in a workspace. Pure of I/O: times come in as
arguments.
"""

import math
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.testing.slack.faults import SlackCall
from gateway.testing.telegram.pace import TOLERANCE, Window

POSTS: Final = frozenset({"chat.postMessage", "chat.postEphemeral"})

TIER_OF: Final[Mapping[str, int]] = {
    "chat.startStream": 2,
    "chat.stopStream": 2,
    "chat.update": 3,
    "chat.delete": 3,
    "conversations.history": 3,
    "conversations.replies": 3,
    "conversations.info": 3,
    "conversations.open": 3,
    "reactions.add": 3,
    "chat.appendStream": 4,
    "users.info": 4,
    "views.publish": 4,
    "files.getUploadURLExternal": 4,
    "files.completeUploadExternal": 4,
}


@dataclass(frozen=True, slots=True)
class SlackRates:
    """The limits in force: posts by channel and by workspace, other methods by tier.

    A Window counts a burst too: three posts at once pass, the fourth within three seconds does not.
    """

    per_channel: Window = field(default_factory=lambda: Window(3, 3.0))
    per_workspace: Window = field(default_factory=lambda: Window(300, 60.0))
    tiers: Mapping[int, Window] = field(
        default_factory=lambda: {
            2: Window(20, 60.0),
            3: Window(50, 60.0),
            4: Window(100, 60.0),
        }
    )


class Pace:
    """Remembers when calls were let through, and judges the next one."""

    def __init__(self, rates: SlackRates | None) -> None:
        self.early: list[str] = []
        self._rates = rates
        self._passed: dict[str, deque[float]] = defaultdict(deque)
        self._blocked_until: dict[str, float] = {}

    def retry_after(self, call: SlackCall) -> int | None:
        """Whole seconds the caller must wait, or None: the call passes and counts."""
        windows = self._windows(call)
        waits = [self._wait_s(name, window, call.at) for name, window in windows.items()]
        longest = max(waits, default=0.0)
        if longest > 0:
            return max(1, math.ceil(longest))
        for name in windows:
            self._passed[name].append(call.at)
        return None

    def block(self, call: SlackCall, retry_after_s: int) -> None:
        """The caller was told to wait, by a limit or by a fault."""
        until = call.at + retry_after_s * TOLERANCE
        subject = _subject(call)
        self._blocked_until[subject] = max(until, self._blocked_until.get(subject, 0.0))

    def note_early(self, call: SlackCall) -> None:
        """Record a call that came before the time it was told."""
        early_s = self._blocked_until.get(_subject(call), 0.0) - call.at
        if early_s > 0:
            where = f" to {call.channel}" if call.channel else ""
            self.early.append(f"{call.method}{where} came {early_s:.2f} s too early")

    def _windows(self, call: SlackCall) -> dict[str, Window]:
        if self._rates is None:
            return {}
        if call.method in POSTS:
            posts = f"{call.team} posts"
            return {posts: self._rates.per_workspace, _subject(call): self._rates.per_channel}
        tier = TIER_OF.get(call.method)
        return {_subject(call): self._rates.tiers[tier]} if tier is not None else {}

    def _wait_s(self, name: str, window: Window, now: float) -> float:
        span_s = window.seconds * TOLERANCE
        passed = self._passed[name]
        while passed and passed[0] <= now - span_s:
            passed.popleft()
        return passed[-window.count] + span_s - now if len(passed) >= window.count else 0.0


def _subject(call: SlackCall) -> str:
    """What a 429 is about: the channel for posts, else the method in its workspace."""
    return f"{call.team} {call.channel if call.method in POSTS else call.method}"
