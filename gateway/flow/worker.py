"""The session worker: claims sessions, runs their oldest turn, commits what it leaves.

Holds a lease on each session it works on and renews it. A turn that is cancelled, taken over or
given back ends here too. Promises: one turn of a session at a time, nothing committed without
the lease, at most `QueueLimits.turns` at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import structlog

from gateway.domain.ids import SessionId, TurnId
from gateway.domain.policy import HEARTBEAT_S, LEASE_S, POLL_S, QueueLimits
from gateway.domain.turns import ClaimedTurn, Lease, Turn, TurnError, TurnOutcome
from gateway.errors import StoreError
from gateway.flow.attempt import Attempt, Think, sorry
from gateway.flow.catalogue import Catalogue
from gateway.flow.committing import commit_patiently
from gateway.flow.crash_points import crash_point
from gateway.flow.live import Live
from gateway.flow.live_reply import LiveOutputs
from gateway.flow.media import Media
from gateway.flow.running import Reason, Running, heed
from gateway.flow.sorry import APOLOGY
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import ClaimTerms
from gateway.store.protocol.turns import Committed

log = structlog.get_logger(__name__)

COMMIT_PATIENCE_S = 60.0
GIVE_BACK_PATIENCE_S = 5.0
"""How long a stopping process waits for its turns to be written back; leases do the rest."""
SHOWN_WITHIN = 5 / 6
"""Of a lease: a call of live output that begins in this part of it has ended with it."""
BOT_GONE = TurnError("bot_gone", "This bot is not configured any more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTimes:
    """How often a worker looks and renews, and how long it stands by a result, in seconds."""

    poll_s: float = POLL_S
    heartbeat_s: float = HEARTBEAT_S
    lease_s: float = LEASE_S
    commit_patience_s: float = COMMIT_PATIENCE_S
    give_back_patience_s: float = GIVE_BACK_PATIENCE_S


class Worker:
    """Runs the turns of one process."""

    def __init__(
        self,
        store: Store,
        catalogue: Callable[[], Catalogue],
        *,
        thinking: Callable[[], Think],
        live: Live,
        owner: str,
        limits: QueueLimits,
        history_messages: int,
        wake_outbox: Callable[[], None],
        media: Media | None = None,
        outputs: LiveOutputs | None = None,
        times: WorkerTimes | None = None,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._thinking = thinking
        self._live = live
        self._owner = owner
        self._limits = limits
        self._history_messages = history_messages
        self._wake_outbox = wake_outbox
        self._media = media or Media(store)
        self._outputs = outputs or LiveOutputs()
        self._times = times or WorkerTimes()
        self._running: dict[Lease, Running] = {}
        self._reserved = 0
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_stopping = False
        self._are_leases_sure = True
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
        return any(running.claimed.turn.id == turn_id for running in self._running.values())

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
            lease_s=self._times.lease_s,
            limits=self._limits,
        )

    def release(self, terms: ClaimTerms | None) -> None:
        """Give reserved slots back, after the claimed turns were started."""
        if terms is not None:
            self._reserved -= terms.limit
            self._note_idle()

    def wake(self) -> None:
        """There may be a turn to claim."""
        self._news.set()

    def start(self, claimed: ClaimedTurn, *, asked_at: float) -> None:
        """Work on a turn that was claimed for this process, by a call made at `asked_at`.

        That is a time on the clock of the event loop: the lease lasts from then on.
        """
        for earlier in self._running.values():
            if earlier.claimed.session.id == claimed.session.id:
                earlier.stop("lost")
        reason: Reason | None = "given_back" if self._is_stopping else None
        running = Running(claimed, reason=reason, renewed_at=asked_at)
        self._running[claimed.lease] = running
        running.task = asyncio.create_task(self._work(running), name=claimed.turn.id)
        running.task.add_done_callback(self._check)

    def cancel_turn(self, turn_id: TurnId) -> None:
        """Stop a turn if it is thinking here; one that is being committed is finished."""
        for running in self._running.values():
            if running.claimed.turn.id == turn_id:
                running.stop("cancelled")

    def cancel_session(self, session_id: SessionId) -> None:
        """Stop whatever this process works on for that session."""
        for running in self._running.values():
            if running.claimed.session.id == session_id:
                running.stop("cancelled")

    async def run(self) -> None:
        """Claim and renew until cancelled; an unexpected error of a turn's task comes out here.

        Whatever still runs then is given back.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._claim_all())
                group.create_task(self._renew_all())
                group.create_task(self._watch())
        finally:
            await self.give_back()

    async def settled(self) -> None:
        """Return when every turn that is at work now has ended."""
        tasks = [running.task for running in self._running.values()]
        if tasks:
            await asyncio.wait(tasks)

    async def drain(self, *, within_s: float) -> None:
        """Claim nothing more, finish what is running, give back what is not done in time."""
        self._is_stopping = True
        if not await self._is_idle_within(within_s):
            log.warning("drain_gave_turns_back", turns=len(self._running))
        await self.give_back()

    async def give_back(self) -> None:
        """Stop every turn at once and give its session back; the attempt does not count."""
        self._is_stopping = True
        for running in list(self._running.values()):
            running.stop("given_back")
        if not await self._is_idle_within(self._times.give_back_patience_s):
            log.warning("turns_left_to_their_leases", turns=len(self._running))
        left = [running.task for running in self._running.values()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _is_idle_within(self, within_s: float) -> bool:
        """Wait until nothing runs and nothing is being claimed; False when the time is over."""
        self._idle.clear()
        self._note_idle()
        waiting = asyncio.create_task(self._idle.wait())
        await asyncio.wait((waiting,), timeout=within_s)
        return not waiting.cancel()

    def _note_idle(self) -> None:
        if not self._running and not self._reserved:
            self._idle.set()

    async def _claim_all(self) -> None:
        while True:
            self._news.clear()
            # After a store was away our own leases may be over: renewing them goes first.
            terms = self.reserve(self._limits.turns) if self._are_leases_sure else None
            if terms is not None:
                await self._claim(terms)
            self.last_pass_at = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self._times.poll_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _claim(self, terms: ClaimTerms) -> None:
        """Claim and start; not to be cut short, as a claim without its start blocks a session."""
        await asyncio.shield(asyncio.create_task(self._claim_and_start(terms)))

    async def _claim_and_start(self, terms: ClaimTerms) -> None:
        asked_at = asyncio.get_running_loop().time()
        try:
            for claimed in await self._store.claim(terms):
                self.start(claimed, asked_at=asked_at)
        except StoreError as error:
            log.warning("claim_failed", code=error.code)
        finally:
            self.release(terms)

    async def _renew_all(self) -> None:
        while True:
            times = self._times
            await asyncio.sleep(times.heartbeat_s if self._are_leases_sure else times.poll_s)
            renewed = list(self._running.values())
            leases = [running.claimed.lease for running in renewed]
            asked_at = asyncio.get_running_loop().time()
            try:
                if leases:
                    news = await self._store.heartbeat(leases, lease_s=times.lease_s)
                    heed(news, renewed, asked_at=asked_at)
                self._are_leases_sure = True
            except StoreError as error:
                self._are_leases_sure = False
                log.warning("heartbeat_failed", code=error.code)

    async def _watch(self) -> None:
        await self._broken

    def _check(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._broken.done():
            self._broken.set_exception(error)

    async def _work(self, running: Running) -> None:
        claimed, began = running.claimed, perf_counter()
        turn_id = claimed.turn.id
        crash_point("after_t2")
        try:
            outcome = await self._outcome(running)
            running.has_result = True
            committed = await self._commit(claimed, outcome) if outcome else None
            self._tell(claimed, outcome, committed, duration_s=perf_counter() - began)
        finally:
            del self._running[claimed.lease]
            if not self.is_running(turn_id):
                self._live.end(turn_id, None)
            self._note_idle()

    async def _outcome(self, running: Running) -> TurnOutcome | None:
        """What the turn leaves; None when its session is not ours any more."""
        claimed = running.claimed
        catalogue, session = self._catalogue(), claimed.session
        bot = catalogue.bot(session.project_id, session.bot)
        if bot is None:
            return await self._failed(claimed, TurnOutcome(state="failed", error=BOT_GONE))
        attempt = Attempt(
            claimed,
            store=self._store,
            think=self._thinking(),
            bot=bot,
            binding=catalogue.delivering(session.channel),
            broadcast=self._live.open(claimed.turn.id),
            is_ours=partial(running.is_ours, lease_s=self._times.lease_s * SHOWN_WITHIN),
            media=self._media,
            outputs=self._outputs,
        )
        thought = None if running.reason else await running.think(attempt)
        match running.reason:
            case "cancelled":
                return await attempt.cancelled()
            case "lost":
                log.warning("turn_taken_over", turn_id=claimed.turn.id)
                return None
            case "given_back":
                return thought or running.given_back()
            case _:
                return thought or await attempt.broken()

    async def _commit(self, claimed: ClaimedTurn, outcome: TurnOutcome) -> Committed | None:
        """Commit what the turn leaves; None when the store stayed away."""
        return await commit_patiently(
            self._store,
            claimed,
            outcome,
            patience_s=self._times.commit_patience_s,
            pause_s=self._times.poll_s,
            sorry=partial(self._failed, claimed),
        )

    async def _failed(self, claimed: ClaimedTurn, outcome: TurnOutcome) -> TurnOutcome:
        """A failed turn for which nobody has apologized, with the bot's words if there is a bot."""
        catalogue, session = self._catalogue(), claimed.session
        bot = catalogue.bot(session.project_id, session.bot)
        text = APOLOGY if bot is None else bot.apology
        return await sorry(outcome, claimed, catalogue.delivering(session.channel), text=text)

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
        self._live.end(turn_id, _if_over(committed.turn))
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


def _if_over(turn: Turn | None) -> Turn | None:
    """The turn, if its listeners are to be told that it ended; one that runs again has not."""
    return turn if turn is not None and turn.is_over else None
