"""`bot-gateway turns`: turns that do not go on, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import click

from gateway.cli.call import Call, common_options, config_option, examples
from gateway.cli.configuration import read_config
from gateway.cli.durations import parse_duration
from gateway.cli.failures import EXIT_FAILED, UsageProblem
from gateway.cli.screen import add_row, age, print_json, print_list, table
from gateway.config.values import Config
from gateway.daemon.beside import beside
from gateway.service.stuck import StuckTurn


@click.group("turns")
@config_option
def command() -> None:
    """Turns that do not go on."""


@command.command(
    "stuck",
    epilog=examples("bot-gateway turns stuck", "bot-gateway turns stuck --older-than 1h --json"),
)
@click.option("--older-than", default="5m", show_default=True, help="How long, like 5m or 1h.")
@common_options
@click.pass_context
def stuck(ctx: click.Context, call: Call, /, older_than: str) -> None:
    """Show turns that have been queued, running or waiting for long, and why.

    Exit code 1 when there are any, so that a script can tell.
    """
    try:
        limit = parse_duration(older_than)
    except ValueError as error:
        raise UsageProblem(f"--older-than: {error}") from error
    found = asyncio.run(_find(read_config(call), limit))
    if call.wants_json:
        print_json([_document(each) for each in found])
    elif not found:
        click.echo(f"Nothing is stuck: no turn has waited or run for longer than {older_than}.")
    else:
        rows = table(None, "turn", "state", "for", "bot", "channel", "why")
        for each in found:
            turn = each.turn
            add_row(rows, turn.id, turn.state, age(each.for_s), turn.bot, turn.channel, each.why)
        print_list(rows)
    ctx.exit(EXIT_FAILED if found else 0)


async def _find(config: Config, older_than: timedelta) -> Sequence[StuckTurn]:
    async with beside(config) as desk:
        return await desk.stuck.find(older_than=older_than)


def _document(stuck_turn: StuckTurn) -> dict[str, object]:
    turn = stuck_turn.turn
    return {
        "id": turn.id,
        "project": turn.project_id,
        "session_id": turn.session_id,
        "state": turn.state,
        "kind": turn.kind,
        "bot": turn.bot,
        "channel": turn.channel,
        "attempts": turn.attempts,
        "since": turn.since,
        "for_s": stuck_turn.for_s,
        "owner": turn.owner,
        "behind": turn.behind,
        "why": stuck_turn.why,
    }
