"""`make bench`: every row in one run, as one table; exit 1 when a bound does not hold."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable

from rich.console import Console
from rich.table import Table

from bench import channels, rows
from bench.processes import LOAD_CPU, pin
from bench.row import Row, as_json

PARTS: dict[str, Callable[[], Awaitable[list[Row]]]] = {
    "cpu": rows.cpu_per_turn,
    "slow-model": rows.slow_model,
    "added": rows.added_time,
    "history": rows.long_history,
    "store": rows.large_store,
    "memory": rows.memory,
    "start": rows.start,
    "telegram": channels.telegram,
    "slack": channels.slack,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--json", action="store_true", help="print rows for scripts")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    pin(LOAD_CPU)
    found = asyncio.run(measure(options.parts or list(PARTS)))
    if options.json:
        print(as_json(found))
    else:
        Console().print(table(found))
    return 0 if all(row.holds for row in found) else 1


async def measure(names: list[str]) -> list[Row]:
    console = Console(stderr=True)
    found: list[Row] = []
    for name in names:
        with console.status(f"measuring: {name}"):
            found += await PARTS[name]()
    return found


def table(found: list[Row]) -> Table:
    made = Table("row", "what", "measured", "compared with", title="bot-gateway benchmark")
    for name in ("value", "must", "goal"):
        made.add_column(name, justify="right")
    made.add_column("")
    for row in found:
        sign = "≥" if row.at_least else "≤"
        verdict = "[green]goal[/]" if row.reaches_goal else "[yellow]holds[/]"
        made.add_row(
            row.number,
            row.what,
            row.measured,
            row.compared,
            f"{row.value:.2f} {row.unit}",
            f"{sign} {row.must:g}",
            f"{sign} {row.goal:g}",
            verdict if row.holds else "[red bold]misses[/]",
        )
    return made


if __name__ == "__main__":
    sys.exit(main())
