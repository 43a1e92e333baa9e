"""`bot-gateway participants`: shows a person, and makes codes that link them across channels."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import click

from gateway.cli.call import Call, common_options, config_option, examples
from gateway.cli.configuration import read_config
from gateway.cli.screen import add_row, age, as_json, print_json, print_list, screen, table
from gateway.config.values import Config
from gateway.daemon.beside import beside
from gateway.domain.ids import ParticipantId
from gateway.service.operations import Person
from gateway.service.standing import MadeCode


@click.group("participants")
@config_option
def command() -> None:
    """Show people, link them across channels."""


@command.command("show", epilog=examples("bot-gateway participants show par_01k…"))
@click.argument("participant_id", metavar="ID")
@common_options
def show(call: Call, participant_id: str) -> None:
    """Show a person: where they are known, whether they may be written to, their sessions."""
    found = asyncio.run(_person(read_config(call), participant_id))
    if call.wants_json:
        print_json(_document(found))
    else:
        _show(found)


@command.command("link", epilog=examples("bot-gateway participants link par_01k…"))
@click.argument("participant_id", metavar="ID")
@common_options
def link(call: Call, participant_id: str) -> None:
    """Make a code by which a person becomes known on another channel.

    They send `link CODE` there within ten minutes: whoever does is this participant from then on,
    and may write where `access = "pairing"`. The code works once and is not shown again.
    """
    made = asyncio.run(_link(read_config(call), participant_id))
    if call.wants_json:
        print_json(
            {
                "code": made.text,
                "participant_id": made.participant_id,
                "expires_at": made.expires_at,
            }
        )
        return
    left = age((made.expires_at - datetime.now(UTC)).total_seconds() + 1)
    click.echo(f"Let the person send this on the other channel within {left}:\n")
    click.echo(f"    link {made.text}")


async def _person(config: Config, participant_id: str) -> Person:
    async with beside(config) as desk:
        return await desk.operations.person(participant_id)


async def _link(config: Config, participant_id: str) -> MadeCode:
    async with beside(config) as desk:
        project_id, present = await desk.standing.find(ParticipantId(participant_id))
        return await desk.standing.make_code(project_id, present)


def _document(found: Person) -> dict[str, object]:
    participant = found.participant
    return {
        "id": participant.id,
        "project": participant.project_id,
        "name": participant.name,
        "metadata": participant.metadata,
        "data": found.document,
        "identities": [as_json(identity) for identity in participant.identities],
        "sessions": [session.id for session in found.sessions],
        "created_at": participant.created_at,
        "updated_at": participant.updated_at,
    }


def _show(found: Person) -> None:
    participant = found.participant
    facts = table(None, participant.id, "")
    add_row(facts, "name", participant.name)
    add_row(facts, "project", participant.project_id)
    add_row(facts, "known since", participant.created_at)
    for name, value in found.document.items():
        add_row(facts, name, value)
    screen().print(facts)
    identities = table("Known as", "platform", "id there", "name", "blocked", "opted out")
    for one in participant.identities:
        cells = (one.platform, one.external_id, one.name, one.blocked, one.opted_out)
        add_row(identities, *cells)
    print_list(identities)
    sessions = table("Newest sessions", "id", "bot", "channel", "status", "last change")
    for session in found.sessions:
        add_row(
            sessions, session.id, session.bot, session.channel, session.status, session.updated_at
        )
    print_list(sessions)
