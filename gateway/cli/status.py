"""`bot-gateway status`: what runs on this store, its channels and its queues."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from shlex import quote

import click
from rich.console import Console
from rich.text import Text

from gateway.cli.call import Call, common_options
from gateway.cli.configuration import read_config
from gateway.cli.screen import add_row, age, as_json, print_json, screen, table
from gateway.config.values import Config
from gateway.daemon.beside import beside
from gateway.service.operations import GatewayStatus, Process, QueueDepth

STATE_STYLES = {"connected": "green", "starting": "yellow", "degraded": "yellow", "stopped": "red"}


@click.command("status")
@common_options
def command(call: Call) -> None:
    """Show what runs on this store, its channels and its queues.

    The state of the channels is what the daemon told with its last heartbeat, every 5 seconds.
    """
    config = read_config(call)
    status = asyncio.run(_status(config))
    if call.wants_json:
        print_json({"running": status.is_running, **_document(status)})
    else:
        _show(config, status)


async def _status(config: Config) -> GatewayStatus:
    async with beside(config) as desk:
        return await desk.operations.status()


def _document(status: GatewayStatus) -> dict[str, object]:
    depth = status.depth
    return {
        "instances": [as_json(process) for process in status.processes],
        "turns": {
            "queued": depth.queued_turns,
            "running": depth.running_turns,
            "waiting": depth.waiting_turns,
            "oldest_queued_at": depth.oldest_queued_at,
        },
        "deliveries": depth.deliveries,
    }


def _show(config: Config, status: GatewayStatus) -> None:
    console = screen()
    for process in status.processes:
        if process.is_alive or process is status.processes[0]:
            _show_process(console, process)
    if not status.is_running:
        where = config.settings.store.data_dir
        console.print(f"No gateway runs on {where}.", style="yellow")
        console.print(f"Start one: bot-gateway serve --config {quote(str(config.path))}")
    _show_queues(console, status.depth)


def _show_process(console: Console, process: Process) -> None:
    beat = f"last heartbeat {age(process.heartbeat_age_s)} ago"
    up_s = (datetime.now(UTC) - process.started_at).total_seconds()
    alive = f"up {age(up_s)}, {beat}" if process.is_alive else f"gone or stuck: {beat}"
    style = "green" if process.is_alive else "red"
    about = f" on {process.host}, version {process.version}"
    console.print(Text.assemble((process.id, "bold"), about + ", ", (alive, style)))
    channels = process.snapshot.get("channels")
    if not process.is_alive or not isinstance(channels, Mapping) or not channels:
        return
    rows = table("Channels", "name", "state", "heard", "sent", "reason")
    for name, told in channels.items():
        health = told if isinstance(told, Mapping) else {}
        state = str(health.get("state", "?"))
        moments = _ago(health.get("last_in_at")), _ago(health.get("last_out_at"))
        style = STATE_STYLES.get(state, "")
        add_row(rows, name, Text(state, style=style), *moments, health.get("reason"))
    console.print(rows)


def _ago(moment: object) -> str | None:
    """How long ago a moment of a snapshot was; None where it has not come yet."""
    if not isinstance(moment, str):
        return None
    return f"{age((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())} ago"


def _show_queues(console: Console, depth: QueueDepth) -> None:
    rows = table("Queues", "what", "how many")
    add_row(rows, "turns queued", depth.queued_turns)
    add_row(rows, "turns running", depth.running_turns)
    add_row(rows, "turns waiting for a caller", depth.waiting_turns)
    for state, count in sorted(depth.deliveries.items()):
        add_row(rows, f"deliveries {state}", count)
    if depth.oldest_queued_at is not None:
        waits_s = (datetime.now(UTC) - depth.oldest_queued_at).total_seconds()
        add_row(rows, "oldest queued turn waits", age(waits_s))
    console.print(rows)
