"""`bot-gateway prove`: injects every fault into a throw-away gateway and shows what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from gateway.cli.call import Call, common_options, examples
from gateway.cli.failures import EXIT_FAILED, UsageProblem
from gateway.cli.screen import screen
from gateway.testing.faults.fault import Fault
from gateway.testing.faults.matrix import FAULTS, HISTORY_OF_KILLS, pick_faults
from gateway.testing.faults.proving import Row, Terms, prove
from gateway.testing.faults.report import as_json, as_markdown, table


@click.command(
    "prove",
    epilog=examples(
        "bot-gateway prove                       every fault, in minutes",
        "bot-gateway prove --kills 1000          kill -9, a thousand times, under load",
        "bot-gateway prove --fault F12 --large   a full disk, at length",
    ),
)
@click.option("--kills", metavar="N", type=click.IntRange(min=1), help="Kill so often.")
@click.option("--fault", "ids", metavar="F", multiple=True, help="Only this row; repeatable.")
@click.option("--large", is_flag=True, help="At the size for a night, not for minutes.")
@click.option("--seed", type=int, default=0, show_default=True, help="What chance begins with.")
@click.option("--markdown", is_flag=True, help="Print the matrix as Markdown.")
@common_options
@click.pass_context
def command(
    ctx: click.Context,
    call: Call,
    *,
    kills: int | None,
    ids: tuple[str, ...],
    large: bool,
    seed: int,
    markdown: bool,
) -> None:
    """Run the fault matrix against throw-away gateways, and print a line a fault.

    Promise, what was injected, what was observed, verdict. With --kills and no --fault only the
    kills are run, and the history they leave is checked. Nothing of your own gateway is touched:
    no configuration is read, all data lies in temporary folders. Exit code 1 when a promise was
    broken.
    """
    if kills is not None and not ids:
        ids = HISTORY_OF_KILLS
    try:
        faults = pick_faults(ids)
    except KeyError as error:
        known = ", ".join(fault.id for fault in FAULTS)
        raise UsageProblem(f"there is no fault {error.args[0]}; there are {known}") from None
    terms = Terms(size="large" if large else "small", seed=seed, kills=kills)
    rows = asyncio.run(_run(faults, terms))
    if call.wants_json:
        click.echo(as_json(rows))
    elif markdown:
        click.echo(as_markdown(rows))
    else:
        screen().print(table(rows))
    ctx.exit(EXIT_FAILED if any(row.verdict == "broken" for row in rows) else 0)


async def _run(faults: Sequence[Fault], terms: Terms) -> Sequence[Row]:
    """All rows; on a terminal with what happens at the moment, elsewhere with a line a row."""
    console = screen(on_errors=True)
    rows: list[Row] = []
    with _progress(console) as progress:
        task = progress.add_task("", total=None)

        def tell(fault: Fault, text: str) -> None:
            place = f"{len(rows) + 1} of {len(faults)}"
            progress.update(task, description=f"{place}  {fault.id} {fault.name}  {text}")

        async for row in prove(faults, terms, tell=tell):
            rows.append(row)
            line = f"{row.fault.id:<4} {row.verdict:<8} {row.seconds:5.0f} s  {row.seen}"
            progress.console.print(line, soft_wrap=True)
    return rows


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
