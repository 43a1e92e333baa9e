"""A wall clock that jumps: what waits keeps what is left of its wait, and nothing happens early."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.domain.policy import Retention
from gateway.errors import Scope
from gateway.store.protocol import Store
from gateway.store.protocol.coordination import Instance
from gateway.store.protocol.inbox import IdempotencyKey
from gateway.store.sqlite.clock import StoreClock
from gateway.store.sqlite.store import open_sqlite
from tests.store.builders import (
    accept_one,
    api_turn,
    begin_sends,
    chat_turn,
    claimed_turn,
    commit,
    end_send,
    repeat_key,
    talk,
    terms,
    texts,
)
from tests.store.test_finishing import asking
from tests.store.worlds import NOON

HOUR = 3_600.0
DAY = 24 * HOUR
TODAY = datetime(2026, 1, 1, tzinfo=UTC)
JUMPS = pytest.mark.parametrize("jump_s", [HOUR, -HOUR, DAY, -DAY])


class Machine:
    """A machine with a wall clock that can jump and one that only counts, and one store file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.boot = "one"
        self._wall = NOON
        self._counted = 1_000_000
        self._store_clock: StoreClock | None = None

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on."""
        self._wall += int(seconds * 1_000_000)
        self._counted += int(seconds * 1_000_000)

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._wall += int(seconds * 1_000_000)

    def start_anew(self, *, after_s: float) -> None:
        """The machine is off for a while."""
        self._wall += int(after_s * 1_000_000)
        self._counted = 0
        self.boot += "+"

    @property
    def wall(self) -> datetime:
        """What the wall clock shows."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._wall)

    def now(self) -> datetime:
        """What the clock of the process that was started last shows."""
        assert self._store_clock is not None
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self._store_clock())

    @asynccontextmanager
    async def process(self, *, serves: bool = True) -> AsyncIterator[Store]:
        """A process on the file; one that does not serve is a command."""

        def ticking(clock: str) -> Callable[[], int]:
            def read() -> int:
                self._wall += 1
                self._counted += 1
                return int(getattr(self, clock))

            return read

        clock = StoreClock(wall=ticking("_wall"), counted=ticking("_counted"), boot=self.boot)
        self._store_clock = clock
        opened = open_sqlite(self.path, lock=serves, owner="test", clock=clock)
        async with opened as store:
            yield store
            assert await store.verify() == []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "gateway.db")


@pytest.fixture
async def store(machine: Machine) -> AsyncIterator[Store]:
    async with machine.process() as opened:
        yield opened


def instance() -> Instance:
    """The process that serves."""
    return Instance("inst_1", "host", "1", started_at=TODAY, heartbeat_at=TODAY, snapshot={})


async def throttle(store: Store, *, seconds: float) -> None:
    """One part that may leave in so many seconds."""
    await talk(store, parts=1)
    (delivery,) = await begin_sends(store)
    await end_send(
        store, delivery, "pending", again_in_s=seconds, blocked_s=seconds, scope="account"
    )


