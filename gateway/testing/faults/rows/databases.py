"""F14 and F15: a database that is damaged or lost, and one that somebody else holds.

A start on a damaged database is refused with the way back named, a running gateway whose database
goes away takes nothing more and ends, and a backup restored has everything from before it. A lock
is waited for as long as a caller may wait; longer ones are refusals that pass by themselves.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from gateway.store.sqlite.connect import open_connection
from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.talkers import Talkers, talking
from gateway.testing.faults.rows.disks import (
    NOT_READY_WITHIN_S,
    REFUSED_WITHIN_S,
    Refusal,
    Trouble,
    judge_refusals,
    judge_trouble,
    refused_start,
    seconds_until_not_ready,
)
from gateway.testing.kills.settled import wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, Caller, calling, logged

PLACES = ("Ann", "Bob", "Cid", "Dan")
MESSAGES = 12
SMALL_DAMAGES = 2
PAGE_BYTES = 4096
HELD = 75
ABSORBED_S = 4.0
"""Less than the 5 s for which an operation waits for a lock."""
REMEDY = "bot-gateway restore"
LOG = '\n[log]\nlevel = "info"\nformat = "json"\n'

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""
"""Another program that writes to the database until its input ends."""

Damage = Callable[[Path, random.Random], None]


def _overwrite_pages(database: Path, dice: random.Random) -> None:
    """Nonsense over some pages; the first ones are damaged in other ways."""
    pages = database.stat().st_size // PAGE_BYTES
    with database.open("r+b") as file:
        for page in dice.sample(range(2, pages), 4):
            file.seek(page * PAGE_BYTES)
            file.write(dice.randbytes(PAGE_BYTES))


def _cut_in_half(database: Path, _dice: random.Random) -> None:
    _cut(database, database.stat().st_size // 2)


def _cut_to_nothing(database: Path, _dice: random.Random) -> None:
    _cut(database, 0)


def _overwrite_header(database: Path, dice: random.Random) -> None:
    with database.open("r+b") as file:
        file.write(dice.randbytes(PAGE_BYTES))


def _cut_log(database: Path, dice: random.Random) -> None:
    log = _log_of(database)
    _cut(log, dice.randrange(log.stat().st_size))


def _remove_log(database: Path, _dice: random.Random) -> None:
    _log_of(database).unlink()


def _overwrite_log(database: Path, dice: random.Random) -> None:
    log = _log_of(database)
    with log.open("r+b") as file:
        file.seek(dice.randrange(log.stat().st_size // PAGE_BYTES) * PAGE_BYTES)
        file.write(dice.randbytes(PAGE_BYTES))


DAMAGES: Mapping[str, Damage] = {
    "pages overwritten": _overwrite_pages,
    "header overwritten": _overwrite_header,
    "cut in half": _cut_in_half,
    "cut to nothing": _cut_to_nothing,
    "log overwritten": _overwrite_log,
    "log cut": _cut_log,
    "log removed": _remove_log,
}


@dataclass(slots=True)
class Loss:
    """What a running gateway did whose database went away."""

    not_ready_s: float | None = None
    code: int | None = None
    said: bool = False


async def _damage(stage: Stage) -> Observation:
    backup = stage.folder / "backup.db"
    async with GatewayProcess(stage.folder, config=SCRIPTED + DESK + LOG) as gateway:
        key = await gateway.create_key()
        await gateway.start()
        async with calling(gateway, key) as caller:
            async with talking(caller, PLACES) as people:
                await _say(people, MESSAGES)
            await gateway.run_json("backup", str(backup))
            async with talking(caller, ["Eve"]) as lost:
                await _say(lost, 2)
            await gateway.kill()
            refusals = await _refused_starts(stage, gateway)
            await gateway.start()
            loss = await _lose_while_running(gateway, caller)
            refusals.append(await refused_start(gateway, "removed"))
            restored = await gateway.run_json("restore", str(backup))
            await gateway.start()
            async with talking(caller, ["Fay"]) as more:
                await _say(more, 2)
            people.join(more)
            found = await wait_until_settled(gateway, patience_s=PATIENCE_S)
            found += await people.judge()
    seen = (
        f"{len(refusals)} starts refused with 78; removed in work: not ready after"
        f" {loss.not_ready_s or 0:.1f} s, exit {loss.code}; restored {restored['size_bytes']} bytes"
        f" with all {people.said} messages"
    )
    return Observation(seen, [*judge_refusals(refusals, remedy=REMEDY), *judge_loss(loss), *found])


async def _say(people: Talkers, count: int) -> None:
    """Let so many messages be taken."""
    for _ in range(count):
        await people.wait_for_answer(timeout_s=PATIENCE_S)


async def _refused_starts(stage: Stage, gateway: GatewayProcess) -> list[Refusal]:
    """Start on a copy of the data with each damage; a few of them where time is short.

    The data itself stays as the kill has left it.
    """
    dice, data, sound = stage.dice(), stage.folder / "data", stage.folder / "sound"
    _move(data, sound)
    refusals = []
    for _ in range(stage.pick(1, 10)):
        chosen = list(DAMAGES)
        if not stage.is_large:
            chosen = ["pages overwritten", *dice.sample(chosen[1:], SMALL_DAMAGES)]
        for how in chosen:
            stage.tell(how)
            _spoil(sound, data, how, dice)
            refusals.append(await refused_start(gateway, how))
            shutil.rmtree(data)
    _move(sound, data)
    return refusals


def _spoil(sound: Path, data: Path, how: str, dice: random.Random) -> None:
    """A damaged copy; what is to be damaged in the file itself is taken out of the log first."""
    shutil.copytree(sound, data)
    database = data / "gateway.db"
    if not how.startswith("log"):
        # Whoever closes a database last takes its log in.
        open_connection(database).close()
    DAMAGES[how](database, dice)


def _move(old: Path, new: Path) -> None:
    old.rename(new)


async def _lose_while_running(gateway: GatewayProcess, caller: Caller) -> Loss:
    """Remove the database of a running gateway."""
    began = monotonic()
    (gateway.folder / "data" / "gateway.db").unlink()
    loss = Loss()
    loss.not_ready_s = await _seconds_until_no_longer_ready(caller, gateway, began=began)
    async with asyncio.timeout(PATIENCE_S):
        loss.code = await gateway.wait_for_end()
    loss.said = bool(logged(gateway, "store_lost"))
    return loss


async def _seconds_until_no_longer_ready(
    caller: Caller, gateway: GatewayProcess, *, began: float
) -> float | None:
    """As for others, but the process may be gone before it is asked."""
    try:
        return await seconds_until_not_ready(caller, began=began)
    except OSError:
        await gateway.wait_for_end()
        return monotonic() - began


def judge_loss(loss: Loss) -> list[Violation]:
    """What must be seen of a gateway whose database went away."""
    found = []
    if loss.not_ready_s is None or loss.not_ready_s > NOT_READY_WITHIN_S:
        found.append(Violation("readiness is off within 15 s", "removed", "it stayed ready"))
    if loss.code != 78:
        found.append(Violation("it ends with 78", "removed", f"it ended with {loss.code}"))
    if not loss.said:
        found.append(Violation("the log says what was lost", "removed", "nothing was said"))
    return found


@dataclass(slots=True)
class Lock:
    """What was seen while somebody else held the database, or the data directory."""

    second_code: int | None = None
    second_s: float = 0.0
    second_said: str = ""
    short_refusals: int = 0
    long: Trouble = field(default_factory=Trouble)


async def _hold_lock(stage: Stage) -> Observation:
    lock, long_s = Lock(), stage.pick(12, 60)
    async with GatewayProcess(stage.folder, config=SCRIPTED + DESK + LOG) as gateway:
        key = await gateway.create_key()
        await gateway.start()
        database = stage.folder / "data" / "gateway.db"
        async with calling(gateway, key) as caller:
            async with talking(caller, PLACES) as people:
                await people.wait_for_answer(timeout_s=PATIENCE_S)
                stage.tell("a second process")
                await _serve_twice(gateway, lock)
                stage.tell(f"locked for {ABSORBED_S:.0f} s")
                async with locked(database):
                    await asyncio.sleep(ABSORBED_S)
                await people.wait_for_answer(timeout_s=PATIENCE_S)
                lock.short_refusals = len(people.refused)
                stage.tell(f"locked for {long_s} s")
                await _lock_for_long(database, caller, people, lock.long, long_s=long_s)
            found = await wait_until_settled(gateway, patience_s=PATIENCE_S)
            found += await people.judge()
    recovery_s = max(lock.long.recoveries, default=0.0)
    seen = (
        f"second process: {lock.second_code} after {lock.second_s:.1f} s; {ABSORBED_S:.0f} s:"
        f" {lock.short_refusals} refused; {long_s} s: {lock.long.refusals} refused, on within"
        f" {recovery_s:.1f} s; {people.said} taken and answered once"
    )
    return Observation(seen, [*judge_lock(lock), *found])


async def _serve_twice(gateway: GatewayProcess, lock: Lock) -> None:
    began = monotonic()
    lock.second_code, _, lock.second_said = await gateway.run("serve")
    lock.second_s = monotonic() - began


async def _lock_for_long(
    database: Path, caller: Caller, people: Talkers, trouble: Trouble, *, long_s: float
) -> None:
    before, began = len(people.refused), monotonic()
    async with locked(database):
        trouble.not_ready_s = await seconds_until_not_ready(caller, began=began)
        await asyncio.sleep(max(0.0, long_s - (monotonic() - began)))
    seconds = await people.wait_for_answer(timeout_s=PATIENCE_S)
    trouble.refusals = len(people.refused) - before
    if seconds is None:
        trouble.stuck += 1
    else:
        trouble.recoveries.append(seconds)


@asynccontextmanager
async def locked(database: Path) -> AsyncIterator[None]:
    """The write lock of a database, held by another process while inside."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLDER,
        str(database),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if holder.stdout is None:
        raise RuntimeError("it was given no pipe")
    try:
        if not await holder.stdout.readline():
            raise RuntimeError("the lock could not be had")
        yield
    finally:
        await holder.communicate(b"")


