"""`bot-gateway migrate`: brings the database up to this version's schema."""

from __future__ import annotations

import click

from gateway.cli.call import Call, common_options
from gateway.cli.configuration import read_config
from gateway.cli.screen import print_json
from gateway.daemon.beside import migrate


@click.command("migrate")
@common_options
def command(call: Call) -> None:
    """Bring the database up to this version's schema, before the daemon is started.

    `serve` does the same when it starts. Exit code 75 while a daemon runs on this data directory.
    """
    config = read_config(call)
    store = config.settings.store.file
    steps = migrate(config)
    if call.wants_json:
        print_json({"store": store, "applied": steps})
    elif steps:
        what = "migration" if len(steps) == 1 else "migrations"
        click.echo(f"{store}: applied {what} {', '.join(map(str, steps))}.")
    else:
        click.echo(f"{store}: nothing to do, the schema is up to date.")
