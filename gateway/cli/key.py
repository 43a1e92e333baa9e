"""`bot-gateway key`: make, list, rotate and revoke API keys.

Works before the first start, beside a running daemon and without one. The text of a key is printed
once and stored nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, get_args

import click

from gateway.cli.call import Call, common_options, config_option, examples
from gateway.cli.configuration import read_config
from gateway.cli.durations import parse_duration, parse_moment
from gateway.cli.failures import UsageProblem
from gateway.cli.screen import add_row, print_json, print_list, shown, table
from gateway.config.problems import nearest
from gateway.config.values import Config, Project
from gateway.daemon.beside import beside
from gateway.domain.access import ApiKey, Role, Scope, web_origin
from gateway.domain.ids import KeyId, ProjectId
from gateway.service.keys import MAX_OVERLAP, MadeKey, NewKey

Value = TypeVar("Value")
Grant = dict[str, Any]
"""The options of `key create` by name, as click read them."""


@click.group("key")
@config_option
def command() -> None:
    """Make, list, rotate and revoke API keys."""


@command.command(
    "create",
    epilog=examples(
        "bot-gateway key create --project demo --name website --expires 90d",
        "bot-gateway key create --project demo --role admin",
        "bot-gateway key create --project demo --publishable --origin https://example.com",
    ),
)
@click.option("--project", required=True, help="Project the key belongs to.")
@click.option("--name", default="key", show_default=True, help="What it is for, for people.")
@click.option("--role", type=click.Choice(get_args(Role)), help="viewer reads, admin may all.")
@click.option("--scope", "scopes", multiple=True, help="What it may do; once for each.")
@click.option("--bot", "bots", multiple=True, help="Bot it reaches; once for each. [default: all]")
@click.option("--publishable", is_flag=True, help="A key for web pages: opens sessions only.")
@click.option("--origin", "origins", multiple=True, help="Web origin of those pages.")
@click.option(
    "--workspace",
    is_flag=True,
    help="Admin key that names its workspace; this version has no path that needs one.",
)
@click.option("--owner", help="E-mail of the person it belongs to.")
@click.option("--expires", help="A time (RFC 3339) or a duration (30d, 12h). [default: never]")
@common_options
def create(call: Call, /, **grant: Any) -> None:  # noqa: ANN401 - click hands options by name
    """Make a key and print it, this once."""
    config = read_config(call)
    project = _project(config, grant["project"])
    made = asyncio.run(_create(config, project.id, _new_key(config, project, grant)))
    _show_made(made, wants_json=call.wants_json)


@command.command("list")
@click.option("--project", help="Only keys of this project.")
@common_options
def list_keys(call: Call, project: str | None) -> None:
    """List all keys, closed ones included; never their texts."""
    config = read_config(call)
    only = _project(config, project).id if project else None
    keys = asyncio.run(_keys(config, only))
    if call.wants_json:
        print_json([_document(key) for key in keys])
        return
    if not keys:
        click.echo("There are no keys. Make one: bot-gateway key create --project PROJECT")
        return
    rows = table(None, "id", "name", "project", "kind", "begins", "state", "last used")
    for key in keys:
        begins = f"{key.hint}…"
        state = key_state(key, now=datetime.now(UTC))
        add_row(rows, key.id, key.name, key.project_id, key.kind, begins, state, key.last_used_at)
    print_list(rows)


@command.command("rotate", epilog=examples("bot-gateway key rotate ID --overlap 24h"))
@click.argument("key_id", metavar="ID")
@click.option("--overlap", default="0s", help="How long the old text still opens, like 24h.")
@common_options
def rotate(call: Call, key_id: str, overlap: str) -> None:
    """Give a key a new text, and print it this once."""
    until = _checked(parse_duration, overlap, option="--overlap")
    if until > MAX_OVERLAP:
        raise UsageProblem(f"--overlap {overlap}: at most {MAX_OVERLAP.days}d")
    made = asyncio.run(_rotate(read_config(call), KeyId(key_id), until))
    _show_made(made, wants_json=call.wants_json)


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@common_options
def revoke(call: Call, key_id: str) -> None:
    """Close a key for good: a running daemon refuses it within 5 seconds."""
    key = asyncio.run(_revoke(read_config(call), KeyId(key_id)))
    if call.wants_json:
        print_json(_document(key))
    else:
        click.echo(f"{key.id} ({key.name}) is revoked.")


def key_state(key: ApiKey, *, now: datetime) -> str:
    """Whether a key opens, in a word or two."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "open"
    if key.expires_at <= now:
        return "expired"
    return f"open until {shown(key.expires_at)}"


