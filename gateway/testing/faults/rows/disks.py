"""F12 and F13: a disk without room, and a store that cannot be written.

A disk of a few MiB in memory is mounted where the gateway keeps its data, which takes root. Nothing
may be taken that is not on disk, nothing taken may be lost, and room alone has to be enough for
everything to go on.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import aiohttp

from gateway.testing.faults.fault import CannotRun, Fault, Observation, Stage
from gateway.testing.faults.props.talkers import Talkers, talking
from gateway.testing.kills.settled import LOOK_AGAIN_S, wait_until_settled
from gateway.testing.kills.witness import Violation
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, Caller, calling, logged

DISK_MIB = 8
PLACES = ("Ann", "Bob", "slowly Cid", "Dan")
REFUSALS = 5
KILLED_ROUNDS = (2, 6)
"""Not more: a turn that three kills in a row had cut off would be given up, as it should."""
NOT_READY_WITHIN_S = 15.0
RECOVERY_S = 5.0
REFUSED_WITHIN_S = 20.0
UNUSABLE = 78
WORTH_ANOTHER_TRY = 1
LOG = '\n[log]\nlevel = "info"\nformat = "json"\n'


@dataclass(slots=True)
class Trouble:
    """What was seen while the store could not take anything, and after."""

    not_ready_s: float | None = None
    refusals: int = 0
    recoveries: list[float] = field(default_factory=list)
    stuck: int = 0
    starts: list[int] = field(default_factory=list)


async def _fill_disk(stage: Stage) -> Observation:
    data = stage.folder / "data"
    rounds, hold_s = stage.pick(2, 10), stage.pick(1, 10)
    trouble = Trouble()
    with small_disk(data):
        async with GatewayProcess(stage.folder, config=SCRIPTED + DESK + LOG) as gateway:
            key = await gateway.create_key()
            await gateway.start()
            async with calling(gateway, key) as caller:
                async with talking(caller, PLACES) as people:
                    for number in range(1, rounds + 1):
                        stage.tell(f"full {number} of {rounds}")
                        await people.wait_for_answer(timeout_s=PATIENCE_S)
                        async with full(data / "ballast"):
                            await _be_refused(caller, people, trouble, hold_s=hold_s)
                            if number in KILLED_ROUNDS:
                                await gateway.kill()
                                await _start_on_full_disk(gateway, caller, trouble)
                        if not gateway.is_running:
                            await gateway.start()
                        _note_recovery(trouble, await people.wait_for_answer(timeout_s=PATIENCE_S))
                found = await wait_until_settled(gateway, patience_s=PATIENCE_S)
                found += await people.judge()
    slowest = max(trouble.recoveries, default=0.0)
    retried = len(logged(gateway, "commit_failed"))
    seen = (
        f"full {rounds} times: {trouble.refusals} refused, {people.said} taken and answered once,"
        f" {retried} results kept and tried again, on within {slowest:.1f} s of room"
    )
    return Observation(seen, [*judge_trouble(trouble), *found])


async def _be_refused(caller: Caller, people: Talkers, trouble: Trouble, *, hold_s: float) -> None:
    """See how it is told that nothing can be taken, and let it last for a while."""
    before, began = len(people.refused), monotonic()
    await people.wait_for_refusals(REFUSALS, timeout_s=REFUSED_WITHIN_S)
    trouble.not_ready_s = await seconds_until_not_ready(caller, began=began)
    await asyncio.sleep(hold_s)
    trouble.refusals += len(people.refused) - before


async def _start_on_full_disk(gateway: GatewayProcess, caller: Caller, trouble: Trouble) -> None:
    """Start it without any room: it serves and refuses, or ends so that it is started again."""
    await gateway.spawn()
    async with asyncio.timeout(PATIENCE_S):
        while gateway.is_running:
            try:
                await caller.call("GET", "/readyz")
                return
            except aiohttp.ClientError:
                await asyncio.sleep(LOOK_AGAIN_S)
    trouble.starts.append(await gateway.wait_for_end())


def _note_recovery(trouble: Trouble, seconds: float | None) -> None:
    if seconds is None:
        trouble.stuck += 1
    else:
        trouble.recoveries.append(seconds)


@asynccontextmanager
async def full(ballast: Path) -> AsyncIterator[None]:
    """No room on the disk of that file while inside, also when somebody gives some back."""
    filling = asyncio.create_task(_keep_full(ballast))
    try:
        yield
    finally:
        filling.cancel()
        await asyncio.wait((filling,))
        _free(ballast)


async def _keep_full(ballast: Path) -> None:
    while True:
        with ballast.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                await asyncio.sleep(0.05)


def _free(ballast: Path) -> None:
    ballast.unlink()


async def seconds_until_not_ready(caller: Caller, *, began: float) -> float | None:
    """How long after `began` readiness was off; None = it was not in time."""
    try:
        async with asyncio.timeout(NOT_READY_WITHIN_S):
            while True:
                if (await caller.call("GET", "/readyz")).status == 503:
                    return monotonic() - began
                await asyncio.sleep(LOOK_AGAIN_S)
    except aiohttp.ClientError:
        return monotonic() - began
    except TimeoutError:
        return None


def judge_trouble(trouble: Trouble) -> list[Violation]:
    """What must be seen of a store that could not take anything for a while."""
    found = []
    if trouble.refusals == 0:
        found.append(Violation("what cannot be stored is refused", "REST", "nothing was refused"))
    if trouble.not_ready_s is None or trouble.not_ready_s > NOT_READY_WITHIN_S:
        seen = "it stayed ready" if trouble.not_ready_s is None else f"{trouble.not_ready_s:.1f} s"
        found.append(Violation("readiness is off within 15 s", "/readyz", seen))
    found += [
        Violation("it goes on by itself within 5 s", "REST", f"it took {seconds:.1f} s")
        for seconds in trouble.recoveries
        if seconds > RECOVERY_S
    ]
    if trouble.stuck:
        seen = f"{trouble.stuck} times it did not go on at all"
        found.append(Violation("it goes on by itself within 5 s", "REST", seen))
    found += [
        Violation("a start without room may be tried again", "serve", f"it ended with {code}")
        for code in trouble.starts
        if code != WORTH_ANOTHER_TRY
    ]
    return found


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a start ended: its exit code (None = it did not), and the last line it wrote."""

    how: str
    code: int | None
    said: str


