"""Group commit: many operations in one transaction, each on its own when it fails."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.errors import NotFound, StoreError, Unprocessable
from gateway.store.sqlite.writer import Writer

INSERT = "INSERT INTO thing (name) VALUES (?)"


class Watch:
    """What the writer tells beside its results."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.doubts = 0

    def after_commit(self, changed_rows: int) -> None:
        self.groups.append(changed_rows)

    def on_doubt(self) -> None:
        self.doubts += 1


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def writer(tmp_path: Path, watch: Watch) -> AsyncIterator[Writer]:
    opened = Writer(tmp_path / "things.db")
    opened.start(after_commit=watch.after_commit, on_doubt=watch.on_doubt)
    await opened.run(lambda db: db.execute("CREATE TABLE thing (name TEXT UNIQUE)").close())
    watch.groups.clear()
    watch.doubts = 0
    yield opened
    await opened.close()


def add(name: str) -> Callable[[sqlite3.Connection], str]:
    """An operation that writes a name and gives it back."""

    def operation(db: sqlite3.Connection) -> str:
        db.execute(INSERT, (name,))
        return name

    return operation


def add_and_fail(name: str) -> Callable[[sqlite3.Connection], str]:
    """An operation that writes and then raises."""

    def operation(db: sqlite3.Connection) -> str:
        db.execute(INSERT, (name,))
        raise NotFound(name)

    return operation


def fail(_db: sqlite3.Connection) -> str:
    """An operation that raises before it has written."""
    raise NotFound("nothing")


async def names(writer: Writer) -> list[str]:
    """What is stored."""
    return await writer.run(
        lambda db: [row[0] for row in db.execute("SELECT name FROM thing ORDER BY name")]
    )


async def test_operations_asked_for_together_are_one_commit(writer: Writer, watch: Watch) -> None:
    results = await asyncio.gather(*(writer.run(add(str(number))) for number in range(50)))

    assert results == [str(number) for number in range(50)]
    assert watch.groups == [50]


async def test_operations_run_in_the_order_they_were_asked_for(writer: Writer) -> None:
    order: list[int] = []

    def operation(number: int) -> Callable[[sqlite3.Connection], None]:
        return lambda _: order.append(number)

    await asyncio.gather(*(writer.run(operation(number)) for number in range(20)))

    assert order == list(range(20))


async def test_a_failing_operation_undoes_itself_and_nothing_else(writer: Writer) -> None:
    results = await asyncio.gather(
        writer.run(add("a")),
        writer.run(add_and_fail("b")),
        writer.run(add("c")),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [str, NotFound, str]
    assert await names(writer) == ["a", "c"]


async def test_a_refusal_before_any_write_costs_the_group_nothing(
    writer: Writer, watch: Watch
) -> None:
    results = await asyncio.gather(
        writer.run(add("a")), writer.run(fail), writer.run(add("c")), return_exceptions=True
    )

    assert [type(result) for result in results] == [str, NotFound, str]
    assert watch.doubts == 0


async def test_what_is_known_is_doubted_when_something_was_undone(
    writer: Writer, watch: Watch
) -> None:
    with pytest.raises(NotFound):
        await writer.run(add_and_fail("a"))

    assert watch.doubts > 0


async def test_what_is_known_is_doubted_when_another_process_has_written(
    writer: Writer, watch: Watch, tmp_path: Path
) -> None:
    await writer.run(add("a"))
    before = watch.doubts
    other = sqlite3.connect(tmp_path / "things.db", isolation_level=None)
    other.execute(INSERT, ("b",))
    other.close()

    await writer.run(add("c"))

    assert (before, watch.doubts) == (0, 1)


async def test_an_error_of_the_database_in_one_operation_leaves_the_others(
    writer: Writer,
) -> None:
    results = await asyncio.gather(
        writer.run(add("a")), writer.run(add("a")), writer.run(add("b")), return_exceptions=True
    )

    assert [type(result) for result in results] == [str, StoreError, str]
    assert await names(writer) == ["a", "b"]


async def test_a_mistake_in_an_operation_reaches_its_caller_alone(writer: Writer) -> None:
    def broken(db: sqlite3.Connection) -> None:
        db.execute(INSERT, ("gone",))
        raise KeyError("mistake")

    results = await asyncio.gather(writer.run(broken), writer.run(add("a")), return_exceptions=True)

    assert [type(result) for result in results] == [KeyError, str]
    assert await names(writer) == ["a"]


async def test_nobody_gets_a_result_when_the_commit_fails(writer: Writer) -> None:
    def broken(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA defer_foreign_keys = ON")
        db.execute("INSERT INTO child VALUES (99)")

    def tables(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        db.execute("CREATE TABLE child (id INTEGER REFERENCES parent)")

    await writer.run(tables)

    results = await asyncio.gather(writer.run(add("a")), writer.run(broken), return_exceptions=True)

    assert [type(result) for result in results] == [StoreError, StoreError]
    assert await names(writer) == []


async def test_text_the_database_cannot_hold_is_refused_as_such(writer: Writer) -> None:
    with pytest.raises(Unprocessable):
        await writer.run(add("half \ud83d"))

    assert await names(writer) == []


async def test_a_caller_who_went_away_disturbs_nobody(writer: Writer) -> None:
    gone = asyncio.create_task(writer.run(add("a")))
    stays = asyncio.create_task(writer.run(add("b")))
    await asyncio.sleep(0)
    gone.cancel()

    assert await stays == "b"
    assert gone.cancelled() or gone.cancelling()


async def test_everything_asked_for_is_done_before_it_closes(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "things.db")
    writer.start()
    await writer.run(lambda db: db.execute("CREATE TABLE thing (name TEXT)").close())
    waiting = [asyncio.create_task(writer.run(add(str(number)))) for number in range(10)]
    await asyncio.sleep(0)

    await writer.close()

    assert len(await asyncio.gather(*waiting)) == 10
    assert "store-writer" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(StoreError):
        await writer.run(add("late"))


async def test_a_large_crowd_is_served_in_several_groups(writer: Writer, watch: Watch) -> None:
    await asyncio.gather(*(writer.run(add(str(number))) for number in range(1000)))

    assert sum(watch.groups) == 1000
