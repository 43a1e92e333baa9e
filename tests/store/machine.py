"""The bench of the model check: the store beside its model, and what must hold of both.

Rules that do something to them are in the other `machine_*` modules, by theme. A history is drawn
by Hypothesis; nothing here knows which step comes next.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from gateway.contract import Address
from gateway.domain.delivery import Delivery
from gateway.domain.ids import DeliveryId, SessionId, TurnId
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import TERMINAL, ClaimedTurn
from gateway.store.protocol import Store
from gateway.store.protocol.history import Page
from gateway.store.protocol.inbox import NewTurn
from gateway.store.protocol.outbox import DeliveryFilter
from gateway.store.sqlite.store import open_sqlite
from tests.store.builders import PROJECT
from tests.store.crashing import CrashableStore, Fate
from tests.store.model import Model

MEMORY = Path("/dev/shm")
"""A folder in memory, where there is one: a sync costs nothing there."""
LIMITS = QueueLimits(queued_per_session=3, queued_per_project=8)
PEER = "peer"
"""A second process that never dies."""

Result = TypeVar("Result")
picks = st.integers(0, 999)
fates: st.SearchStrategy[Fate] = st.sampled_from(
    ["returns"] * 8 + ["lost after commit", "lost before commit"]
)
chats = st.integers(0, 2).map(lambda number: Address("tg", str(number)))


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


class Bench(RuleBasedStateMachine):
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

    @initialize()
    def start(self) -> None:
        """The first process."""
        self.run(self.store.start())

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