def judge_lock(lock: Lock) -> list[Violation]:
    """What must be seen of a lock that somebody else held."""
    found = []
    if lock.second_code != HELD:
        seen = f"it ended with {lock.second_code}: {lock.second_said[:200]}"
        found.append(Violation("a second process ends with 75", "serve", seen))
    if lock.second_s > REFUSED_WITHIN_S:
        seen = f"after {lock.second_s:.1f} s"
        found.append(Violation("a second process ends within 20 s", "serve", seen))
    if len(lock.second_said.strip().splitlines()) != 1:
        seen = lock.second_said[:200]
        found.append(Violation("a second process says why in one line", "serve", seen))
    if lock.short_refusals:
        seen = f"{lock.short_refusals} calls were refused"
        found.append(Violation("a short lock is waited for", "REST", seen))
    return [*found, *judge_trouble(lock.long)]


def _cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def _log_of(database: Path) -> Path:
    return database.with_name(database.name + "-wal")


DAMAGED = Fault(
    id="F14",
    name="database damaged or lost",
    promise="a start is refused, a restored backup is whole",
    injected="pages overwritten, file and log cut, removed in work",
    run=_damage,
)
LOCKED = Fault(
    id="F15",
    name="database locked",
    promise="4 s are waited for, longer is 503 and passes",
    injected="a second process, the lock held by another",
    run=_hold_lock,
)
