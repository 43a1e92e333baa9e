"""`bot-gateway backup`: the store as one file, made beside a running daemon and checked."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.call import Call, common_options, examples
from gateway.cli.configuration import read_config
from gateway.cli.copying import progress, size
from gateway.cli.screen import print_json
from gateway.daemon.beside import backup


@click.command(
    "backup",
    epilog=examples(
        "bot-gateway backup /backups/gateway.db",
        "bot-gateway backup --force /backups/$(date +%A).db    a week of them",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option("--force", is_flag=True, help="Overwrite an earlier backup.")
@click.option("--with-findings", is_flag=True, help="Keep the copy of a store that is not sound.")
@common_options
def command(call: Call, file: Path, force: bool, with_findings: bool) -> None:
    """Copy the store to FILE, also while the daemon runs.

    The copy is of one moment, looked through to its last page and by `verify` before it gets its
    name. The server's secret stands beside the store, not in it: keep a copy of that too.
    """
    config = read_config(call)
    with progress() as tell:
        made = backup(config, file, overwrite=force, with_findings=with_findings, tell=tell)
    if call.wants_json:
        print_json(made)
        return
    checked = "checked" if not made.findings else f"checked, with {made.findings} findings"
    click.echo(f"{made.file}: {size(made.size_bytes)} in {made.seconds:.1f} s, {checked}.")
