"""What stands in the channels of the fake Slack.

`Conversations` keeps every message of people, of the app and of other bots, with its earlier texts;
it gives `SlackMessage` records to tests and message objects to the Web API. What refers to
something that is not there is refused in Slack's words.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

from gateway.testing.slack.faults import refused
from gateway.testing.slack.workspaces import APP_ID
from gateway.testing.wire import JsonObject

MAX_TEXT: Final = 40_000
"""`text` is cut here, with the warning message_truncated (chat.postMessage)."""


@dataclass(frozen=True, slots=True)
class SlackMessage:
    """One message as it stands now.

    `text` is the Markdown, where that was sent, else the text; `is_markdown` tells which. `edits`
    are the texts it had before, oldest first; the growth of a stream is no edit. `params` are those
    of the app's call that made it.
    """

    ts: str
    channel: str
    user: str
    text: str
    at: float
    thread_ts: str | None = None
    bot_id: str = ""
    is_markdown: bool = False
    is_streaming: bool = False
    is_deleted: bool = False
    is_broadcast: bool = False
    edits: tuple[str, ...] = ()
    metadata: JsonObject | None = None
    blocks: tuple[JsonObject, ...] = ()
    files: tuple[JsonObject, ...] = ()
    reactions: tuple[str, ...] = ()
    params: JsonObject = field(default_factory=dict)
    extra: JsonObject = field(default_factory=dict)

    @property
    def is_reply(self) -> bool:
        """It stands in a thread below another message."""
        return self.thread_ts is not None and self.thread_ts != self.ts

    @property
    def is_of_app(self) -> bool:
        """The app itself sent it."""
        return self.extra.get("app_id") == APP_ID

    @property
    def is_whole(self) -> bool:
        """It stands there and does not grow any more."""
        return not self.is_deleted and not self.is_streaming

    def with_files(self, files: tuple[JsonObject, ...], comment: str) -> Self:
        """The same message as the share of some files."""
        extra = {**self.extra, "subtype": "file_share"}
        return replace(self, files=files, text=comment, extra=extra)

    def document(self, team: str, *, with_metadata: bool = False) -> JsonObject:
        """The message object."""
        optional = {
            "thread_ts": self.thread_ts,
            "bot_id": self.bot_id,
            "metadata": self.metadata if with_metadata else None,
            "blocks": list(self.blocks),
            "files": list(self.files),
            "reactions": [{"name": name, "count": 1} for name in self.reactions],
            "edited": {"user": self.user, "ts": self.ts} if self.edits else None,
            "subtype": "thread_broadcast" if self.is_broadcast else None,
        }
        return {
            "type": "message",
            "user": self.user,
            "text": self.text,
            "ts": self.ts,
            "team": team,
            **{name: value for name, value in optional.items() if value},
            **self.extra,
        }


class Clock:
    """Timestamps as Slack makes them: seconds with six digits, never twice the same."""

    def __init__(self) -> None:
        self._last = 0

    def next_ts(self) -> str:
        """A timestamp later than all before.

        >>> clock = Clock()
        >>> clock.next_ts() < clock.next_ts()
        True
        """
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06}"


class Conversations:
    """The messages of all channels; `sent` counts whole ones of the app, None: in all channels."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sent: Counter[str | None] = Counter()
        self._messages: dict[str, dict[str, SlackMessage]] = defaultdict(dict)
        self._streaming: dict[tuple[str, str], SlackMessage] = {}

    @property
    def streaming(self) -> list[SlackMessage]:
        """Messages that still grow."""
        return list(self._streaming.values())

    def standing(self, channel: str | None = None) -> list[SlackMessage]:
        """Messages that were not deleted (of that channel), oldest first."""
        if channel is not None:
            return [m for m in self._messages[channel].values() if not m.is_deleted]
        every = (m for place in self._messages.values() for m in place.values())
        return sorted((m for m in every if not m.is_deleted), key=lambda m: float(m.ts))

    def add(self, message: SlackMessage) -> SlackMessage:
        """A new message."""
        if message.thread_ts is not None:
            parent = self._messages[message.channel].get(message.thread_ts)
            if parent is not None and parent.thread_ts is None:
                self.put(replace(parent, thread_ts=parent.ts))
        return self.put(message)

    def put(self, message: SlackMessage) -> SlackMessage:
        """The message as it stands from now on."""
        place, key = self._messages[message.channel], (message.channel, message.ts)
        old, place[message.ts] = place.get(message.ts), message
        self._streaming.pop(key, None)
        if message.is_streaming:
            self._streaming[key] = message
        if message.is_of_app:
            change = message.is_whole - (old is not None and old.is_whole)
            self.sent.update({message.channel: change, None: change})
        return message

    def find(self, channel: str, ts: str) -> SlackMessage | None:
        """The message that stands there."""
        message = self._messages[channel].get(ts)
        return None if message is None or message.is_deleted else message

    def existing(self, channel: str, ts: str) -> SlackMessage:
        """The message that stands there; refused when there is none."""
        message = self.find(channel, ts)
        if message is None:
            raise refused("message_not_found")
        return message

    def require_thread(self, channel: str, thread_ts: str | None) -> None:
        """Refuse a reply to something that is not there."""
        if thread_ts is not None and self.find(channel, thread_ts) is None:
            raise refused("thread_not_found")

    def edit(self, message: SlackMessage, text: str, changes: JsonObject) -> SlackMessage:
        """Another text, and other changed fields, in place of the old."""
        edits = (*message.edits, message.text)
        return self.put(replace(message, text=text, edits=edits, **changes))

    def delete(self, message: SlackMessage) -> None:
        """The message is gone."""
        self.put(replace(message, is_deleted=True, is_streaming=False))

    def top_level(self, channel: str) -> list[SlackMessage]:
        """What the channel itself shows, newest first: no replies, but those sent to it too."""
        shown = [m for m in self.standing(channel) if not m.is_reply or m.is_broadcast]
        return shown[::-1]

    def thread(self, channel: str, ts: str) -> list[SlackMessage]:
        """The parent and its replies, oldest first; the timestamp of any of them will do."""
        message = self.find(channel, ts)
        if message is None:
            raise refused("thread_not_found")
        parent = message.thread_ts or ts
        return [m for m in self.standing(channel) if parent in (m.ts, m.thread_ts)]


def within(
    messages: Sequence[SlackMessage], *, oldest: str, latest: str, inclusive: bool
) -> list[SlackMessage]:
    """Those between two timestamps; "" is no bound, a bound itself belongs when `inclusive`."""
    low = _number(oldest, "invalid_ts_oldest") if oldest else 0.0
    high = _number(latest, "invalid_ts_latest") if latest else float("inf")
    if inclusive:
        return [m for m in messages if low <= float(m.ts) <= high]
    return [m for m in messages if low < float(m.ts) < high]


def _number(ts: str, error: str) -> float:
    try:
        return float(ts)
    except ValueError:
        raise refused(error) from None
