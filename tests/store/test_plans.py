"""How SQLite finds rows: nothing that runs while somebody waits may walk through a whole table.

Every statement of the store is explained by an empty database. SQLite guesses there that a project
is small, which is wrong in general: so the statements name their index where it matters.
"""

import importlib
import itertools
import pkgutil
import re
import sqlite3
from collections.abc import Iterator

import pytest

import gateway.store.sqlite as package
from gateway.store.sqlite import history, outbox
from gateway.store.sqlite.columns import DeliveryAt, SessionAt, TurnAt
from gateway.store.sqlite.schema import migrate

STATEMENT = re.compile(r"\s*(SELECT|UPDATE|DELETE|INSERT|WITH)\b")
GROWING = (
    "address|file|file_draft|file_piece|file_use|identity|idempotency|inbox|message|outbox|participant|session|tool_call|turn"
    "|turn_event"
)
# A scan of a partial index is a walk through what is at work, not through what is kept.
WALK = re.compile(
    rf"SCAN ({GROWING}|[a-z])( USING INDEX (?!turn_unfinished|outbox_lane).*)?$"
    r"|SEARCH (?!project )\S+ USING (PRIMARY KEY|INDEX \S+) \(project_id=\?\)$"
)
# Read from the oldest end, with a limit inside.
BOUNDED = {"sweeping._OLD_EVENTS", "sweeping._OLD_INBOX", "sweeping._OLD_KEYS"}
# Beginnings of lists, completed below; a handful of projects.
PIECES = {"history._LIST", "outbox._LIST", "history._FIND_PROJECT"}
EVERYTHING = {"verifying"}


def statements() -> Iterator[tuple[str, str]]:
    """Every complete statement of the store by name."""
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for name, value in vars(module).items():
            full_name = f"{info.name}.{name}"
            is_statement = isinstance(value, str) and STATEMENT.match(value)
            if is_statement and info.name not in EVERYTHING and full_name not in PIECES | BOUNDED:
                yield full_name, value


def lists() -> Iterator[tuple[str, str]]:
    """The lists of sessions and deliveries, for every pair of conditions."""
    conditions = list(history._CONDITIONS.items())
    for count in (0, 1, 2):
        for asked in itertools.combinations(conditions, count):
            for order in ("asc", "desc"):
                sql = (history._LIST, *(text for _, text in asked), history._ORDERS[order])
                yield f"sessions by {[name for name, _ in asked]} {order}", " ".join(sql)
    by_state = outbox._CONDITIONS["states"]
    for narrow in (outbox._IS_GIVEN_UP, outbox._IS_UNSETTLED):
        yield f"deliveries {narrow}", f"{outbox._LIST} {by_state} {narrow} {outbox._IN_ORDER}"
    of_turn = (outbox._CONDITIONS["project_id"], outbox._CONDITIONS["turn_id"])
    yield "deliveries of a turn", " ".join((outbox._LIST, *of_turn, outbox._IN_ORDER))


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    yield connection
    connection.close()


CASES = [pytest.param(name, sql, id=name) for name, sql in (*statements(), *lists())]


@pytest.mark.parametrize(("name", "sql"), CASES)
def test_no_statement_walks_through_a_table(
    database: sqlite3.Connection, name: str, sql: str
) -> None:
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    parameters = [None] * (max(numbered, default=0) or sql.count("?"))

    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]

    assert [step for step in plan if WALK.search(step)] == [], name


@pytest.mark.parametrize(
    ("view", "columns"),
    [("turn_row", TurnAt), ("delivery_row", DeliveryAt), ("session_row", SessionAt)],
)
def test_columns_stand_where_operations_look_for_them(
    database: sqlite3.Connection, view: str, columns: type
) -> None:
    found = [column[0] for column in database.execute(f"SELECT * FROM {view}").description]

    known = {name.lower(): at for name, at in vars(columns).items() if name.isupper()}
    assert {name: found.index(name) for name in known} == known