async def _deny_writing(stage: Stage) -> Observation:
    data, trouble = stage.folder / "data", Trouble()
    refusals = []
    with small_disk(data):
        async with GatewayProcess(stage.folder, config=SCRIPTED + DESK + LOG) as gateway:
            key = await gateway.create_key()
            await gateway.start()
            async with calling(gateway, key) as caller:
                async with talking(caller, PLACES) as people:
                    stage.tell("writes fail under a running gateway")
                    await people.wait_for_answer(timeout_s=PATIENCE_S)
                    await _fail_writes(gateway, caller, people, trouble, hold_s=stage.pick(1, 20))
                stage.tell("starts on a read-only disk")
                for is_killed in (False, True):
                    await (gateway.kill() if is_killed else gateway.stop())
                    with read_only(data):
                        refusals.append(await refused_start(gateway, "read-only disk"))
                    await gateway.start()
                found = await wait_until_settled(gateway, patience_s=PATIENCE_S)
                found += await people.judge()
    seen = (
        f"{trouble.refusals} calls refused while writes failed, {people.said} taken;"
        f" {len(refusals)} starts refused with {UNUSABLE}"
    )
    found += judge_refusals(refusals, remedy="write access")
    return Observation(seen, [*judge_trouble(trouble), *found])


async def _fail_writes(
    gateway: GatewayProcess, caller: Caller, people: Talkers, trouble: Trouble, *, hold_s: float
) -> None:
    """Let no file of the running process grow beyond what its log has, for a while."""
    before, began = len(people.refused), monotonic()
    limits = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    size = (gateway.folder / "data" / "gateway.db-wal").stat().st_size
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        await people.wait_for_refusals(REFUSALS, timeout_s=REFUSED_WITHIN_S)
        trouble.not_ready_s = await seconds_until_not_ready(caller, began=began)
        await asyncio.sleep(hold_s)
    finally:
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, limits)
    trouble.refusals += len(people.refused) - before
    _note_recovery(trouble, await people.wait_for_answer(timeout_s=PATIENCE_S))


async def refused_start(gateway: GatewayProcess, how: str) -> Refusal:
    """Start a gateway that is to end by itself; it is killed when it does not."""
    before, code = len(gateway.log), None
    await gateway.spawn()
    try:
        code = await gateway.wait_for_end()
    except TimeoutError:
        await gateway.kill()
    lines = gateway.log[before:].strip().splitlines()
    return Refusal(how, code, lines[-1] if lines else "")


def judge_refusals(refusals: Sequence[Refusal], *, remedy: str) -> list[Violation]:
    """Each start has to end with 78 and a line that names the remedy."""
    found = []
    for refusal in refusals:
        if refusal.code != UNUSABLE:
            seen = f"it ended with {refusal.code}: {refusal.said[:200]}"
            found.append(Violation("the start is refused with 78", refusal.how, seen))
        elif remedy not in refusal.said:
            seen = refusal.said[:200]
            found.append(Violation("the last line names the remedy", refusal.how, seen))
    return found


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A disk of a few MiB at a place while inside; raises CannotRun where none can be mounted."""
    if os.geteuid() != 0:
        raise CannotRun("a disk is mounted for it, which takes root")
    place.mkdir(mode=0o700)
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0700", "tmpfs", str(place))
    except subprocess.CalledProcessError as error:
        raise CannotRun(f"no disk can be mounted here: {error.stderr.strip()}") from error
    try:
        yield
    finally:
        _run("umount", "--lazy", str(place))


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """The disk at a place without writing; nobody may have a file open there."""
    _run("mount", "-o", "remount,ro", str(place))
    try:
        yield
    finally:
        _run("mount", "-o", "remount,rw", str(place))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own words


FULL_DISK = Fault(
    id="F12",
    name="disk full",
    promise="503 without ack, nothing lost, on within 5 s of room",
    injected=f"all room of a {DISK_MIB} MiB disk taken, kill -9 there",
    run=_fill_disk,
    needs=("mount", "umount"),
)
READ_ONLY = Fault(
    id="F13",
    name="store cannot be written",
    promise="a start is refused, a running one answers 503",
    injected="read-only disk at a start, failing writes in work",
    run=_deny_writing,
    needs=("mount", "umount"),
)
