"""Limits, retries and windows as plain values; the configuration fills them.

Nothing below the configuration reads a configuration file: it is handed these.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LEASE_S = 30.0
HEARTBEAT_S = 10.0
POLL_S = 0.25
ALBUM_SILENCE_S = 1.0
"""An album has no end mark: it is over when nothing of it came for so long."""
ALBUM_ITEMS = 10
"""More than an album of any platform holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How much may wait, and how much may run at once in this process."""

    queued_per_session: int = 20
    queued_per_project: int = 1000
    queued: int = 50_000
    turns: int = 64
    turns_per_project: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerLimits:
    """What one caller may do; 0 switches a limit off."""

    requests_per_minute: int = 600
    bad_keys_per_minute: int = 60
    body_bytes: int = 1_048_576
    history_body_bytes: int = 8_388_608
    file_bytes: int = 52_428_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept; 0 = for ever."""

    messages_days: float = 0
    files_days: float = 0
    inbox_days: float = 35
    turn_events_h: float = 24
    idempotency_h: float = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPolicy:
    """How long a model may take, and how often it is asked again."""

    connect_s: float = 5
    first_byte_s: float = 30
    idle_s: float = 30
    retry_delays_s: tuple[float, ...] = (1, 4, 15, 45)
    breaker_failures: int = 5
    breaker_open_s: float = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All of them together."""

    queue: QueueLimits = field(default_factory=QueueLimits)
    callers: CallerLimits = field(default_factory=CallerLimits)
    retention: Retention = field(default_factory=Retention)
    model: ModelPolicy = field(default_factory=ModelPolicy)
    drain_s: float = 90
    min_free_bytes: int = 268_435_456
    history_messages: int = 100
