"""Rules of turns: taken, prolonged, committed, cancelled, waiting for results or for an answer."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from gateway.contract import Address
from gateway.domain.ids import TurnId
from gateway.domain.turns import CRASHES_BEFORE_DEAD, ClaimedTurn, TurnOutcome
from gateway.errors import Conflict
from tests.store.builders import PROJECT, chat_turn, event, reply, terms
from tests.store.crashing import Fate
from tests.store.machine import LIMITS, chats, fates, pick, picks
from tests.store.machine_arrivals import Arrivals
from tests.store.test_finishing import asking

LEASE_S = 30


class Turns(Arrivals):
    """Workers of the process that serves and of its peer, be they long dead."""

    @rule(is_peer=st.booleans(), limit=st.sampled_from([1, 3]), fate=fates)
    def claim(self, limit: int, *, is_peer: bool, fate: Fate) -> None:
        """A process takes what is due."""
        wanted = terms(self.who(is_peer), limit=limit, limits=LIMITS)
        got = self.call(lambda store: store.claim(wanted), fate)
        if got is None:
            return
        self.model.claim(wanted, got, stopped=self.run(self.stopped()), now=self.now)
        if fate == "returns" or is_peer:
            self.claims += got

    async def stopped(self) -> set[str]:
        """Running turns of the model that the store has cancelled."""
        running = [turn for turn in self.model.turns.values() if turn.state == "running"]
        found = [await self.store.here.turn(PROJECT, TurnId(turn.id)) for turn in running]
        return {turn.id for turn in found if turn is not None and turn.state == "cancelled"}

    @precondition(lambda self: self.claims)
    @rule(
        number=picks,
        parts=st.integers(0, 3),
        state=st.sampled_from(
            ["done", "queued", "wait", "done", "failed", "given back", "dead", "cancelled"]
        ),
        fate=fates,
    )
    def finish(self, number: int, parts: int, state: str, fate: Fate) -> None:
        """A worker commits, be it of a process that died long ago."""
        claimed = self.claims.pop(number % len(self.claims))
        outcome = self.outcome(claimed, state, parts)
        got = self.call(
            lambda store: store.commit_turn(claimed.lease, claimed.turn.id, outcome), fate
        )
        if got is None:
            self.claims.append(claimed)
            return
        self.model.finish(claimed, outcome, got, now=self.now)

    def outcome(self, claimed: ClaimedTurn, state: str, parts: int) -> TurnOutcome:
        """What a worker commits; a turn that keeps killing its process is dead."""
        if claimed.turn.crash_count > CRASHES_BEFORE_DEAD:
            state = "dead"
        parts = parts if claimed.session.address is not None else 0
        match state:
            case "queued":
                return TurnOutcome(state="queued")
            case "given back":
                return TurnOutcome(state="queued", counts_attempt=False)
            case "wait":
                return asking()
        return reply(f"r{self.next_number()}", state=state, parts=parts)

    @precondition(lambda self: self.claims)
    @rule(fate=fates)
    def heartbeat(self, fate: Fate) -> None:
        """A process prolongs what it holds, and learns what it holds no more."""
        claims = list(self.claims)
        leases = [claimed.lease for claimed in claims]
        news = self.call(lambda store: store.heartbeat(leases, lease_s=LEASE_S), fate)
        if news is not None:
            self.model.heartbeat(claims, news, until=self.now + LEASE_S)

    @rule(seconds=st.sampled_from([1, 1, 5, 31]))
    def pass_time(self, seconds: int) -> None:
        """Time goes by; leases end."""
        self.store.clock.advance(seconds)

    @precondition(lambda self: self.model.turns)
    @rule(number=picks, fate=fates)
    def cancel(self, number: int, fate: Fate) -> None:
        """Somebody stops a turn."""
        turn = pick(list(self.model.turns.values()), number)
        got = self.call(lambda store: store.request_cancel(PROJECT, TurnId(turn.id)), fate)
        if got is not None:
            self.model.cancel(turn, now=self.now)

    @precondition(lambda self: any(t.state == "waiting" for t in self.model.turns.values()))
    @rule(fate=fates)
    def resume(self, fate: Fate) -> None:
        """A caller brings the results a turn waits for; a second time is too late."""
        waiting = next(turn for turn in self.model.turns.values() if turn.state == "waiting")
        results = {"call_1": "x"}
        got = self.call(
            lambda store: store.resume_turn(PROJECT, TurnId(waiting.id), results=results), fate
        )
        if got is None:
            return
        self.model.resume(waiting, now=self.now)
        try:
            self.call(lambda store: store.resume_turn(PROJECT, TurnId(waiting.id), results=results))
        except Conflict:
            return
        raise AssertionError("it was resumed twice")

    @rule(age_s=st.sampled_from([1, 40]), fate=fates)
    def expire_waiting(self, age_s: int, fate: Fate) -> None:
        """Questions that nobody answered are declined."""
        count = self.call(lambda store: store.expire_waiting(after_s=age_s), fate)
        if count is None:
            return
        overdue = [
            turn
            for turn in self.model.turns.values()
            if turn.state == "waiting" and turn.waiting_at <= self.now - age_s
        ]
        assert count == len(overdue)
        for turn in overdue:
            self.model.resume(turn, now=self.now)

    # Without these a history is so mixed that what goes wrong rarely meets anything.

    @rule(chat=chats, parts=st.integers(1, 3))
    def talk(self, chat: Address, parts: int) -> None:
        """A person writes and the answer is written at once, if nothing is before it."""
        number = self.next_number()
        new = chat_turn(f"t{number}", address=chat, event=event(number))
        before = len(self.claims)
        self.accept([new], claims=True, fate="returns")
        if len(self.claims) > before:
            self.finish(number=before, parts=parts, state="done", fate="returns")

    @precondition(lambda self: self.claims)
    @rule(number=picks, state=st.sampled_from(["queued", "done", "wait"]))
    def work_on(self, number: int, state: str) -> None:
        """A worker commits what it has, and takes what is due."""
        self.finish(number=number, parts=1, state=state, fate="returns")
        self.claim(limit=1, is_peer=False, fate="returns")

    @rule(chat=chats, state=st.sampled_from(["queued", "given back"]))
    def overtake(self, chat: Address, state: str) -> None:
        """What is tried again goes before a message that its source puts before it."""
        for _ in range(2):
            self.say_on(chat=chat, order=-1, claims=False)
        before = len(self.claims)
        self.claim(limit=3, is_peer=False, fate="returns")
        self.say_on(chat=chat, order=-1, claims=False)
        for _ in range(len(self.claims) - before):
            self.finish(number=before, parts=1, state=state, fate="returns")
        self.claim(limit=3, is_peer=False, fate="returns")
