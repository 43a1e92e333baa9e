"""What processes tell each other and themselves: instances, notes, repeats, upkeep, invariants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from gateway.domain.ids import ProjectId
from gateway.domain.policy import Retention
from gateway.store.protocol.inbox import IdempotencyKey


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer kept for a repeated request; `status` 0 = the first one is still at work."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    turn_id: str | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """A process: its last heartbeat, and the snapshot of its state it wrote with it."""

    id: str
    host: str
    version: str
    started_at: datetime
    heartbeat_at: datetime
    snapshot: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken invariant: which, where, and what was seen."""

    invariant: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """What waits right now, over all projects."""

    queued_turns: int
    running_turns: int
    waiting_turns: int
    deliveries: Mapping[str, int]
    oldest_queued_at: datetime | None


@dataclass(frozen=True, slots=True)
class ChannelDepth:
    """What waits right now in one channel: turns that are not over, parts that are not settled."""

    turns: int = 0
    deliveries: int = 0


class CoordinationStore(Protocol):
    """Coordination."""

    async def beat(self, instance: Instance) -> None:
        """Write an instance's heartbeat and snapshot."""
        ...

    async def instances(self) -> list[Instance]:
        """All known instances, newest heartbeat first."""
        ...

    async def leave(self, instance_id: str) -> None:
        """Remove an instance that stops in good order."""
        ...

    async def note(self, owner: str, key: str) -> Mapping[str, Any] | None:
        """A small durable value of a channel, or None."""
        ...

    async def keep_note(self, owner: str, key: str, value: Mapping[str, Any] | None) -> None:
        """Store, replace or remove a note."""
        ...

    async def begin_answer(self, key: IdempotencyKey) -> StoredAnswer | None:
        """Reserve a repeat key for a request that makes no turn, or give the earlier answer.

        Raises Unprocessable (`idempotency_key_reused`) when the fingerprint differs.
        """
        ...

    async def keep_answer(self, key: IdempotencyKey, answer: StoredAnswer | None) -> None:
        """Store the answer of a reserved key, or (None) give the key free again."""
        ...

    async def bot_version(
        self, project_id: ProjectId, slug: str, *, digest: str, config: Mapping[str, Any]
    ) -> int:
        """The running number of this configuration of a bot; a new digest gets the next one."""
        ...

    async def sweep(self, retention: Retention) -> Mapping[str, int]:
        """Remove what is over its time, a bounded number of rows a call; counts by table."""
        ...

    async def depth(self) -> QueueDepth:
        """What waits right now."""
        ...

    async def depth_by_channel(self, project_id: ProjectId) -> Mapping[str, ChannelDepth]:
        """What waits right now in the channels of a project; a channel without any is left out."""
        ...

    async def follow_clock(self) -> float:
        """Follow a jump of the machine's clock; by how many seconds, mostly 0.

        What waits keeps what is left of its wait, and what has an age keeps it.
        """
        ...

    async def verify(self) -> list[Finding]:
        """Check the invariants of the whole store; empty = all hold."""
        ...

    async def check(self) -> None:
        """Raise StoreError, not transient, when the store was lost or was seen damaged.

        That is, when no waiting mends it. Cheap enough for every second.
        """
        ...

    async def ping(self) -> None:
        """One durable write and one read; raises StoreError when either fails."""
        ...
