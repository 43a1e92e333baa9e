"""`bot-gateway restore`: a backup in the place of the store, which is kept beside it."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.call import Call, common_options, examples
from gateway.cli.configuration import read_config
from gateway.cli.copying import progress, size
from gateway.cli.screen import print_json
from gateway.daemon.beside import restore
from gateway.store.copies import Restored


@click.command("restore", epilog=examples("bot-gateway restore /backups/gateway.db"))
@click.argument("file", type=click.Path(path_type=Path, readable=False))
@click.option(
    "--resume",
    is_flag=True,
    help="Let go on what was under way: nothing happened since.",
)
@common_options
def command(call: Call, file: Path, resume: bool) -> None:
    """Put a backup in the place of the store; the former files are kept beside it.

    The backup is checked first. Replies that were on their way when it was made are held, and turns
    that were not over are cancelled, as both may have been dealt with since; `dlq` shows what is
    held. Exit code 75 while a daemon runs on this data directory.
    """
    config = read_config(call)
    with progress() as tell:
        restored = restore(config, file, resume=resume, tell=tell)
    if call.wants_json:
        print_json(restored)
    else:
        _tell(restored, file)


def _tell(restored: Restored, source: Path) -> None:
    made = f"{size(restored.size_bytes)} in {restored.seconds:.1f} s"
    click.echo(f"{restored.file}: restored from {source}, {made}.")
    if restored.kept:
        click.echo(f"The former store is kept: {restored.kept[0]}")
    if restored.held:
        what = "reply is" if restored.held == 1 else "replies are"
        click.echo(f"{restored.held} {what} held: bot-gateway dlq list --state held")
    if restored.cancelled:
        what = "turn that was not over is" if restored.cancelled == 1 else "turns not over are"
        click.echo(f"{restored.cancelled} {what} cancelled.")
