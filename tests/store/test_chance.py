"""Long random histories: whatever happens in whatever order, the invariants hold and all ends.

Not a model of the store, only of its promises: nothing accepted is lost, turns of a session end in
order, lanes deliver in order, and after every storm everything can be brought to an end.
"""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from gateway.contract import Address
from gateway.domain.delivery import Delivery, DeliveryState
from gateway.domain.ids import SessionId, TurnId
from gateway.domain.policy import QueueLimits, Retention
from gateway.domain.turns import ClaimedTurn, TurnOutcome
from gateway.errors import Conflict, RequestError
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import MoveAddress, SetReachability
from gateway.store.protocol.outbox import DeliveryFilter, SendResult
from tests.store.builders import (
    ACCOUNT,
    PROJECT,
    accept_one,
    api_turn,
    chat_turn,
    command,
    commit,
    event,
    part,
    reply,
    terms,
)
from tests.store.test_finishing import asking
from tests.store.worlds import FixedClock

CHATS = [Address("tg", str(number)) for number in range(4)]
LIMITS = QueueLimits(queued_per_session=4, queued_per_project=12)


class Storm:
    """Random operations of two processes on one store."""

    def __init__(self, store: Store, clock: FixedClock, seed: int) -> None:
        self.store = store
        self.clock = clock
        self.chance = random.Random(seed)
        self.events = 0
        self.claimed: list[ClaimedTurn] = []
        self.sending: list[tuple[str, Delivery]] = []
        self.accepted: set[TurnId] = set()
        self.sessions: list[SessionId] = []
        self.deleted: set[SessionId] = set()
        self.sent: dict[Address, list[int]] = defaultdict(list)

    async def blow(self, steps: int) -> None:
        """So many random operations."""
        actions = [
            *[self.say] * 8,
            *[self.call] * 3,
            *[self.give_command] * 2,
            *[self.claim] * 5,
            *[self.finish] * 8,
            *[self.begin_sends] * 4,
            *[self.end_send] * 8,
            *[self.pass_time] * 2,
            self.cancel,
            self.resume,
            self.crash,
            self.leave_or_come_back,
            self.move,
            self.delete,
            self.replay,
            self.sweep,
        ]
        for _ in range(steps):
            await self.chance.choice(actions)()

    async def say(self) -> None:
        self.events += 1
        new = chat_turn(
            f"m{self.events}",
            address=self.chance.choice(CHATS),
            event=event(str(self.events)),
            delay_s=self.chance.choice([0, 0, 0, 2]),
            fresh_session=self.chance.random() < 0.05,
            busy_reply=(part("busy"),),
        )
        claim = terms("a", limit=2) if self.chance.random() < 0.5 else None
        accepted = await accept_one(self.store, new, limits=LIMITS, claim=claim)
        copy = await accept_one(self.store, new, limits=LIMITS)
        assert (copy.is_new, copy.turn_id) == (False, accepted.turn_id)
        assert accepted.turn_id is not None
        assert accepted.session_id is not None
        self.accepted.add(accepted.turn_id)
        self.sessions.append(accepted.session_id)
        if accepted.claimed:
            self.claimed.append(accepted.claimed)

    async def call(self) -> None:
        session_id = self.chance.choice(self.sessions) if self.sessions else None
        try:
            accepted = await accept_one(self.store, api_turn(session_id=session_id), limits=LIMITS)
        except RequestError:
            return
        assert accepted.turn_id is not None
        self.accepted.add(accepted.turn_id)

    async def give_command(self) -> None:
        answers = (part("one"), part("two", number=1))
        new = command(
            "/c",
            deliveries=answers[: self.chance.choice([0, 1, 2])],
            cancels=self.chance.random() < 0.3,
            ends_session="new" if self.chance.random() < 0.3 else None,
        )
        await accept_one(self.store, new)

    async def claim(self) -> None:
        owner = self.chance.choice("ab")
        self.claimed += await self.store.claim(terms(owner, limit=self.chance.choice([1, 3])))

    async def finish(self) -> None:
        if not self.claimed:
            return
        claimed = self.claimed.pop(self.chance.randrange(len(self.claimed)))
        parts = 0 if claimed.session.address is None else self.chance.choice([0, 1, 3])
        outcome = self.chance.choice(
            [
                reply(parts=parts),
                reply(parts=parts),
                reply(state="failed", parts=parts),
                TurnOutcome(state="dead"),
                TurnOutcome(state="cancelled"),
                TurnOutcome(state="queued"),
                TurnOutcome(state="queued", counts_attempt=False),
                asking(),
            ]
        )
        await commit(self.store, claimed, outcome)

    async def begin_sends(self) -> None:
        owner = self.chance.choice("ab")
        for delivery in await self.store.begin_sends(owner=owner, limit=3, channels=("tg",)):
            self.begun(owner, delivery)

    def begun(self, owner: str, delivery: Delivery) -> None:
        self.sending.append((owner, delivery))

    async def end_send(self) -> None:
        if not self.sending:
            return
        owner, delivery = self.sending.pop(self.chance.randrange(len(self.sending)))
        result = self.chance.choice(
            [
                SendResult(delivery_id=delivery.id, state="sent", provider_id="1"),
                SendResult(delivery_id=delivery.id, state="sent", blocked_s=2),
                SendResult(delivery_id=delivery.id, state="pending", again_in_s=2, counts=False),
                SendResult(delivery_id=delivery.id, state="pending"),
                SendResult(delivery_id=delivery.id, state="dead"),
                SendResult(delivery_id=delivery.id, state="dead", scope="address"),
                SendResult(delivery_id=delivery.id, state="held"),
                SendResult(delivery_id=delivery.id, state="ambiguous", again_in_s=2),
                SendResult(
                    delivery_id=delivery.id,
                    state="pending",
                    again_in_s=2,
                    blocked_s=2,
                    scope="account",
                ),
            ]
        )
        for following in await self.store.end_sends([result], owner=owner):
            self.begun(owner, following)

    async def pass_time(self) -> None:
        self.clock.advance(self.chance.choice([1, 5, 31]))

    async def cancel(self) -> None:
        if self.accepted:
            turn_id = self.chance.choice(sorted(self.accepted))
            await self.store.request_cancel(PROJECT, turn_id)

    async def resume(self) -> None:
        for turn_id in sorted(self.accepted):
            try:
                await self.store.resume_turn(PROJECT, turn_id, results={"call_1": "x"})
            except Conflict:
                continue

    async def crash(self) -> None:
        """Process a dies; b notices."""
        await self.store.release_abandoned(living=["b"])
        await self.store.doubt_abandoned(living=["b"])
        self.sending = [(owner, one) for owner, one in self.sending if owner == "b"]
        await self.decide_doubts()

    async def decide_doubts(self) -> None:
        for delivery in await self.store.ambiguous(limit=10):
            states: list[DeliveryState] = ["sent", "pending", "held"]
            result = SendResult(delivery_id=delivery.id, state=self.chance.choice(states))
            for following in await self.store.end_sends([result], owner="b"):
                self.begun("b", following)

    async def leave_or_come_back(self) -> None:
        self.events += 1
        change = SetReachability(
            project_id=PROJECT,
            event=event(str(self.events)),
            account=ACCOUNT,
            address=self.chance.choice(CHATS),
            is_reachable=self.chance.random() < 0.7,
        )
        await accept_one(self.store, change)

    async def move(self) -> None:
        self.events += 1
        old, new = self.chance.sample(CHATS, 2)
        entry = MoveAddress(
            project_id=PROJECT, event=event(str(self.events)), account=ACCOUNT, old=old, new=new
        )
        await accept_one(self.store, entry)

    async def delete(self) -> None:
        if self.sessions and self.chance.random() < 0.2:
            session_id = self.chance.choice(self.sessions)
            await self.store.delete_session(PROJECT, session_id)
            self.deleted.add(session_id)

    async def replay(self) -> None:
        given_up: frozenset[DeliveryState] = frozenset({"dead", "held", "expired"})
        for one in await self.store.deliveries(DeliveryFilter(states=given_up, limit=3)):
            if self.chance.random() < 0.5:
                await self.store.replay(PROJECT, one.id, to="pending")
            else:
                await self.store.replay(PROJECT, one.id, to="cancelled")

    async def sweep(self) -> None:
        await self.store.sweep(Retention(messages_days=30))

    async def calm_down(self) -> None:
        """Bring everything to an end that goes well."""
        await self.store.release_abandoned(living=[])
        await self.store.doubt_abandoned(living=[])
        for _ in range(500):
            self.clock.advance(40)
            await self.store.expire_waiting(after_s=0)
            turns = await self.store.claim(terms("z", limit=50))
            for claimed in turns:
                await commit(self.store, claimed)
            doubts = await self.store.ambiguous(limit=50)
            sends = await self.store.begin_sends(owner="z", limit=50, channels=("tg",))
            while sends or doubts:
                results = [SendResult(delivery_id=one.id, state="sent") for one in sends + doubts]
                for one in sends:
                    if not one.is_command_answer:
                        self.sent[one.address].append(one.out_no)
                doubts, sends = [], await self.store.end_sends(results, owner="z")
            if not turns and not await self.unsettled():
                return
        raise AssertionError("it never came to an end")

    async def unsettled(self) -> int:
        depth = await self.store.depth()
        open_states = ("pending", "sending", "open", "ambiguous")
        sends = sum(depth.deliveries.get(state, 0) for state in open_states)
        return depth.queued_turns + depth.running_turns + depth.waiting_turns + sends

    def now(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.clock())


@pytest.mark.parametrize("seed", range(12))
async def test_everything_holds_in_a_storm_and_ends_after_it(
    store: Store, clock: FixedClock, seed: int
) -> None:
    storm = Storm(store, clock, seed)
    for _ in range(5):
        await storm.blow(60)
        assert await store.verify() == [], f"seed {seed}"

    await storm.calm_down()

    for turn_id in storm.accepted:
        turn = await store.turn(PROJECT, turn_id)
        assert turn is None or turn.finished_at is not None
    for numbers in storm.sent.values():
        assert numbers == sorted(numbers)
