"""Backups and restores: what they tell while they work, and what they give. Knows no database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Phase = Literal["copying", "checking"]
Tell = Callable[[Phase, int, int], None]
"""Hears how far a phase has come: done of so many; 0 of 0 when nobody can say."""


def say_nothing(_phase: Phase, _done: int, _total: int) -> None:
    """For a copy that nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was made: complete, checked, and on disk. `findings` of `verify` in it."""

    file: Path
    size_bytes: int
    seconds: float
    findings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A store that was brought back.

    `kept` are the former files under their new names. `held` deliveries were on their way when the
    backup was made, and `cancelled` turns were not over; both are 0 when they were left to go on.
    """

    file: Path
    size_bytes: int
    seconds: float
    kept: tuple[Path, ...]
    held: int
    cancelled: int
