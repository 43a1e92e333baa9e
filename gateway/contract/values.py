"""Values that both directions speak of: addresses, people, files, plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Json = Mapping[str, Any]
"""A JSON object as Python values; what a rendered part and a note are made of."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a reply goes: configured channel name, chat id, thread id or None."""

    channel: str
    chat: str
    thread: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote: the platform's stable user id, and what may be shown of them.

    `platform` is the namespace of the id (`telegram`, `slack`, `sms`, `whatsapp`, `web`, `api`).
    `is_bot` marks a bot that was let in on purpose; others are never passed on.
    """

    platform: str
    external_id: str
    name: str | None = None
    locale: str | None = None
    is_bot: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as its sender describes it.

    Of one that arrived, `ref` is what `Channel.fetch` gives the bytes for, later and only if they
    are wanted; of one to be sent, what `ChannelHost.open_file` gives them for. Secrets never stand
    in it.
    """

    kind: Literal["image", "audio", "video", "document"]
    ref: str
    name: str | None = None
    mime: str | None = None
    size_bytes: int | None = None
