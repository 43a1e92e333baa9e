"""The fault matrix as a table for people, as JSON for programs, as Markdown for a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.testing.faults.proving import Row, Verdict

STYLES: dict[Verdict, str] = {"holds": "green", "broken": "bold red", "not run": "yellow"}
MOST_SHOWN = 20


def as_json(rows: Sequence[Row]) -> str:
    """The matrix for programs."""
    document = {
        "passed": all(row.verdict != "broken" for row in rows),
        "faults": [
            {
                "id": row.fault.id,
                "name": row.fault.name,
                "promise": row.fault.promise,
                "injected": row.fault.injected,
                "observed": row.seen,
                "verdict": row.verdict,
                "seconds": round(row.seconds, 1),
                "violations": [asdict(violation) for violation in row.violations],
            }
            for row in rows
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def table(rows: Sequence[Row]) -> RenderableType:
    """The matrix for people, and under it what was broken."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("", "promise", "injected", "observed"):
        made.add_column(column, overflow="fold")
    made.add_column("verdict", no_wrap=True)
    for row in rows:
        verdict = Text(row.verdict, style=STYLES[row.verdict])
        cells = (row.fault.id, row.fault.promise, row.fault.injected, row.seen)
        made.add_row(*map(Text, cells), verdict)
    broken = [
        Text(f"{row.fault.id}: {each.promise}: {each.where}: {each.seen}", style="red")
        for row in rows
        for each in row.violations[:MOST_SHOWN]
    ]
    return Group(made, *broken, _summary(rows))


def as_markdown(rows: Sequence[Row]) -> str:
    """The matrix as a Markdown table."""
    lines = [
        "| | promise | injected | observed | verdict |",
        "|---|---|---|---|---|",
        *(
            f"| {row.fault.id} | {_cell(row.fault.promise)} | {_cell(row.fault.injected)}"
            f" | {_cell(row.seen)} | {row.verdict} |"
            for row in rows
        ),
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _summary(rows: Sequence[Row]) -> Text:
    seconds = sum(row.seconds for row in rows)
    count = {verdict: sum(row.verdict == verdict for row in rows) for verdict in STYLES}
    told = [f"{number} {verdict}" for verdict, number in count.items() if number]
    style = "bold red" if count["broken"] else "bold green"
    return Text(f"{', '.join(told)}; {seconds:.0f} s", style=style)
