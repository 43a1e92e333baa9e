"""What processes tell each other and themselves: instances, notes, repeats, upkeep."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from gateway.domain.ids import ProjectId
from gateway.domain.policy import Retention
from gateway.store.protocol.coordination import (
    ChannelDepth,
    Finding,
    Instance,
    QueueDepth,
    StoredAnswer,
)
from gateway.store.protocol.inbox import IdempotencyKey
from gateway.store.rows import (
    clean,
    from_json,
    from_time,
    to_json,
    to_json_always,
    to_time,
    to_time_or_none,
)
from gateway.store.sqlite.area import Area
from gateway.store.sqlite.clock import MICROSECONDS, StoreClock
from gateway.store.sqlite.dedupe import check_fingerprint
from gateway.store.sqlite.readers import Readers
from gateway.store.sqlite.recent import Recent
from gateway.store.sqlite.sweeping import Sweeper
from gateway.store.sqlite.verifying import verify
from gateway.store.sqlite.waits import follow_wall, leave_mark
from gateway.store.sqlite.writer import Writer

_BEAT = """
INSERT INTO instance (instance_id, host, version, started_at, heartbeat_at, snapshot)
VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET heartbeat_at = excluded.heartbeat_at, snapshot = excluded.snapshot,
                              version = excluded.version
"""
_INSTANCES = """
SELECT instance_id, host, version, started_at, heartbeat_at, snapshot FROM instance
 ORDER BY heartbeat_at DESC
"""
_LEAVE = "DELETE FROM instance WHERE instance_id = ?"
_NOTE = "SELECT value FROM note WHERE owner = ? AND key = ?"
_PUT_NOTE = """
INSERT INTO note (owner, key, value, updated_at) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
"""
_DROP_NOTE = "DELETE FROM note WHERE owner = ? AND key = ?"
_ANSWER = """
SELECT fingerprint, status, headers, body, turn_id FROM idempotency
 WHERE principal_id = ? AND route = ? AND key = ?
"""
_RESERVE = """
INSERT INTO idempotency (principal_id, route, key, fingerprint, created_at) VALUES (?, ?, ?, ?, ?)
"""
_KEEP_ANSWER = """
UPDATE idempotency SET status = ?, headers = ?, body = ?, turn_id = coalesce(?, turn_id)
 WHERE principal_id = ? AND route = ? AND key = ?
"""
_FORGET_ABANDONED = """
DELETE FROM idempotency INDEXED BY idempotency_at_work
 WHERE status = 0 AND turn_id IS NULL AND created_at > 0
"""
_DROP_ANSWER = "DELETE FROM idempotency WHERE principal_id = ? AND route = ? AND key = ?"
_VERSION = "SELECT number FROM bot_version WHERE project_id = ? AND slug = ? AND digest = ?"
_ADD_VERSION = """
INSERT INTO bot_version (project_id, slug, number, digest, config, created_at)
SELECT ?1, ?2, coalesce(max(number), 0) + 1, ?3, ?4, ?5 FROM bot_version
 WHERE project_id = ?1 AND slug = ?2
RETURNING number
"""
_TURNS = """
SELECT state, count(*), min(CASE state WHEN 'queued' THEN created_at END) FROM turn
 WHERE finished_at IS NULL GROUP BY state
"""
_DELIVERIES = """
SELECT state, count(*) FROM outbox WHERE settled_at IS NULL GROUP BY state
 UNION ALL
SELECT state, count(*) FROM outbox WHERE state IN ('held', 'dead', 'expired') GROUP BY state
"""
# The plus keeps SQLite on the partial indexes: what waits is little, a project may be much.
_TURNS_BY_CHANNEL = """
SELECT channel, count(*) FROM turn INDEXED BY turn_unfinished
 WHERE finished_at IS NULL AND +project_id = ? GROUP BY channel
"""
_DELIVERIES_BY_CHANNEL = """
SELECT channel, count(*) FROM outbox INDEXED BY outbox_lane
 WHERE settled_at IS NULL AND +project_id = ? GROUP BY channel