async def _create(config: Config, project_id: ProjectId, new: NewKey) -> MadeKey:
    async with beside(config) as desk:
        return await desk.keys.create(project_id, new)


async def _keys(config: Config, project_id: ProjectId | None) -> list[ApiKey]:
    async with beside(config) as desk:
        return await desk.keys.keys(project_id)


async def _rotate(config: Config, key_id: KeyId, overlap: timedelta) -> MadeKey:
    async with beside(config) as desk:
        return await desk.keys.rotate(None, key_id, overlap=overlap)


async def _revoke(config: Config, key_id: KeyId) -> ApiKey:
    async with beside(config) as desk:
        return await desk.keys.revoke(None, key_id)


def _new_key(config: Config, project: Project, grant: Grant) -> NewKey:
    """The options as a key; raises UsageProblem where they do not fit each other."""
    own_bots = [bot.slug for bot in config.bots() if bot.project_id == project.id]
    for bot in grant["bots"]:
        _known("bot", bot, own_bots)
    if grant["publishable"] and (grant["role"] or grant["scopes"] or grant["workspace"]):
        raise UsageProblem("--publishable goes without --role, --scope and --workspace")
    if grant["origins"] and not grant["publishable"]:
        raise UsageProblem("--origin belongs to --publishable")
    if grant["workspace"] and grant["role"] != "admin":
        raise UsageProblem("--workspace needs --role admin")
    expires, moment = grant["expires"], partial(parse_moment, now=datetime.now(UTC))
    return NewKey(
        name=grant["name"],
        kind="publishable" if grant["publishable"] else "secret",
        role=grant["role"],
        scopes=frozenset(_scope(text) for text in grant["scopes"]) or None,
        bots=frozenset(grant["bots"]),
        origins=tuple(_checked(web_origin, text, option="--origin") for text in grant["origins"]),
        owner=grant["owner"],
        workspace=project.workspace if grant["workspace"] else None,
        expires_at=_checked(moment, expires, option="--expires") if expires else None,
    )


def _project(config: Config, name: str) -> Project:
    projects = {project.id: project for project in config.projects()}
    _known("project", name, projects)
    return projects[ProjectId(name)]


def _scope(text: str) -> Scope:
    for scope in get_args(Scope):
        if scope == text:
            return scope  # type: ignore[no-any-return]  # get_args forgets that these are scopes
    raise UsageProblem(f'there is no scope "{text}"; {nearest(text, get_args(Scope))}')


def _known(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise UsageProblem(f'there is no {what} "{name}"; {nearest(name, known)}')


def _checked(parse: Callable[[str], Value], text: str, *, option: str) -> Value:
    try:
        return parse(text)
    except ValueError as error:
        raise UsageProblem(f"{option}: {error}") from error


def _show_made(made: MadeKey, *, wants_json: bool) -> None:
    key = made.key
    if wants_json:
        print_json({"id": key.id, "key": made.text, **_document(key)})
        return
    click.echo(made.text)
    click.echo(
        f"This is {key.id} ({key.kind}, project {key.project_id}). It is not shown again.", err=True
    )


def _document(key: ApiKey) -> dict[str, object]:
    """A key as programs read it; never its text."""
    return {
        "id": key.id,
        "name": key.name,
        "project": key.project_id,
        "kind": key.kind,
        "hint": key.hint,
        "role": key.role,
        "scopes": key.scopes,
        "bots": key.bots,
        "origins": key.origins,
        "owner": key.owner,
        "workspace": key.workspace,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
