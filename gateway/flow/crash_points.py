"""Points of the message path at which a test can have this process die, as `kill -9` would have it.

Armed by the environment of a start: `BOT_GATEWAY_CRASH_AT=after_t3` dies there at once,
`after_t3:5` when the point is passed for the fifth time. A start without the variable dies nowhere;
what the points cost then is one comparison each.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Final, Literal, get_args

import structlog

from gateway.errors import ConfigError

log = structlog.get_logger(__name__)

ENVIRONMENT: Final = "BOT_GATEWAY_CRASH_AT"

CrashPoint = Literal[
    "after_receive",  # the intake was entered
    "before_t1",
    "after_t1",
    "before_ack",  # everything is committed, and whoever sent it is about to be told
    "after_t2",  # a turn was claimed; thinking has not begun
    "after_t2b",  # the row of a message that will grow is written; the platform knows nothing
    "after_opening",  # the platform opened that message; its reference is not stored
    "mid_llm",  # the model has begun to answer
    "before_t3",
    "after_t3",
    "after_t4",  # a part is marked as being sent; the platform knows nothing
    "after_send",  # the platform took it; that is not stored
    "after_t5",
]
CRASH_POINTS: Final[tuple[CrashPoint, ...]] = get_args(CrashPoint)
"""In the order in which a message passes them."""


@dataclass(slots=True)
class Fuse:
    """A crash point that was armed, and how often it may still be passed; no name = none was."""

    name: str | None = None
    passes_left: int = 0


def read_fuse(setting: str) -> Fuse:
    """What a value of the environment arms; raises ConfigError where it names no crash point.

    >>> read_fuse("after_t3:5")
    Fuse(name='after_t3', passes_left=5)
    >>> read_fuse("")
    Fuse(name=None, passes_left=0)
    """
    if not setting:
        return Fuse()
    name, colon, times = setting.partition(":")
    count = int(times) if times.isascii() and times.isdecimal() else int(not colon)
    if name not in CRASH_POINTS or count < 1:
        raise ConfigError(
            f"{ENVIRONMENT}: {setting!r} is no crash point; use NAME or NAME:TIMES"
            f" with one of {', '.join(CRASH_POINTS)}, or unset it"
        )
    return Fuse(name, count)


_fuse = Fuse()


def check_armed() -> None:
    """Arm what the environment names; raises ConfigError where it names no crash point."""
    armed = read_fuse(os.environ.get(ENVIRONMENT, ""))
    _fuse.name, _fuse.passes_left = armed.name, armed.passes_left
    if armed.name is not None:
        log.warning("crash_point_armed", name=armed.name, passes=armed.passes_left)


def crash_point(name: CrashPoint) -> None:
    """Die here if this point is armed and was passed often enough."""
    if name == _fuse.name:
        _pass_armed()


def _pass_armed() -> None:
    _fuse.passes_left -= 1
    if not _fuse.passes_left:
        os.kill(os.getpid(), signal.SIGKILL)
