"""The platform's limits on calls, as an option of the fake.

From docs.slack.dev, "Rate limits": posting about one message a second in a channel with short
bursts, other methods by tier, each for itself in a workspace. Pure of I/O: times come in as
arguments.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.testing.pace import Passages, Waits, Window
from gateway.testing.slack.faults import SlackCall

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
    """Judges the calls of one app; `early` are those that came before the time they were told."""

    def __init__(self, rates: SlackRates | None) -> None:
        self.early: list[str] = []
        self._rates = rates
        self._passages = Passages()
        self._waits = Waits()

    def retry_after(self, call: SlackCall) -> int | None:
        """Whole seconds the caller must wait, or None: the call passes and counts."""
        return self._passages.retry_after(self._windows(call), at=call.at)

    def block(self, call: SlackCall, retry_after_s: int) -> None:
        """The caller was told to wait, by a limit or by a fault."""
        self._waits.tell(_subject(call), retry_after_s, at=call.at)

    def note_early(self, call: SlackCall) -> None:
        """Record a call that came before the time it was told."""
        early_s = self._waits.early_s(_subject(call), at=call.at)
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


def _subject(call: SlackCall) -> str:
    """What a 429 is about: the channel for posts, else the method in its workspace."""
    return f"{call.team} {call.channel if call.method in POSTS else call.method}"
