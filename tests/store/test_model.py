"""Model checking of the queue: random histories over the real store, a crash between any two steps.

Hypothesis draws operations of two processes, and where one of them dies: before an operation's
COMMIT, after it, or between two of them. After every step the store must hold what the model says
and break none of its own invariants; at the end everything comes to an end. 200 histories by
default; `GATEWAY_MODEL_RUNS=5000` asks for more.
"""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.contract import Address
from gateway.domain.delivery import Delivery
from gateway.domain.ids import DeliveryId, SessionId, TurnId, new_delivery_id
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import CRASHES_BEFORE_DEAD, TERMINAL, ClaimedTurn, TurnOutcome
from gateway.errors import Conflict, RequestError
from gateway.store.protocol import Store
from gateway.store.protocol.history import Page
from gateway.store.protocol.inbox import MoveAddress, NewTurn, SetReachability, TerminalTurn
from gateway.store.protocol.outbox import DeliveryFilter, SendResult
from gateway.store.sqlite.store import open_sqlite
from tests.store.builders import ACCOUNT, PROJECT, api_turn, chat_turn, event, part, reply, terms
from tests.store.crashing import CrashableStore, Fate
from tests.store.model import Model
from tests.store.model_lanes import GIVEN_UP, Part
from tests.store.test_finishing import asking

RUNS = int(os.environ.get("GATEWAY_MODEL_RUNS", "200"))
STEPS = 40
SHRINKS = "GATEWAY_MODEL_SHRINK" in os.environ
"""A failing history is made shorter first, which takes minutes."""
MEMORY = Path("/dev/shm")
"""A folder in memory, where there is one: a sync costs nothing there."""
LIMITS = QueueLimits(queued_per_session=3, queued_per_project=8)
LEASE_S = 30
PEER = "peer"
"""A second process that never dies."""

Result = TypeVar("Result")
picks = st.integers(0, 999)
fates: st.SearchStrategy[Fate] = st.sampled_from(
    ["returns"] * 8 + ["lost after commit", "lost before commit"]
)
chats = st.integers(0, 2).map(lambda number: Address("tg", str(number)))
SENDS: dict[str, dict[str, Any]] = {
    "sent": {"state": "sent", "provider_id": "1"},
    "sent, then wait": {"state": "sent", "blocked_s": 2},
    "again": {"state": "pending"},
    "later": {"state": "pending", "again_in_s": 3},
    "throttled": {"state": "pending", "again_in_s": 2, "counts": False},
    "chat throttled": {"state": "pending", "again_in_s": 2, "blocked_s": 4, "counts": False},
    "account throttled": {"state": "pending", "blocked_s": 3, "scope": "account"},
    "refused": {"state": "dead", "error": "no"},
    "chat gone": {"state": "dead", "scope": "address"},
    "account refused": {"state": "dead", "scope": "account"},
    "unknown": {"state": "ambiguous", "again_in_s": 1},
    "held": {"state": "held"},
    "expired": {"state": "expired"},
}


def pick(values: Sequence[Result], number: int) -> Result:
    """One of them, by a number that shrinks to the first."""
    return values[number % len(values)]


