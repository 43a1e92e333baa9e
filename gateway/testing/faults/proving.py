"""Runs faults one after the other, each in a folder of its own, and gives the rows of the matrix.

A run that breaks for a reason of its own counts as broken, never as held: what was not seen is not
proven. What the machine lacks makes a row `not run`, with the reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

from gateway.testing.faults.fault import CannotRun, Fault, Observation, Size, Stage
from gateway.testing.kills.witness import Violation

Verdict = Literal["holds", "broken", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one fault has shown."""

    fault: Fault
    verdict: Verdict
    seen: str
    violations: Sequence[Violation] = ()
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How big the runs are, and what chance begins with."""

    size: Size = "small"
    seed: int = 0
    kills: int | None = None


async def prove(
    faults: Sequence[Fault], terms: Terms, *, tell: Callable[[Fault, str], None]
) -> AsyncIterator[Row]:
    """Run the faults in order; each row as soon as it is known. `tell` hears of progress."""
    for fault in faults:
        tell(fault, "")
        began = monotonic()
        with tempfile.TemporaryDirectory(prefix="bot-gateway-prove-") as folder:
            verdict, observation = await _play(fault, terms, Path(folder), tell)
        yield Row(
            fault=fault,
            verdict=verdict,
            seen=observation.seen,
            violations=observation.violations,
            seconds=monotonic() - began,
        )


async def _play(
    fault: Fault, terms: Terms, folder: Path, tell: Callable[[Fault, str], None]
) -> tuple[Verdict, Observation]:
    stage = Stage(
        folder=folder,
        size=terms.size,
        seed=terms.seed,
        kills=terms.kills,
        tell=lambda text: tell(fault, text),
    )
    try:
        fault.check_needs()
        observation = await fault.run(stage)
    except CannotRun as error:
        return "not run", Observation(str(error))
    except Exception as error:  # noqa: BLE001 - whatever ends a run early, the row is not proven
        broken = Violation("the run comes to its end", fault.id, f"{type(error).__name__}: {error}")
        return "broken", Observation("the run broke off", [broken])
    return ("broken" if observation.violations else "holds"), observation