"""
_PULSE = "UPDATE pulse SET at = ?"
_READ_PULSE = "SELECT at FROM pulse"


def forget_abandoned_answers(db: sqlite3.Connection) -> None:
    """Free the repeat keys of requests that a dead process had at work.

    For whoever has just taken hold of the data directory: nobody else answers requests then.
    """
    db.execute(_FORGET_ABANDONED)


class SqliteCoordination(Area):
    """Coordination, in one SQLite file."""

    def __init__(self, writer: Writer, readers: Readers, recent: Recent, clock: StoreClock) -> None:
        super().__init__(writer, readers, recent, clock)
        self._sweeper = Sweeper(clock)

    async def beat(self, instance: Instance) -> None:
        """Write an instance's heartbeat and snapshot."""
        row = (
            instance.id,
            instance.host,
            instance.version,
            from_time(instance.started_at),
            from_time(instance.heartbeat_at),
            to_json(instance.snapshot),
        )

        def operation(db: sqlite3.Connection) -> None:
            db.execute(_BEAT, row)
            leave_mark(db, self._clock.mark())

        await self._writer.run(operation)

    async def instances(self) -> list[Instance]:
        """All known instances, newest heartbeat first."""
        return [
            Instance(row[0], row[1], row[2], to_time(row[3]), to_time(row[4]), from_json(row[5]))
            for row in await self._readers.all(_INSTANCES)
        ]

    async def leave(self, instance_id: str) -> None:
        """Remove an instance that stops in good order."""
        await self._writer.run(lambda db: db.execute(_LEAVE, (instance_id,)).close())

    async def note(self, owner: str, key: str) -> Mapping[str, Any] | None:
        """A small durable value of a channel, or None."""
        row = await self._readers.one(_NOTE, (owner, key))
        return None if row is None else from_json(row[0])

    async def keep_note(self, owner: str, key: str, value: Mapping[str, Any] | None) -> None:
        """Store, replace or remove a note."""

        def operation(db: sqlite3.Connection) -> None:
            if value is None:
                db.execute(_DROP_NOTE, (owner, key))
            else:
                document = to_json_always(dict(value))
                db.execute(_PUT_NOTE, (clean(owner), clean(key), document, self._clock()))

        await self._writer.run(operation)

    async def begin_answer(self, key: IdempotencyKey) -> StoredAnswer | None:
        """Reserve a repeat key for a request that makes no turn, or give the earlier answer."""

        def operation(db: sqlite3.Connection) -> StoredAnswer | None:
            row = db.execute(_ANSWER, (key.principal_id, key.route, key.key)).fetchone()
            if row is None:
                identifier = (key.principal_id, clean(key.route), clean(key.key))
                db.execute(_RESERVE, (*identifier, key.fingerprint, self._clock()))
                return None
            check_fingerprint(row[0], key)
            return StoredAnswer(row[1], from_json(row[2]), row[3] or b"", row[4])

        return await self._writer.run(operation)

    async def keep_answer(self, key: IdempotencyKey, answer: StoredAnswer | None) -> None:
        """Store the answer of a reserved key, or (None) give the key free again."""
        identifier = (key.principal_id, key.route, key.key)

        def operation(db: sqlite3.Connection) -> None:
            if answer is None:
                db.execute(_DROP_ANSWER, identifier)
            else:
                stored = (answer.status, to_json(answer.headers), answer.body, answer.turn_id)
                db.execute(_KEEP_ANSWER, (*stored, *identifier))

        await self._writer.run(operation)

    async def bot_version(
        self, project_id: ProjectId, slug: str, *, digest: str, config: Mapping[str, Any]
    ) -> int:
        """The running number of this configuration of a bot; a new digest gets the next one."""

        def operation(db: sqlite3.Connection) -> int:
            row = db.execute(_VERSION, (project_id, slug, digest)).fetchone()
            if row is None:
                document = to_json_always(dict(config))
                new = (project_id, slug, digest, document, self._clock())
                row = db.execute(_ADD_VERSION, new).fetchone()
            return int(row[0])

        return await self._writer.run(operation)

    async def sweep(self, retention: Retention) -> Mapping[str, int]:
        """Remove what is over its time, a bounded number of rows a call; counts by table."""

        def operation(db: sqlite3.Connection) -> Mapping[str, int]:
            self._recent.forget()
            return self._sweeper.sweep(db, retention, self._clock())

        return await self._writer.run(operation)

    async def depth(self) -> QueueDepth:
        """What waits right now."""
        turns = {row[0]: row for row in await self._readers.all(_TURNS)}
        deliveries = {row[0]: row[1] for row in await self._readers.all(_DELIVERIES)}
        counts = {state: row[1] for state, row in turns.items()}
        oldest = turns["queued"][2] if "queued" in turns else None
        return QueueDepth(
            queued_turns=counts.get("queued", 0),
            running_turns=counts.get("running", 0),
            waiting_turns=counts.get("waiting", 0),
            deliveries=deliveries,
            oldest_queued_at=to_time_or_none(oldest),
        )

    async def depth_by_channel(self, project_id: ProjectId) -> Mapping[str, ChannelDepth]:
        """What waits right now in the channels of a project; a channel without any is left out."""
        wanted = (project_id,)
        turns = {row[0]: row[1] for row in await self._readers.all(_TURNS_BY_CHANNEL, wanted)}
        parts = await self._readers.all(_DELIVERIES_BY_CHANNEL, wanted)
        deliveries = {row[0]: row[1] for row in parts}
        return {
            name: ChannelDepth(turns.get(name, 0), deliveries.get(name, 0))
            for name in turns.keys() | deliveries.keys()
        }

    async def follow_clock(self) -> float:
        """Follow a jump of the machine's clock, and what waits with it; seconds, mostly 0."""
        if not self._clock.jump():
            return 0.0
        jump = await self._writer.run_alone(lambda db: follow_wall(db, self._clock))
        return jump / MICROSECONDS

    async def verify(self) -> list[Finding]:
        """Check the invariants of the whole store; empty = all hold."""
        return await verify(self._readers, now=self._clock())

    async def check(self) -> None:
        """Raise StoreError, not transient, when the store was lost or was seen damaged."""
        self._writer.condition.check()

    async def ping(self) -> None:
        """One durable write and one read; raises StoreError when either fails."""
        await self.check()
        await self._writer.run(lambda db: db.execute(_PULSE, (self._clock(),)).close())
        await self._readers.one(_READ_PULSE)
