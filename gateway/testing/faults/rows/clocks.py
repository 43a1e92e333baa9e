"""F18: somebody sets the machine's clock by an hour or a day, forwards or back.

libfaketime gives the daemon a wall clock that follows a file; the clock that only counts stays
true. People write, the platform tells every reply to wait, and while they wait the wall jumps;
then they are told to wait once more. Nothing may be sent before its time (the fake platform judges
that by its own clock), nothing much later, no part may expire, no turn may run twice. At last the
clock jumps while the daemon is dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Final

from gateway.testing.faults.fault import CannotRun, Fault, Observation, Stage
from gateway.testing.faults.props.telegram_scene import TelegramScene, early_sends, on_scene
from gateway.testing.kills.witness import Violation
from gateway.testing.scene import PATIENCE_S, logged
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.faults import BotCall, flood

LIBRARIES: Final = ("/usr/lib", "/usr/local/lib")
LIBRARY: Final = "libfaketimeMT.so.1"
SEND: Final = "sendMessage"
FOLLOWED: Final = "clock_jump_followed"
HOUR: Final = 3_600
DAY: Final = 24 * HOUR
JUMPS_S: Final = (DAY, -HOUR, -DAY, HOUR)
JUMPS_S_SMALL: Final = (DAY, -HOUR)
JUMPS_WHILE_DOWN_S_SMALL: Final = (-DAY,)
LOOK_AGAIN_S: Final = 0.05
NOTICED_S: Final = 10.0
LATE_S: Final = 60.0
"""What a reply may take beyond its own waits: much less than any jump.

Three chats refused within ten seconds hold the whole account, so every wave of refusals makes all
wait once more, and a wave is 30 sends by the pace of a bot. Of 40 chats that are each refused twice
the last is served in the fifth or sixth wave: up to 45 s after it was written, where its own waits
are 16 s.
"""


class WallClock:
    """The wall clock of a gateway, as a file that libfaketime reads; it can be set.

    Raises CannotRun where the library is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "wall-clock"
        self._ahead_s = 0
        self._library = _find_library()
        self.jump(0)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to live by it."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: int) -> None:
        """Set it that much further ahead (below 0: back) from one moment to the next."""
        self._ahead_s += seconds
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{self._ahead_s:+d}\n")
        fresh.replace(self._path)


async def _jump(stage: Stage) -> Observation:
    wall = WallClock(stage.folder)
    chats, wait_s = stage.pick(6, 40), stage.pick(2, 8)
    jumps = JUMPS_S if stage.is_large else JUMPS_S_SMALL
    jumps_while_down = JUMPS_S if stage.is_large else JUMPS_WHILE_DOWN_S_SMALL
    async with (
        TelegramServer() as telegram,
        on_scene(stage, telegram, environment=wall.environment) as scene,
    ):
        run = _Run(scene, wall, chats=chats, wait_s=wait_s)
        for jump_s in jumps:
            stage.tell(f"the wall clock jumps by {jump_s / HOUR:+.0f} h")
            if not run.found:
                await run.jump_at_work(jump_s)
        for jump_s in jumps_while_down:
            stage.tell(f"the wall clock jumps by {jump_s / HOUR:+.0f} h while the gateway is down")
            if not run.found:
                await run.jump_while_down(jump_s)
        found = [*run.found, *early_sends(telegram), *await scene.verdict()]
        attempts = [int(line["attempts"]) for line in logged(scene.gateway, "turn_finished")]
        found += judge_attempts(attempts)
        count = len(jumps) + len(jumps_while_down)
        return Observation(
            f"{count} jumps, {run.told} sends told to wait; {len(telegram.early)} early,"
            f" {len(telegram.sent())} of {len(scene.spoken)} replies arrived",
            found,
        )


class _Run:
    """Rounds of one jump each; `told` counts the sends that were told to wait."""

    def __init__(self, scene: TelegramScene, wall: WallClock, *, chats: int, wait_s: int) -> None:
        self._scene = scene
        self._telegram = scene.telegram
        self._wall = wall
        self._chats = chats
        self._wait_s = wait_s
        self.told = 0
        self.found: list[Violation] = []

    async def jump_at_work(self, jump_s: int) -> None:
        """Every reply waits while the clock jumps, and once more after it."""
        await self._have_all_wait(times=2)
        before = len(logged(self._scene.gateway, FOLLOWED))
        self._wall.jump(jump_s)
        await self._until_logged(FOLLOWED, before + 1)
        await self._have_all_arrive(waits=2)

    async def jump_while_down(self, jump_s: int) -> None:
        """Every reply waits while the process is killed, the clock jumps, and another starts."""
        await self._have_all_wait(times=1)
        # A write of its own comes after what was told is written: no send is in doubt then.
        await self._scene.gateway.wait_until_ready()
        self._scene.kills.append(monotonic())
        await self._scene.gateway.kill()
        self._wall.jump(jump_s)
        await self._scene.gateway.start()
        await self._have_all_arrive(waits=1)

    async def _have_all_wait(self, *, times: int) -> None:
        """Everybody writes, and the first so many tries of each reply are told to wait."""
        before = len(self._telegram.calls_of(SEND))
        refused = len(logged(self._scene.gateway, "delivery_not_sent"))
        for chat in range(1, self._chats + 1):
            self._telegram.fail(SEND, flood(self._wait_s), times=times, when=_is_to(chat))
            self._scene.write(chat)
        self.told += times * self._chats
        with self._expecting("nothing is sent late"):
            await self._telegram.wait_for_calls(SEND, before + self._chats, timeout_s=PATIENCE_S)
        await self._until_logged("delivery_not_sent", refused + self._chats, within_s=LATE_S)

    async def _have_all_arrive(self, *, waits: int) -> None:
        """Wait for a reply to everything said, for as long as that may take."""
        count = len(self._scene.spoken)
        with self._expecting("nothing is sent late"):
            await self._telegram.wait_for_sent(count, timeout_s=waits * self._wait_s + LATE_S)

    @contextmanager
    def _expecting(self, promise: str) -> Iterator[None]:
        """Note a broken promise when what is waited for does not come."""
        try:
            yield
        except TimeoutError as error:
            self.found.append(Violation(promise, "tg", str(error)))

    async def _until_logged(self, event: str, count: int, *, within_s: float = NOTICED_S) -> None:
        """Wait until the log has so many lines about an event."""
        deadline = monotonic() + within_s
        while len(logged(self._scene.gateway, event)) < count:
            if monotonic() > deadline:
                seen = f"not within {within_s:.0f} s"
                self.found.append(Violation(f"it is noticed: {event}", "log", seen))
                return
            await asyncio.sleep(LOOK_AGAIN_S)


def judge_attempts(attempts: Sequence[int]) -> list[Violation]:
    """Turns that were begun more than once: a lease ended before its time."""
    again = sum(count > 1 for count in attempts)
    if not again:
        return []
    seen = f"{again} of {len(attempts)} turns ran more than once"
    return [Violation("leases hold their time", "log", seen)]


def _is_to(chat: int) -> Callable[[BotCall], bool]:
    return lambda call: call.chat == chat


def _find_library() -> Path:
    for folder in LIBRARIES:
        for found in sorted(Path(folder).glob(f"**/faketime/{LIBRARY}")):
            return found
    raise CannotRun("libfaketime is not installed")


CLOCK: Final = Fault(
    id="F18",
    name="clock jumps",
    promise="no send early or late, no turn twice, none expired",
    injected="wall clock set by 1 h and 1 day, both ways",
    run=_jump,
)
