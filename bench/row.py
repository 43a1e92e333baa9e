"""One line of the benchmark's table: what was measured, and the bounds it is held to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One result: what was measured, what it is compared with, and the bound that must hold."""

    number: str
    what: str
    measured: str
    compared: str
    value: float
    must: float
    goal: float
    unit: Literal["x", "ms", "MiB", "s", ""] = "x"
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the bound that must hold does."""
        return self.value >= self.must if self.at_least else self.value <= self.must

    @property
    def reaches_goal(self) -> bool:
        """Whether the goal is reached too."""
        return self.value >= self.goal if self.at_least else self.value <= self.goal


def as_json(rows: Sequence[Row]) -> str:
    """The rows for scripts."""
    return json.dumps(
        [
            {
                "row": row.number,
                "what": row.what,
                "value": round(row.value, 3),
                "unit": row.unit,
                "must": row.must,
                "goal": row.goal,
                "holds": row.holds,
                "measured": row.measured,
                "compared": row.compared,
            }
            for row in rows
        ],
        indent=2,
    )
