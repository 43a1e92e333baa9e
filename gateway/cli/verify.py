"""`bot-gateway verify`: checks the invariants of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click

from gateway.cli.call import Call, common_options
from gateway.cli.configuration import read_config
from gateway.cli.failures import EXIT_FAILED
from gateway.cli.screen import add_row, print_json, screen, table
from gateway.config.values import Config
from gateway.daemon.beside import beside
from gateway.service.operations import Finding


@click.command("verify")
@common_options
@click.pass_context
def command(ctx: click.Context, call: Call) -> None:
    """Check the invariants of the whole store; 0 findings, or a table and exit code 1.

    Changes nothing, and may run beside a daemon.
    """
    config = read_config(call)
    with screen(on_errors=True).status("Reading the store ..."):
        findings = asyncio.run(_verify(config))
    if call.wants_json:
        print_json({"findings": findings})
    elif findings:
        rows = table(f"{len(findings)} findings", "invariant", "where", "seen")
        for finding in findings:
            add_row(rows, finding.invariant, finding.where, finding.detail)
        screen().print(rows)
    else:
        click.echo("0 findings: every invariant of the store holds.")
    ctx.exit(EXIT_FAILED if findings else 0)


async def _verify(config: Config) -> Sequence[Finding]:
    async with beside(config) as desk:
        return await desk.operations.verify()
