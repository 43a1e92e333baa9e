"""Upkeep: heartbeats of this process, abandoned work, expired waits, retention, room on disk.

Start-up is the same path: `recover` is the first pass of `run`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.policy import Retention
from gateway.errors import StoreError
from gateway.flow.intake import Admission
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import Instance

log = structlog.get_logger(__name__)

DEAD_AFTER = timedelta(seconds=30)
WAITING_LIMIT_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JanitorTimes:
    """How often each piece of upkeep is done, in seconds."""

    beat_s: float = 5.0
    disk_check_s: float = 2.0
    clock_check_s: float = 1.0
    store_check_s: float = 1.0
    sweep_s: float = 60.0


class Janitor:
    """Upkeep of one process.

    `is_alone`: no other process may run turns on this store, so that whoever else left work behind
    is dead. `data_path` is watched for room, None = nothing to watch; `room` tells how many bytes
    there are.
    """

    def __init__(
        self,
        store: Store,
        instance: Instance,
        *,
        retention: Retention,
        admission: Admission,
        snapshot: Callable[[], Mapping[str, Any]],
        is_alone: bool,
        data_path: Path | None,
        min_free_bytes: int,
        times: JanitorTimes | None = None,
        room: Callable[[Path], int] | None = None,
    ) -> None:
        self._store = store
        self._instance = instance
        self._retention = retention
        self._admission = admission
        self._snapshot = snapshot
        self._is_alone = is_alone
        self._data_path = data_path
        self._min_free_bytes = min_free_bytes
        self._times = times or JanitorTimes()
        self._room = room or free_bytes
        self.last_beat_at = 0.0

    async def recover(self) -> None:
        """Announce this process and take over what dead ones left; raises StoreError."""
        await self._check_disk()
        await self._beat()
        living = await self._living()
        sessions = await self._store.release_abandoned(living=living)
        deliveries = await self._store.doubt_abandoned(living=living)
        if sessions or deliveries:
            log.info("abandoned_work_taken_over", sessions=sessions, deliveries=deliveries)

    async def run(self) -> None:
        """Look after everything until cancelled; raises StoreError when no waiting mends it.

        Then the process had better end: whatever it accepted further would be lost.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._every(self._times.beat_s, self._beat_and_recover))
            group.create_task(self._every(self._times.disk_check_s, self._check_disk))
            group.create_task(self._every(self._times.store_check_s, self._store.check))
            group.create_task(self._every(self._times.clock_check_s, self._follow_clock))
            group.create_task(self._every(self._times.sweep_s, self._sweep))

    async def leave(self) -> None:
        """Say that this process stops in good order; a store that is away learns it later."""
        try:
            await self._store.leave(self._instance.id)
        except StoreError as error:
            log.warning("leave_not_noted", code=error.code)

    async def _every(self, pause_s: float, work: Callable[[], Any]) -> None:
        while True:
            await asyncio.sleep(pause_s)
            try:
                await work()
            except StoreError as error:
                if not error.transient:
                    log.critical("store_lost", code=error.code, reason=error.message)
                    raise
                log.warning(
                    "upkeep_failed", work=work.__name__, code=error.code, reason=error.message
                )

    async def _beat_and_recover(self) -> None:
        if self._is_alone:
            await self._beat()
        else:
            await self.recover()

    async def _beat(self) -> None:
        now = datetime.now(UTC)
        self._instance = replace(self._instance, heartbeat_at=now, snapshot=dict(self._snapshot()))
        await self._store.beat(self._instance)
        self.last_beat_at = asyncio.get_running_loop().time()

    async def _living(self) -> list[str]:
        if self._is_alone:
            return [self._instance.id]
        oldest = datetime.now(UTC) - DEAD_AFTER
        known = await self._store.instances()
        return [instance.id for instance in known if instance.heartbeat_at > oldest]

    async def _sweep(self) -> None:
        await self._store.expire_waiting(after_s=WAITING_LIMIT_S)
        removed = await self._store.sweep(self._retention)
        if any(removed.values()):
            log.info("retention_swept", **removed)

    async def _follow_clock(self) -> None:
        jump_s = await self._store.follow_clock()
        if jump_s:
            log.warning("clock_jump_followed", jump_s=round(jump_s, 3))

    async def _check_disk(self) -> None:
        """Close admission when the disk is nearly full, open it when there is room again."""
        if self._data_path is None or not self._min_free_bytes:
            return
        try:
            free = self._room(self._data_path)
        except OSError:
            free = -1
        was_open = self._admission.refusal is None
        is_open = free >= self._min_free_bytes
        full = "The disk is nearly full." if free >= 0 else "The data directory cannot be used."
        self._admission.refusal = None if is_open else full
        if was_open != is_open:
            write = log.info if is_open else log.error
            write("admission_changed", is_open=is_open, free_bytes=free)


def free_bytes(path: Path) -> int:
    """Bytes an unprivileged process may still write where that path is."""
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize
