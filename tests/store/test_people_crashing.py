"""P1 to P3 for what people ask for: a process dies in it, and the platform says it again."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.people import IdentityKey
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import NewTurn, TerminalTurn
from gateway.store.protocol.outbox import DeliveryFilter
from gateway.store.sqlite.store import open_sqlite
from tests.store.builders import LIMITS, PROJECT, accept, accept_one, begin_sends, part, said
from tests.store.crashing import CrashableStore, Fate
from tests.store.people_builders import ann, consent, heard, link, rule
from tests.store.worlds import FixedClock

FATES: tuple[Fate, ...] = ("lost before commit", "lost after commit")
Make = Callable[[], NewTurn]


def command(text: str, **end: Any) -> NewTurn:
    """A command that is answered with its own words."""
    terminal = TerminalTurn(state="done", deliveries=(part(text),), **end)
    return heard("c", text, kind="command", terminal=terminal)


COMMANDS: dict[str, tuple[Make, list[str]]] = {
    "/help": (lambda: command("/help"), ["/help"]),
    "/stop": (lambda: command("/stop", cancels=True), ["/stop"]),
    "/new": (lambda: command("/new", cancels=True, ends_session="new"), ["/new"]),
    "link": (lambda: link("c"), ["linked"]),
    "wrong code": (lambda: link("c", "GHJK-6789"), ["wrong"]),
    "refused": (lambda: heard("c", access=rule()), ["private"]),
    "STOP": (lambda: consent("c"), []),
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CrashableStore]:
    """A store in which somebody has written, and somebody else has a link code."""
    empty = tmp_path / "empty"
    async with open_sqlite(empty / "gateway.db", lock=False, owner="", clock=FixedClock()):
        pass
    (tmp_path / "here").mkdir()
    crashable = CrashableStore(tmp_path / "here", template=empty)
    await crashable.start()
    await ann(crashable.here)
    await accept_one(crashable.here, heard("before"))
    yield crashable
    assert await crashable.verify() == []
    await crashable.close()


async def told(store: Store) -> list[str]:
    """What the person is sent, once each."""
    return [said(one) for one in await begin_sends(store)]


@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_whose_process_dies_is_written_and_answered_once(
    store: CrashableStore, name: str, fate: Fate
) -> None:
    make, answers = COMMANDS[name]
    entry = make()

    await store.call(lambda one: accept(one, entry), fate)
    again = [await accept_one(store.here, make()) for _ in range(3)]

    assert [one.is_new for one in again] == [fate == "lost before commit", False, False]
    assert len({one.turn_id for one in again}) == 1
    assert await told(store.here) == answers
    session = again[0].session_id
    assert session is not None
    turns = [trace.turn for trace in await store.here.traces(PROJECT, session)]
    assert [turn.kind for turn in turns] == ["message", "command"]


@pytest.mark.parametrize("fate", FATES)
async def test_two_are_made_one_or_they_are_not(store: CrashableStore, fate: Fate) -> None:
    await store.call(lambda one: accept(one, link("c")), fate)

    people = [
        (await store.here.put_participant(PROJECT, key))[0].id
        for key in (
            IdentityKey(platform="api", external_id="ann"),
            IdentityKey(platform="telegram", external_id="100"),
        )
    ]
    assert (people[0] == people[1]) == (fate == "lost after commit")

    await accept_one(store.here, link("c"))

    key = IdentityKey(platform="telegram", external_id="100")
    assert (await store.here.put_participant(PROJECT, key))[0].id == people[0]


@pytest.mark.parametrize("fate", FATES)
async def test_a_stop_is_heeded_whole_or_comes_again(store: CrashableStore, fate: Fate) -> None:
    await store.call(lambda one: accept(one, consent("c"), limits=LIMITS), fate)
    await accept_one(store.here, consent("c"))

    await accept_one(store.here, command("/help"))
    found = await store.here.deliveries(DeliveryFilter())

    assert await told(store.here) == []
    assert {one.state for one in found} <= {"cancelled"}
