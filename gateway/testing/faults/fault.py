"""What a fault is: the promise it tests, how it is injected, and what running it gives.

A row of the matrix. `run` gets a `Stage`, an empty folder and the size of the run, injects the
fault into a gateway of its own and gives an `Observation`: what was seen, and every broken
promise. It raises `CannotRun` where the machine lacks what it needs, and nothing else on purpose.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway.testing.kills.witness import Violation

Size = Literal["small", "large"]


class CannotRun(Exception):
    """The machine lacks something; the text says what, and how to get it."""


def _say_nothing(_text: str) -> None:
    """For a run that nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where and how big a fault is played.

    `folder` is empty and its own. `small` runs in seconds and belongs to the test suite, `large`
    may take minutes. `seed` chooses whatever is left to chance. `kills` overrides how often F1
    kills. `tell` takes a few words of progress.
    """

    folder: Path
    size: Size = "small"
    seed: int = 0
    kills: int | None = None
    tell: Callable[[str], None] = _say_nothing

    @property
    def is_large(self) -> bool:
        """Whether there is time."""
        return self.size == "large"

    def pick(self, small: int, large: int) -> int:
        """The number that goes with the size."""
        return large if self.is_large else small

    def dice(self) -> random.Random:
        """Chance, the same for the same seed."""
        return random.Random(self.seed)

    def room(self, name: str) -> Path:
        """A fresh folder inside, for a fault that needs several gateways."""
        path = self.folder / name
        path.mkdir()
        return path


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen: one line with figures, and every broken promise; none = the row holds."""

    seen: str
    violations: Sequence[Violation] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A row of the matrix.

    `promise` is what must hold, `injected` what is done, each in a few words. `needs` names the
    commands of the machine without which it cannot run.
    """

    id: str
    name: str
    promise: str
    injected: str
    run: Callable[[Stage], Awaitable[Observation]]
    needs: tuple[str, ...] = ()

    def check_needs(self) -> None:
        """Raise CannotRun when a command is missing."""
        missing = [name for name in self.needs if shutil.which(name) is None]
        if missing:
            raise CannotRun(f"{', '.join(missing)} is not installed")
