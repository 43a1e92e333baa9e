"""`bot-gateway sessions`: lists sessions of all projects and shows their transcripts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from gateway.cli.call import Call, common_options, config_option, examples
from gateway.cli.configuration import read_config
from gateway.cli.failures import UsageProblem
from gateway.cli.screen import add_row, as_json, print_json, print_list, screen, shown, table
from gateway.config.problems import nearest
from gateway.config.values import Config
from gateway.daemon.beside import beside
from gateway.domain.conversation import Message, Session, SessionStatus
from gateway.service.operations import Transcript

ROLE_STYLES = {"user": "bold cyan", "assistant": "bold green", "operator": "bold magenta"}


@click.group("sessions")
@config_option
def command() -> None:
    """List sessions, show their transcripts."""


@command.command(
    "list", epilog=examples("bot-gateway sessions list --bot support --status active --limit 5")
)
@click.option("--bot", help="Only sessions of this bot.")
@click.option("--status", type=click.Choice(["active", "ended"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@common_options
def list_sessions(call: Call, bot: str | None, status: SessionStatus | None, limit: int) -> None:
    """List sessions, the newest first."""
    config = read_config(call)
    slugs = [known.slug for known in config.bots()]
    if bot is not None and bot not in slugs:
        raise UsageProblem(f'there is no bot "{bot}"; {nearest(bot, slugs)}')
    found = asyncio.run(_sessions(config, bot=bot, status=status, limit=limit))
    if call.wants_json:
        print_json([_document(session) for session in found])
    elif not found:
        click.echo("There are no such sessions.")
    else:
        rows = table(None, "id", "bot", "channel", "agent", "status", "waiting", "last change")
        for s in found:
            add_row(rows, s.id, s.bot, s.channel, s.agent, s.status, s.pending, s.updated_at)
        print_list(rows)


@command.command("show", epilog=examples("bot-gateway sessions show ID --internal"))
@click.argument("session_id", metavar="ID")
@click.option("--internal", is_flag=True, help="Also drafts, tool calls and their results.")
@common_options
def show(call: Call, session_id: str, internal: bool) -> None:
    """Show a session's transcript."""
    found = asyncio.run(_transcript(read_config(call), session_id, internal=internal))
    if call.wants_json:
        messages = [_message(message) for message in found.messages]
        print_json({**_document(found.session), "messages": messages})
    else:
        _show(screen(), found)


async def _sessions(
    config: Config, *, bot: str | None, status: SessionStatus | None, limit: int
) -> Sequence[Session]:
    async with beside(config) as desk:
        return await desk.operations.sessions(bot=bot, status=status, limit=limit)


async def _transcript(config: Config, session_id: str, *, internal: bool) -> Transcript:
    async with beside(config) as desk:
        return await desk.operations.transcript(session_id, with_internal=internal)


def _document(session: Session) -> dict[str, object]:
    return {
        "id": session.id,
        "project": session.project_id,
        "bot": session.bot,
        "channel": session.channel,
        "participant_id": session.participant_id,
        "agent": session.agent,
        "holder": session.holder,
        "status": session.status,
        "end_reason": session.end_reason,
        "pending": session.pending,
        "title": session.title,
        "tags": session.tags,
        "metadata": session.metadata,
        "state": session.state,
        "created_at": session.created_at,
        "updated_at": session.updated_at,
    }


def _message(message: Message) -> dict[str, object]:
    return {
        "id": message.id,
        "seq": message.seq,
        "turn_id": message.turn_id,
        "role": message.role,
        "agent": message.agent,
        "visibility": message.visibility,
        "text": message.text,
        "tool_calls": [as_json(call) for call in message.tool_calls],
        "tool_call_id": message.tool_call_id,
        "incomplete": message.is_incomplete,
        "delivery": as_json(message.delivery),
        "created_at": message.created_at,
    }


def _show(console: Console, found: Transcript) -> None:
    session = found.session
    facts = table(None, session.id, session.status)
    add_row(facts, "bot", f"{session.bot} (project {session.project_id})")
    add_row(facts, "channel", session.channel)
    add_row(facts, "participant", session.participant_id)
    add_row(facts, "answers next", session.agent or "the start agent")
    add_row(facts, "began", session.created_at)
    console.print(facts)
    for message in found.messages:
        _show_message(console, message)


def _show_message(console: Console, message: Message) -> None:
    speaker = message.agent or message.tool_name or message.role
    head = Text(speaker, style=ROLE_STYLES.get(message.role, "dim"))
    notes = [shown(message.created_at)]
    if message.visibility == "internal":
        notes.append("internal")
    if message.is_incomplete:
        notes.append("incomplete")
    if message.delivery is not None:
        notes.append(message.delivery.status)
    head.append(f"  {', '.join(notes)}", style="dim")
    console.print(head)
    for call in message.tool_calls:
        console.print(
            Padding(Text(f"{call.name}({call.arguments})", style="dim"), (0, 0, 0, 2), expand=False)
        )
    if message.text:
        console.print(Padding(Text(message.text), (0, 0, 0, 2), expand=False))
    console.print()