class TestWhileRunning:
    async def test_the_store_follows_the_wall(self, store: Store, machine: Machine) -> None:
        machine.jump(-HOUR)

        assert await store.follow_clock() == pytest.approx(-HOUR)

        assert machine.now() == pytest.approx(machine.wall, abs=timedelta(milliseconds=1))
        assert await store.follow_clock() == 0

    async def test_a_small_difference_is_left_alone(self, store: Store, machine: Machine) -> None:
        machine.jump(4)

        assert await store.follow_clock() == 0

    @JUMPS
    async def test_a_throttled_part_leaves_neither_early_nor_late(
        self, store: Store, machine: Machine, jump_s: float
    ) -> None:
        await throttle(store, seconds=20)

        machine.jump(jump_s)
        assert await begin_sends(store) == []
        await store.follow_clock()
        machine.pass_time(19)
        assert await begin_sends(store) == []
        machine.pass_time(2)

        assert len(await begin_sends(store)) == 1

    @JUMPS
    @pytest.mark.parametrize("scope", ["address", "account"])
    async def test_a_throttle_that_is_over_stays_over(
        self, store: Store, machine: Machine, jump_s: float, scope: Scope
    ) -> None:
        await talk(store, parts=1)
        (delivery,) = await begin_sends(store)
        await end_send(store, delivery, blocked_s=2, scope=scope)
        machine.pass_time(3)

        machine.jump(jump_s)
        await store.follow_clock()
        await talk(store, parts=1)

        assert len(await begin_sends(store)) == 1

    @JUMPS
    async def test_a_wait_that_is_written_after_a_jump_is_as_long_as_told(
        self, store: Store, machine: Machine, jump_s: float
    ) -> None:
        await talk(store, parts=1)
        (delivery,) = await begin_sends(store)

        machine.jump(jump_s)
        await store.follow_clock()
        await end_send(store, delivery, "pending", again_in_s=20, blocked_s=20, scope="account")

        machine.pass_time(19)
        assert await begin_sends(store) == []
        machine.pass_time(2)
        assert len(await begin_sends(store)) == 1

    @JUMPS
    async def test_a_part_keeps_its_age(
        self, store: Store, machine: Machine, jump_s: float
    ) -> None:
        await talk(store, parts=1)
        machine.pass_time(60)

        machine.jump(jump_s)
        await store.follow_clock()

        (delivery,) = await begin_sends(store)
        assert delivery.age_s == pytest.approx(60, abs=0.001)

    @JUMPS
    async def test_a_lease_holds_as_long_as_it_would_have(
        self, store: Store, machine: Machine, jump_s: float
    ) -> None:
        await claimed_turn(store)

        machine.jump(jump_s)
        await store.follow_clock()
        machine.pass_time(29)
        assert await store.claim(terms("other")) == []
        machine.pass_time(2)

        assert len(await store.claim(terms("other"))) == 1

    @JUMPS
    async def test_a_turn_that_gathers_messages_waits_no_longer(
        self, store: Store, machine: Machine, jump_s: float
    ) -> None:
        await accept_one(store, chat_turn(delay_s=3))

        machine.jump(jump_s)
        await store.follow_clock()
        assert await store.claim(terms()) == []
        machine.pass_time(4)

        assert len(await store.claim(terms())) == 1

    @JUMPS
    async def test_a_question_waits_for_its_answer_no_shorter_and_no_longer(
        self, store: Store, machine: Machine, jump_s: float
    ) -> None:
        await commit(store, await claimed_turn(store), asking())

        machine.jump(jump_s)
        await store.follow_clock()
        machine.pass_time(HOUR - 1)
        assert await store.expire_waiting(after_s=HOUR) == 0
        machine.pass_time(2)

        assert await store.expire_waiting(after_s=HOUR) == 1

    async def test_a_repeat_key_is_kept_for_its_time(self, store: Store, machine: Machine) -> None:
        key: IdempotencyKey = repeat_key("k")
        first = await accept_one(store, api_turn(idempotency=key))
        retention = Retention(idempotency_h=24)

        machine.jump(2 * DAY)
        await store.follow_clock()
        assert await store.sweep(retention) == {}
        again = await accept_one(store, api_turn(idempotency=key))
        assert (again.is_new, again.turn_id) == (False, first.turn_id)
        machine.pass_time(DAY + HOUR)

        assert (await store.sweep(retention))["idempotency"] == 1

    @JUMPS
    async def test_messages_of_a_session_stay_in_order(
        self, store: Store, machine: Machine, jump_s: float
    ) -> None:
        first = await accept_one(store, chat_turn("before"))
        assert first.session_id is not None

        machine.jump(jump_s)
        await store.follow_clock()
        await accept_one(store, chat_turn("after"))

        assert await texts(store, first.session_id) == ["before", "after"]
        # `verify`, after each test, finds a time that does not rise.

    async def test_what_another_process_wrote_far_ahead_is_brought_back(
        self, store: Store, machine: Machine
    ) -> None:
        await throttle(store, seconds=3 * DAY)

        machine.jump(-HOUR)
        await store.follow_clock()

        assert len(await begin_sends(store)) == 1


class TestAcrossProcesses:
    @JUMPS
    async def test_a_jump_while_nobody_served_is_followed_at_the_start(
        self, machine: Machine, jump_s: float
    ) -> None:
        async with machine.process() as store:
            await throttle(store, seconds=20)
            await store.beat(instance())
        machine.pass_time(5)
        machine.jump(jump_s)

        async with machine.process() as store:
            assert machine.now() == pytest.approx(machine.wall, abs=timedelta(milliseconds=1))
            machine.pass_time(14)
            assert await begin_sends(store) == []
            machine.pass_time(2)
            assert len(await begin_sends(store)) == 1

    async def test_time_that_passed_between_two_processes_has_passed(
        self, machine: Machine
    ) -> None:
        async with machine.process() as store:
            await throttle(store, seconds=20)
            await store.beat(instance())
        machine.pass_time(21)

        async with machine.process() as store:
            assert len(await begin_sends(store)) == 1

    async def test_a_machine_that_comes_back_in_the_past_sends_nothing_early(
        self, machine: Machine
    ) -> None:
        async with machine.process() as store:
            await throttle(store, seconds=20)
            await store.beat(instance())
        machine.start_anew(after_s=-DAY)

        async with machine.process() as store:
            assert machine.now() == pytest.approx(machine.wall, abs=timedelta(milliseconds=1))
            assert await begin_sends(store) == []
            machine.pass_time(21)
            assert len(await begin_sends(store)) == 1

    async def test_a_command_has_the_time_of_the_process_that_serves(
        self, machine: Machine
    ) -> None:
        async with machine.process() as store:
            await store.beat(instance())
            machine.jump(DAY)

            async with machine.process(serves=False) as beside:
                await talk(beside, parts=1)

            assert len(await begin_sends(store)) == 1
