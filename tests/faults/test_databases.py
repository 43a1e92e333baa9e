"""The judges of the rows about disks and databases see a broken promise; the damage is real."""

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.testing.faults.fault import CannotRun
from gateway.testing.faults.rows.databases import (
    DAMAGES,
    Lock,
    Loss,
    judge_lock,
    judge_loss,
    locked,
)
from gateway.testing.faults.rows.disks import (
    Refusal,
    Trouble,
    judge_refusals,
    judge_trouble,
    read_only,
    small_disk,
)

REMEDY = "bot-gateway restore"


def trouble(**fields: object) -> Trouble:
    """A store that took nothing for a while, told so, and went on."""
    fine: dict[str, object] = {"not_ready_s": 1.0, "refusals": 5, "recoveries": [0.2]}
    return Trouble(**{**fine, **fields})  # type: ignore[arg-type] # as the fields are


def lock(**fields: object) -> Lock:
    """A second process that was sent away, a short lock that was waited for."""
    fine: dict[str, object] = {
        "second_code": 75,
        "second_s": 2.0,
        "second_said": "error: held\n",
        "long": trouble(),
    }
    return Lock(**{**fine, **fields})  # type: ignore[arg-type] # as the fields are


def test_a_trouble_as_promised_breaks_nothing() -> None:
    assert judge_trouble(trouble(starts=[1])) == []


@pytest.mark.parametrize(
    ("fields", "promise"),
    [
        ({"refusals": 0}, "what cannot be stored is refused"),
        ({"not_ready_s": None}, "readiness is off within 15 s"),
        ({"not_ready_s": 16.0}, "readiness is off within 15 s"),
        ({"recoveries": [0.1, 5.5]}, "it goes on by itself within 5 s"),
        ({"stuck": 1}, "it goes on by itself within 5 s"),
        ({"starts": [1, 78]}, "a start without room may be tried again"),
    ],
    ids=str,
)
def test_each_broken_promise_of_a_trouble_is_seen(fields: dict[str, object], promise: str) -> None:
    assert [each.promise for each in judge_trouble(trouble(**fields))] == [promise]


def test_a_refused_start_names_the_way_back() -> None:
    refusals = [
        Refusal("fine", 78, f"error: damaged. {REMEDY} FILE"),
        Refusal("runs all the same", None, "gateway_ready"),
        Refusal("says nothing", 78, "error: damaged"),
    ]

    found = judge_refusals(refusals, remedy=REMEDY)

    assert [(each.where, each.promise) for each in found] == [
        ("runs all the same", "the start is refused with 78"),
        ("says nothing", "the last line names the remedy"),
    ]


@pytest.mark.parametrize(
    "loss",
    [Loss(None, 78, said=True), Loss(1.0, 1, said=True), Loss(1.0, 78, said=False)],
    ids=["ready", "other code", "silent"],
)
def test_a_lost_database_has_to_be_noticed_and_told(loss: Loss) -> None:
    assert judge_loss(Loss(1.0, 78, said=True)) == []
    assert len(judge_loss(loss)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"second_code": 1},
        {"second_s": 21.0},
        {"second_said": "one\ntwo\n"},
        {"short_refusals": 1},
        {"long": trouble(refusals=0)},
    ],
    ids=str,
)
def test_each_broken_promise_of_a_lock_is_seen(fields: dict[str, object]) -> None:
    assert judge_lock(lock()) == []
    assert len(judge_lock(lock(**fields))) == 1


@pytest.mark.parametrize("how", DAMAGES)
def test_every_damage_changes_its_file(tmp_path: Path, how: str) -> None:
    database = tmp_path / "gateway.db"
    files = (database, tmp_path / "gateway.db-wal")
    for file in files:
        file.write_bytes(bytes(50 * 4096))

    DAMAGES[how](database, random.Random(1))

    changed = [not file.exists() or file.read_bytes() != bytes(50 * 4096) for file in files]
    assert changed == ([False, True] if how.startswith("log") else [True, False])


async def test_a_lock_is_held_as_long_as_the_block(tmp_path: Path) -> None:
    database = tmp_path / "some.db"
    with closing(sqlite3.connect(database, isolation_level=None, timeout=0)) as other:
        other.execute("CREATE TABLE t (x)")

        async with locked(database):
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("INSERT INTO t VALUES (1)")
        other.execute("INSERT INTO t VALUES (1)")


def test_a_small_disk_is_small_and_goes_away(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    try:
        with small_disk(place):
            room = os.statvfs(place).f_blocks * os.statvfs(place).f_frsize
            with read_only(place), pytest.raises(OSError, match="Read-only"):
                (place / "file").touch()
            (place / "file").touch()
    except CannotRun as reason:
        pytest.skip(f"no disk can be mounted here: {reason}")

    assert room == 8 * 1024 * 1024
    assert list(place.iterdir()) == []
