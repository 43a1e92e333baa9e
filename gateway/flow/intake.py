"""The one door: what arrives becomes turns in the store, and only then is anything acknowledged.

Takes `Inbound` batches of channels (`flow.entries` says what each means) and `NewTurn` entries of
the services. Gives `Accepted` after the commit, hands claimed turns to the worker and wakes whoever
has work. Answers nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter

import structlog

from gateway.contract import Address, Inbound
from gateway.domain.ids import ProjectId
from gateway.domain.policy import QueueLimits
from gateway.errors import Unavailable
from gateway.flow.accept_times import AcceptTimes
from gateway.flow.catalogue import Catalogue
from gateway.flow.crash_points import crash_point
from gateway.flow.entries import Translator
from gateway.flow.worker import Worker
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import Accepted, Cursor, Entry, NewTurn

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Admission:
    """Whether anything may be accepted now; the janitor closes it when the disk is nearly full."""

    refusal: str | None = None

    def check(self) -> None:
        """Raise Unavailable while closed."""
        if self.refusal is not None:
            raise Unavailable(self.refusal, retry_after_s=5, code="not_ready")


class Intake:
    """Accepts for one process; `times` tells how long that has taken."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        worker: Worker,
        wake_outbox: Callable[[], None],
        limits: QueueLimits,
        admission: Admission,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._worker = worker
        self._wake_outbox = wake_outbox
        self._limits = limits
        self._admission = admission
        self._translator = Translator(store, catalogue)
        self.times = AcceptTimes()

    async def accept(
        self, entries: Sequence[Entry], *, cursor: Cursor | None = None
    ) -> list[Accepted]:
        """Commit entries, start what may run here, and say what became of each.

        Goes on when the caller is cut off meanwhile: a turn that was claimed must be started.
        Raises what `InboxStore.accept` raises, and Unavailable while nothing is admitted.
        """
        crash_point("after_receive")
        self._admission.check()
        accepting = asyncio.create_task(self._accept(entries, cursor=cursor))
        accepted = await asyncio.shield(accepting)
        crash_point("before_ack")
        return accepted

    async def _accept(self, entries: Sequence[Entry], *, cursor: Cursor | None) -> list[Accepted]:
        terms, began = self._worker.reserve(len(entries)), perf_counter()
        asked_at = asyncio.get_running_loop().time()
        try:
            crash_point("before_t1")
            accepted = await self._store.accept(
                entries, limits=self._limits, claim=terms, cursor=cursor
            )
            crash_point("after_t1")
            for entry, result in zip(entries, accepted, strict=True):
                self._follow_up(entry, result, asked_at=asked_at)
        finally:
            self.times.note(perf_counter() - began)
            self._worker.release(terms)
        return accepted

    async def accept_inbound(
        self, channel: str, batch: Sequence[Inbound], *, cursor: tuple[str, str] | None = None
    ) -> None:
        """Commit what a channel heard, together with its cursor (name, value)."""
        binding = self._catalogue().channels[channel]
        entries = [await self._translator.entry(inbound, binding) for inbound in batch]
        position = Cursor(channel, *cursor) if cursor else None
        if entries or position:
            await self.accept(entries, cursor=position)

    def project_of(self, channel: str) -> ProjectId:
        """Whose channel that is."""
        return self._catalogue().channels[channel].project_id

    def suggestions(self, channel: str) -> Sequence[str]:
        """What the bot of that channel offers to ask first."""
        catalogue = self._catalogue()
        binding = catalogue.channels[channel]
        bot = catalogue.bot(binding.project_id, binding.bot)
        return bot.suggestions if bot is not None else ()

    async def heard_at(self, channel: str, account: str, address: Address) -> datetime | None:
        """When a person last wrote at that address of a channel, or None."""
        project_id = self._catalogue().channels[channel].project_id
        return await self._store.heard_at(project_id, account=account, address=address)

    def _follow_up(self, entry: Entry, result: Accepted, *, asked_at: float) -> None:
        if result.digest_differs:
            log.warning("inbox_digest_mismatch", turn_id=result.turn_id)
        if not isinstance(entry, NewTurn) or not result.is_new:
            return
        if result.claimed is not None:
            self._worker.start(result.claimed, asked_at=asked_at)
        elif result.state == "queued":
            self._worker.wake()
        for session_id in result.stops:
            self._worker.cancel_session(session_id)
        if result.interrupts is not None:
            self._worker.cancel_turn(result.interrupts)
        if result.state not in ("queued", "running"):
            self._wake_outbox()
        log.debug(
            "inbound_accepted",
            turn_id=result.turn_id,
            session_id=result.session_id,
            text=entry.message.text if entry.message else None,
            name=entry.identity.name if entry.identity else None,
        )
