"""The session worker: claims sessions, runs their oldest turn, commits what it leaves.

Holds a lease on each session it works on and renews it. A turn that is cancelled, taken over or
given back ends here too. Promises: one turn of a session at a time, nothing committed without
the lease, at most `QueueLimits.turns` at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Literal

import structlog

from gateway.domain.bots import Bot
from gateway.domain.ids import SessionId, TurnId
from gateway.domain.policy import HEARTBEAT_S, LEASE_S, POLL_S, QueueLimits
from gateway.domain.turns import ClaimedTurn, TurnError, TurnOutcome
from gateway.errors import StoreError
from gateway.flow.attempt import Attempt, Think
from gateway.flow.catalogue import Catalogue, ChannelBinding
from gateway.flow.live import Live
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import ClaimTerms
from gateway.store.protocol.turns import Committed

log = structlog.get_logger(__name__)

COMMIT_PATIENCE_S = 60.0
BOT_GONE = TurnError("bot_gone", "This bot is not configured any more.")

Reason = Literal["cancelled", "lost", "given_back"]


@dataclass(slots=True)
class _Running:
    claimed: ClaimedTurn
    task: asyncio.Task[None]
    is_thinking: bool = True
    reason: Reason = "given_back"


class Worker:
    """Runs the turns of one process."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        think: Think,
        live: Live,
        owner: str,
        limits: QueueLimits,
        history_messages: int,
        wake_outbox: Callable[[], None],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._think = think
        self._live = live
        self._owner = owner
        self._limits = limits
        self._history_messages = history_messages
        self._wake_outbox = wake_outbox
        self._running: dict[TurnId, _Running] = {}
        self._reserved = 0
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_stopping = False
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.last_pass_at = 0.0

    @property
    def running(self) -> int:
        """How many turns are at work in this process."""
        return len(self._running)

    @property
    def runs_turns(self) -> bool:
        """Whether this process runs turns at all."""
        return self._limits.turns > 0

    def is_running(self, turn_id: TurnId) -> bool:
        """Whether that turn is at work in this process."""
        return turn_id in self._running

    def reserve(self, wanted: int) -> ClaimTerms | None:
        """Terms to claim up to that many turns here; give them back with `release`."""
        free = self._limits.turns - len(self._running) - self._reserved
        count = min(wanted, free)
        if count <= 0 or self._is_stopping:
            return None
        self._reserved += count
        return ClaimTerms(
            owner=self._owner,
            limit=count,
            history_messages=self._history_messages,
            lease_s=LEASE_S,
            limits=self._limits,
        )

    def release(self, terms: ClaimTerms | None) -> None:
        """Give reserved slots back, after the claimed turns were started."""
        if terms is not None:
            self._reserved -= terms.limit

    def wake(self) -> None:
        """There may be a turn to claim."""
        self._news.set()

    def start(self, claimed: ClaimedTurn) -> None:
        """Work on a turn that was claimed for this process."""
        task = asyncio.create_task(self._work(claimed), name=claimed.turn.id)
        self._running[claimed.turn.id] = _Running(claimed, task)
        task.add_done_callback(self._check)

    def cancel_turn(self, turn_id: TurnId, *, reason: Reason = "cancelled") -> None:
        """Stop a turn if it is thinking here; one that is being committed is finished."""
        running = self._running.get(turn_id)
        if running is not None and running.is_thinking:
            running.reason = reason
            running.task.cancel()

    def cancel_session(self, session_id: SessionId) -> None:
        """Stop whatever this process works on for that session."""
        for turn_id, running in list(self._running.items()):
            if running.claimed.session.id == session_id:
                self.cancel_turn(turn_id)

    async def run(self) -> None:
        """Claim and renew until cancelled; an unexpected error of a turn's task comes out here."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claim_all())
            group.create_task(self._renew_all())
            group.create_task(self._watch())

    async def drain(self, *, within_s: float) -> None:
        """Claim nothing more, finish what is running, give back what is not done in time."""
        self._is_stopping = True
        if self._running:
            self._idle.clear()
            try:
                async with asyncio.timeout(within_s):
                    await self._idle.wait()
            except TimeoutError:
                log.warning("drain_gave_turns_back", turns=len(self._running))
        await self.give_back()

    async def give_back(self) -> None:
        """Stop every turn at once and give its session back; the attempt does not count."""
        self._is_stopping = True
        tasks = [running.task for running in self._running.values()]
        for turn_id in list(self._running):
            self.cancel_turn(turn_id, reason="given_back")
        if tasks:
            await asyncio.wait(tasks, timeout=LEASE_S)

    async def _claim_all(self) -> None:
        while True:
            self._news.clear()
            terms = self.reserve(self._limits.turns)
            if terms is not None:
                await self._claim(terms)
            self.last_pass_at = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _claim(self, terms: ClaimTerms) -> None:
        try:
            for claimed in await self._store.claim(terms):
                self.start(claimed)
        except StoreError as error:
            log.warning("claim_failed", code=error.code)
        finally:
            self.release(terms)

    async def _renew_all(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            leases = [running.claimed.lease for running in self._running.values()]
            if not leases:
                continue
            try:
                news = await self._store.heartbeat(leases, lease_s=LEASE_S)
            except StoreError as error:
                log.warning("heartbeat_failed", code=error.code)
                continue
            for turn_id, running in list(self._running.items()):
                if running.claimed.session.id in news.lost:
                    self.cancel_turn(turn_id, reason="lost")
                elif turn_id in news.cancel_requested:
                    self.cancel_turn(turn_id)

    async def _watch(self) -> None:
        await self._broken

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._broken.done():
            self._broken.set_exception(error)

    async def _work(self, claimed: ClaimedTurn) -> None:
        turn, began = claimed.turn, perf_counter()
        running = self._running[turn.id]
        try:
            outcome = await self._outcome(claimed, running)
            running.is_thinking = False
            committed = await self._commit(claimed, outcome) if outcome else None
            self._tell(claimed, outcome, committed, duration_s=perf_counter() - began)
        finally:
            del self._running[turn.id]
            self._live.end(turn.id, None)
            if not self._running:
                self._idle.set()

    async def _outcome(self, claimed: ClaimedTurn, running: _Running) -> TurnOutcome | None:
        """What the turn leaves; None when its session is not ours any more."""
        catalogue, session = self._catalogue(), claimed.session
        bot = catalogue.bot(session.project_id, session.bot)
        if bot is None:
            return TurnOutcome(state="failed", error=BOT_GONE)
        attempt = self._attempt(claimed, bot, catalogue.channels.get(session.channel))
        try:
            return await attempt.run()
        except asyncio.CancelledError:
            running.task.uncancel()
            match running.reason:
                case "cancelled":
                    return attempt.cancelled()
                case "given_back":
                    return TurnOutcome(state="queued", counts_attempt=False)
                case "lost":
                    log.warning("turn_taken_over", turn_id=claimed.turn.id)
                    return None

    def _attempt(self, claimed: ClaimedTurn, bot: Bot, binding: ChannelBinding | None) -> Attempt:
        delivers = binding is not None and binding.channel.capabilities.delivers
        return Attempt(
            claimed,
            store=self._store,
            think=self._think,
            bot=bot,
            binding=binding if delivers else None,
            broadcast=self._live.open(claimed.turn.id),
        )

    async def _commit(self, claimed: ClaimedTurn, outcome: TurnOutcome) -> Committed | None:
        """Commit, patiently while the store is away; None when it stayed away."""
        deadline = perf_counter() + COMMIT_PATIENCE_S
        pause_s = POLL_S
        while True:
            try:
                return await self._store.commit_turn(claimed.lease, claimed.turn.id, outcome)
            except StoreError as error:
                log.warning("commit_failed", turn_id=claimed.turn.id, code=error.code)
                if perf_counter() + pause_s > deadline:
                    return None
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 5.0)

    def _tell(
        self,
        claimed: ClaimedTurn,
        outcome: TurnOutcome | None,
        committed: Committed | None,
        *,
        duration_s: float,
    ) -> None:
        """Tell listeners, the outbox, this worker itself and the log."""
        turn_id = claimed.turn.id
        if outcome is None or committed is None or not committed.is_committed:
            log.warning("turn_not_committed", turn_id=turn_id, fenced=committed is not None)
            return
        self._live.end(turn_id, committed.turn)
        if committed.has_deliveries:
            self._wake_outbox()
        if committed.has_more:
            self.wake()
        log.info(
            "turn_finished",
            turn_id=turn_id,
            session_id=claimed.session.id,
            bot=claimed.session.bot,
            channel=claimed.session.channel,
            agent=outcome.final_agent,
            model=outcome.model,
            outcome=outcome.state,
            error=outcome.error.code if outcome.error else None,
            attempts=claimed.turn.attempts,
            input_tokens=outcome.usage.input_tokens,
            output_tokens=outcome.usage.output_tokens,
            duration_ms=round(duration_s * 1000, 1),
        )