@cache
def template() -> Path:
    """An empty store that is migrated already, made once."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None, prefix="model-"))

    async def make() -> None:
        async with open_sqlite(folder / "empty" / "gateway.db", lock=False, owner="template"):
            pass

    asyncio.run(make())
    return folder / "empty"


class QueueMachine(RuleBasedStateMachine):
    """The store beside its model."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        base = Path(tempfile.mkdtemp(dir=template().parent))
        self.store = CrashableStore(base, template=template())
        self.model = Model(LIMITS)
        self.claims: list[ClaimedTurn] = []
        self.sends: list[tuple[str, DeliveryId]] = []
        self.events: dict[str, NewTurn] = {}
        self.seen: set[str] = set()
        self.read: dict[str, int] = {}
        self.numbers = 0

    # ------------------------------------------------------------ means

    @property
    def owner(self) -> str:
        """The name of the process that serves now."""
        return f"process{self.store.lives}"

    @property
    def now(self) -> int:
        """Whole seconds."""
        return self.store.clock.seconds()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run to the end."""
        return self.runner.run(work)

    def call(
        self, operation: Callable[[Store], Awaitable[Result]], fate: Fate = "returns"
    ) -> Result | None:
        """One operation of the process that serves; None = it died before the commit."""
        return self.run(self.store.call(operation, fate))

    def next_number(self) -> str:
        """A number for an event, a text, an order."""
        self.numbers += 1
        return str(self.numbers)

    def who(self, is_peer: bool) -> str:
        """The owner that acts."""
        return PEER if is_peer else self.owner

    # ------------------------------------------------------------ rules: coming in

    @initialize()
    def start(self) -> None:
        """The first process."""
        self.run(self.store.start())

    @rule(
        where=st.lists(chats, min_size=1, max_size=2),
        delay_s=st.sampled_from([0, 0, 0, 2]),
        order=st.sampled_from([-1, 1, None]),
        group=st.sampled_from([None, None, None, "album"]),
        has_second_id=st.booleans(),
        is_fresh=st.sampled_from([False] * 9 + [True]),
        claims=st.booleans(),
        fate=fates,
    )
    def say(
        self,
        where: list[Address],
        delay_s: int,
        order: int | None,
        group: str | None,
        *,
        has_second_id: bool,
        is_fresh: bool,
        claims: bool,
        fate: Fate,
    ) -> None:
        """People write, several in one batch."""
        batch = []
        for chat in where:
            number = self.next_number()
            batch.append(
                chat_turn(
                    f"m{number}",
                    address=chat,
                    event=event(number, second_id=f"s{number}" if has_second_id else None),
                    delay_s=delay_s,
                    source_order=None if order is None else order * int(number),
                    group_id=group,
                    fresh_session=is_fresh,
                    busy_reply=(part("busy"),),
                )
            )
        self.accept(batch, claims=claims, fate=fate)

    def accept(self, batch: list[NewTurn], *, claims: bool, fate: Fate) -> None:
        """Give a batch to the store, and what it gave to the model."""
        claim = terms(self.owner, limit=1, limits=LIMITS) if claims else None
        got = self.call(lambda store: store.accept(batch, limits=LIMITS, claim=claim), fate)
        if got is None:
            # Nothing was acknowledged, so the platform brings it again, now or never.
            return
        claims_left = 1
        for new, accepted in zip(batch, got, strict=True):
            may_claim = claim if claims_left else None
            claims_left -= self.model.accept(new, accepted, claim=may_claim, now=self.now)
            assert new.event is not None
            self.events[new.event.event_id] = new
            if accepted.claimed is not None and fate == "returns":
                self.claims.append(accepted.claimed)

    @rule(chat=chats, parts=st.integers(1, 3))
    def talk(self, chat: Address, parts: int) -> None:
        """A person writes and the answer is written at once, if nothing is before it."""
        number = self.next_number()
        new = chat_turn(f"t{number}", address=chat, event=event(number))
        before = len(self.claims)
        self.accept([new], claims=True, fate="returns")
        if len(self.claims) > before:
            self.finish(number=before, parts=parts, state="done", fate="returns")

    @precondition(lambda self: self.events)
    @rule(number=picks, way=st.sampled_from(["same", "other body", "second id"]), fate=fates)
    def redeliver(self, number: int, way: str, fate: Fate) -> None:
        """A platform brings an event again; whatever else it says, nothing is turned twice."""
        first = pick(list(self.events.values()), number)
        assert first.event is not None
        again = event(
            "x" + first.event.event_id if way == "second id" else first.event.event_id,
            body="other" if way == "other body" else "body",
            second_id=first.event.second_id,
        )
        if way == "second id" and again.second_id is None:
            return
        copy = chat_turn("again", address=Address("tg", "0"), event=again)
        got = self.call(lambda store: store.accept([copy], limits=LIMITS), fate)
        if got is not None:
            assert not got[0].is_new
            assert got[0].digest_differs == (way == "other body")
            assert got[0].turn_id is not None
            assert got[0].claimed is None

    @rule(
        chat=chats,
        parts=st.integers(0, 2),
        cancels=st.booleans(),
        ends=st.sampled_from([False, False, True]),
        fate=fates,
    )
    def give_command(
        self, chat: Address, parts: int, *, cancels: bool, ends: bool, fate: Fate
    ) -> None:
        """A person's command, answered at once."""
        number = self.next_number()
        terminal = TerminalTurn(
            state="done",
            deliveries=tuple(part(f"a{n}", number=n) for n in range(parts)),
            cancels=cancels,
            ends_session="new" if ends else None,
        )
        new = chat_turn(
            f"/{number}", address=chat, event=event(number), kind="command", terminal=terminal
        )
        self.accept([new], claims=False, fate=fate)

    @rule(
        number=picks,
        kind=st.sampled_from(["message", "prompt"]),
        is_new=st.booleans(),
        fate=fates,
    )
    def ask_by_call(self, number: int, kind: str, *, is_new: bool, fate: Fate) -> None:
        """A caller's turn, refused where too much waits."""
        talks = list(self.model.talks)
        session_id = None if is_new or not talks else SessionId(pick(talks, number))
        text = f"c{self.next_number()}"
        new = api_turn(text, session_id=session_id, kind=kind, event=event(self.next_number()))
        if self.model.refusal(new) is None:
            self.accept([new], claims=False, fate=fate)
            return
        try:
            self.call(lambda store: store.accept([new], limits=LIMITS))
        except RequestError:
            return
        raise AssertionError("it was to be refused")

    # ------------------------------------------------------------ rules: turns

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
    @rule(number=picks, is_shown=st.booleans(), fate=fates, second_fate=fates)
    def show(self, number: int, *, is_shown: bool, fate: Fate, second_fate: Fate) -> None:
        """A worker lets a message grow, be it one whose process died long ago."""
        claimed, name = pick(self.claims, number), new_delivery_id()
        lease, turn_id = claimed.lease, claimed.turn.id
        got = self.call(lambda store: store.open_part(lease, turn_id, delivery_id=name), fate)
        if fate == "lost before commit":
            return
        self.model.open_part(claimed, name, got, self.now)
        if got is None or not is_shown:
            return
        shown = got.delivery.id
        is_kept = self.call(
            lambda store: store.keep_open_ref(lease, shown, open_ref=f"ref {shown}"), second_fate
        )
        if is_kept is not None:
            self.model.keep_open_ref(claimed, shown, is_kept=is_kept)

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

    # ------------------------------------------------------------ rules: crashes

    @rule()
    def crash(self) -> None:
        """The process dies between two steps; its workers' commits may still arrive."""
        self.run(self.store.crash())

    @rule(fate=fates)
    def recover(self, fate: Fate) -> None:
        """A process takes over what dead ones left."""
        living = [self.owner, PEER]
        freed = self.call(lambda store: store.release_abandoned(living=living), fate)
        if freed is not None:
            assert freed == self.model.release_abandoned(living, now=self.now)
        living = [self.owner, PEER]
        doubtful = self.call(lambda store: store.doubt_abandoned(living=living))
        assert doubtful == self.model.doubt_abandoned(living, now=self.now)

    # ------------------------------------------------------------ rules: going out

    @rule(is_peer=st.booleans(), limit=st.sampled_from([1, 3]), fate=fates)
    def begin_sends(self, limit: int, *, is_peer: bool, fate: Fate) -> None:
        """A process takes what is to be sent."""
        owner = self.who(is_peer)
        got = self.call(
            lambda store: store.begin_sends(owner=owner, limit=limit, channels=("tg",)), fate
        )
        if got is None:
            return
        self.model.begin_sends(got, owner=owner, limit=limit, now=self.now)
        self.sends += [(owner, delivery.id) for delivery in got]

    @precondition(lambda self: self.sends)
    @rule(number=picks, how=st.sampled_from(["sent", *SENDS]), fate=fates)
    def end_send(self, number: int, how: str, fate: Fate) -> None:
        """A try ends, be it one of a process that died long ago."""
        owner, delivery_id = self.sends.pop(number % len(self.sends))
        if not self.end(owner, delivery_id, how, fate):
            self.sends.append((owner, delivery_id))

    def end(self, owner: str, delivery_id: DeliveryId, how: str, fate: Fate) -> bool:
        """End one try; False = it was not written."""
        result = SendResult(delivery_id=delivery_id, **SENDS[how])
        got = self.call(lambda store: store.end_sends([result], owner=owner), fate)
        if got is None:
            return False
        following = self.model.end_send(result, owner=owner, now=self.now)
        wanted = [] if following is None else [following.id]
        assert [delivery.id for delivery in got] == wanted
        self.sends += [(owner, delivery.id) for delivery in got]
        return True

    @rule(state=st.sampled_from(["sent", "again", "held", "unknown"]), fate=fates)
    def decide_doubt(self, state: str, fate: Fate) -> None:
        """What became of a doubtful part is decided."""
        doubtful = self.call(lambda store: store.ambiguous(limit=10)) or []
        wanted = {
            part.id
            for part in self.model.parts.values()
            if part.state == "ambiguous" and (part.next_at or 0) <= self.now
        }
        assert {delivery.id for delivery in doubtful} == wanted
        if doubtful:
            self.end(self.owner, doubtful[0].id, state, fate)

    @precondition(lambda self: self.given_up())
    @rule(number=picks, is_dropped=st.booleans())
    def decide_given_up(self, number: int, *, is_dropped: bool) -> None:
        """An operator, in a process of his own, replays or drops what was given up."""
        chosen = pick(self.given_up(), number)

        async def decide() -> Delivery | None:
            store = await self.store.beside()
            to = "cancelled" if is_dropped else "pending"
            return await store.replay(PROJECT, DeliveryId(chosen.id), to=to)  # type: ignore[arg-type] # one of both

        assert self.run(decide()) is not None
        self.model.replay(chosen, is_dropped=is_dropped, now=self.now)

    def given_up(self) -> list[Part]:
        """Parts that an operator may decide about."""
        return [part for part in self.model.parts.values() if part.state in GIVEN_UP]

    @precondition(lambda self: self.model.lanes)
    @rule(number=picks, is_reachable=st.booleans(), fate=fates)
    def reach(self, number: int, *, is_reachable: bool, fate: Fate) -> None:
        """A person blocks the bot, or lets it in again."""
        lane = pick(list(self.model.lanes.values()), number)
        change = SetReachability(
            project_id=PROJECT,
            event=event(f"r{self.next_number()}"),
            account=ACCOUNT,
            address=Address("tg", lane.chat),
            is_reachable=is_reachable,
        )
        if self.call(lambda store: store.accept([change], limits=LIMITS), fate) is None:
            return
        lane.is_reachable = is_reachable
        if not is_reachable:
            self.model.close(lane, {"pending", "held"})

    @precondition(lambda self: self.model.lanes)
    @rule(number=picks, to=st.integers(0, 4), fate=fates)
    def move(self, number: int, to: int, fate: Fate) -> None:
        """A chat becomes another one, be it one that exists."""
        lane, new = pick(list(self.model.lanes.values()), number), Address("tg", str(to))
        if lane.chat == new.chat:
            return
        entry = MoveAddress(
            project_id=PROJECT,
            event=event(f"v{self.next_number()}"),
            account=ACCOUNT,
            old=Address("tg", lane.chat),
            new=new,
        )
        if self.call(lambda store: store.accept([entry], limits=LIMITS), fate) is None:
            return
        stored = sorted(self.run(self.stored_parts()), key=lambda delivery: delivery.out_no)
        self.model.move(lane, new, order=[delivery.id for delivery in stored], now=self.now)

    # ------------------------------------------------------------ rules: more of the same

    # Without them a history is so mixed that what goes wrong rarely meets anything.

    @rule(chat=chats, order=st.sampled_from([-1, -1, 1, None]), claims=st.booleans())
    def say_on(self, chat: Address, order: int | None, *, claims: bool) -> None:
        """A person writes, and nothing goes wrong."""
        self.say(
            [chat],
            0,
            order,
            None,
            has_second_id=True,
            is_fresh=False,
            claims=claims,
            fate="returns",
        )

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

    @rule(
        chat=chats,
        is_shown=st.sampled_from([True, True, False]),
        parts=st.integers(0, 2),
        state=st.sampled_from(["runs on", "done", "queued", "wait", "cancelled"]),
    )
    def talk_growing(self, chat: Address, parts: int, state: str, *, is_shown: bool) -> None:
        """A person writes, and sees the answer grow."""
        number = self.next_number()
        before = len(self.claims)
        new = chat_turn(f"g{number}", address=chat, event=event(number))
        self.accept([new], claims=True, fate="returns")
        if len(self.claims) > before:
            self.show(number=before, is_shown=is_shown, fate="returns", second_fate="returns")
            if state != "runs on":
                self.finish(number=before, parts=parts, state=state, fate="returns")

    @rule(chat=chats, to=chats)
    def move_growing(self, chat: Address, to: Address) -> None:
        """A chat becomes another one while messages grow in both."""
        for where in (to, chat):
            self.talk_growing(chat=where, is_shown=True, parts=0, state="runs on")
        lane = list(self.model.lanes).index(chat.chat)
        self.move(number=lane, to=int(to.chat), fate="returns")
        for number in range(len(self.claims)):
            self.show(number=number, is_shown=True, fate="returns", second_fate="returns")

    @rule(number=picks, how=st.sampled_from(["account throttled", "later", "sent"]))
    def send_on(self, number: int, how: str) -> None:
        """A sender takes what is due, and ends one try."""
        self.begin_sends(limit=1, is_peer=False, fate="returns")
        if self.sends:
            self.end_send(number=number, how=how, fate="returns")

    # ------------------------------------------------------------ what must hold

    async def stored_parts(self) -> list[Delivery]:
        """All parts the store has."""
        return await self.store.here.deliveries(DeliveryFilter(limit=10_000))

    @invariant()
    def holds(self) -> None:
        """The store breaks none of its invariants, and holds what the model says."""
        if self.store.lives:
            self.run(self.compare(is_all=False))

    async def compare(self, *, is_all: bool) -> None:
        """Look at everything; what is over and was seen as it should be only with `is_all`."""
        store = self.store.here
        assert await self.store.verify() == []
        for entry in self.model.turns.values():
            if entry.id in self.seen and not is_all:
                continue
            turn = await store.turn(PROJECT, TurnId(entry.id))
            assert turn is not None, "an accepted turn disappeared"
            assert (turn.session_id, turn.seq, turn.state) == (
                entry.talk.id,
                entry.seq,
                entry.state,
            )
            assert (turn.attempts, turn.crash_count, turn.cancel_requested) == (
                entry.attempts,
                entry.crashes,
                entry.is_to_stop,
            )
            if entry.state in TERMINAL:
                self.seen.add(entry.id)
        for talk in self.model.talks.values():
            if self.read.get(talk.id) == len(talk.texts) and not is_all:
                continue
            self.read[talk.id] = len(talk.texts)
            page = Page(limit=1000, order="asc")
            found = await store.messages(PROJECT, SessionId(talk.id), page=page, with_internal=True)
            assert [message.text for message in found] == talk.texts
        await self.compare_parts()
        await self.compare_depth()

    async def compare_parts(self) -> None:
        """Every part stands where it should, in the order of its lane."""
        stored = {delivery.id: delivery for delivery in await self.stored_parts()}
        assert set(stored) == set(self.model.parts)
        for known in self.model.parts.values():
            delivery = stored[DeliveryId(known.id)]
            assert (delivery.state, delivery.attempts) == (known.state, known.attempts)
            assert delivery.address.chat == known.lane.chat
            assert delivery.part == known.content
            assert delivery.open_ref == (f"ref {known.id}" if known.is_shown else None)
        for lane in {known.lane for known in self.model.parts.values()}:
            numbers = [stored[DeliveryId(known.id)].out_no for known in lane.parts]
            assert numbers == sorted(set(numbers)), "parts of a lane out of order"

    async def compare_depth(self) -> None:
        """What the gauges show is what there is."""
        depth = await self.store.here.depth()
        states = [turn.state for turn in self.model.turns.values()]
        assert (depth.queued_turns, depth.running_turns, depth.waiting_turns) == (
            states.count("queued"),
            states.count("running"),
            states.count("waiting"),
        )
        parts: list[str] = [known.state for known in self.model.parts.values()]
        for state, count in depth.deliveries.items():
            assert count == parts.count(state)

    # ------------------------------------------------------------ the end

    def teardown(self) -> None:
        """After every storm all comes to its end, in order; then all is put away."""
        try:
            if self.store.lives:
                self.calm_down()
        finally:
            self.run(self.store.close())
            self.runner.close()

    def calm_down(self) -> None:
        """Bring everything to an end that goes well; whatever is left then is stuck."""
        for _ in range(60):
            self.store.clock.advance(61)
            self.recover(fate="returns")
            self.expire_waiting(age_s=1, fate="returns")
            self.claim(limit=3, is_peer=False, fate="returns")
            while self.claims:
                self.finish(number=0, parts=1, state="done", fate="returns")
            self.decide_doubt(state="sent", fate="returns")
            self.begin_sends(limit=3, is_peer=False, fate="returns")
            while self.sends:
                self.end_send(number=0, how="sent", fate="returns")
            is_over = all(turn.state in TERMINAL for turn in self.model.turns.values())
            if is_over and all(part.is_settled for part in self.model.parts.values()):
                self.run(self.compare(is_all=True))
                assert self.run(self.store.here.verify()) == []
                return
        raise AssertionError("it never came to an end")


QueueMachine.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    print_blob=True,
    phases=(Phase.generate, Phase.shrink) if SHRINKS else (Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
TestQueue = pytest.mark.timeout(120 + RUNS)(QueueMachine.TestCase)
