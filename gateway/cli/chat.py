"""`bot-gateway chat`: talk to a bot in the terminal, or from a script.

Where no daemon holds the data directory the turns run in this process; else the daemon runs them
and this process waits for what they leave in the store.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial

import click

from gateway.cli.call import Call, common_options, examples
from gateway.cli.chat_output import JsonOutput, Output, PersonOutput, ScriptOutput
from gateway.cli.configuration import read_whole_config
from gateway.cli.demo import default_bot
from gateway.cli.failures import EXIT_FAILED, UsageProblem
from gateway.cli.talk import Opening, Talk
from gateway.cli.terminal import interactive
from gateway.config.problems import nearest
from gateway.config.values import Config
from gateway.daemon.beside import beside
from gateway.daemon.life import working
from gateway.daemon.waiting import waiting
from gateway.domain.access import DEFAULT_SCOPES, Principal
from gateway.domain.bots import Bot
from gateway.domain.conversation import Session
from gateway.domain.ids import ProjectId, SessionId
from gateway.domain.people import IdentityKey
from gateway.errors import ConfigError, HeldElsewhere, NotFound
from gateway.registry import Registry
from gateway.service.history import SessionFilter
from gateway.service.listing import Page
from gateway.service.services import Services
from gateway.telemetry.logs import configure_logs


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the person asked for."""

    bot: str | None
    session: str | None
    is_new: bool
    wants_json: bool

    @property
    def is_person(self) -> bool:
        """Whether somebody sits at a terminal, so that lines are asked for and text may grow."""
        has_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
        return has_terminal and not self.wants_json


@click.command(
    "chat",
    epilog=examples(
        "bot-gateway chat",
        "bot-gateway chat support --new",
        "echo 'What is my outstanding balance?' | bot-gateway chat support",
    ),
)
@click.argument("bot", required=False)
@click.option("--session", metavar="ID", help="Go on with this session.")
@click.option("--new", "is_new", is_flag=True, help="Begin a new session.")
@common_options
@click.pass_context
def command(
    ctx: click.Context, call: Call, bot: str | None, session: str | None, is_new: bool
) -> None:
    """Talk to BOT (a slug; else the default bot) in the terminal.

    Goes on with your last session with that bot. Ctrl-C stops the answer, Ctrl-D leaves. Lines of a
    pipe are answered one by one in a new session, the answers alone on standard output; --json
    gives a line of JSON for each.
    """
    if session and is_new:
        raise UsageProblem("--session and --new exclude each other")
    registry = Registry()
    config = read_whole_config(call, registry)
    configure_logs(level="error", log_format=config.settings.log.format)
    wishes = Wishes(bot=bot, session=session, is_new=is_new, wants_json=call.wants_json)
    has_failed = asyncio.run(_chat(config, registry, wishes))
    ctx.exit(EXIT_FAILED if has_failed else 0)


async def _chat(config: Config, registry: Registry, wishes: Wishes) -> bool:
    """Talk until the input ends; whether some turn failed."""
    bot = _bot(config, wishes.bot)
    async with AsyncExitStack() as stack:
        is_attended: Callable[[], Awaitable[bool]] | None = None
        try:
            parts = await stack.enter_async_context(working(config, registry=registry))
        except HeldElsewhere:
            parts = await stack.enter_async_context(waiting(config, registry=registry))
            is_attended = partial(_is_attended, config)
        opening = await _opening(config, parts.services, bot, wishes=wishes)
        talk = Talk(parts.services, opening, output=_output(wishes), is_attended=is_attended)
        if not wishes.is_person:
            await talk.answer_lines()
        else:
            with interactive(talk.interrupt):
                await talk.converse()
        return talk.output.has_failed


async def _is_attended(config: Config) -> bool:
    """Whether some process at work on the store told so a moment ago."""
    async with beside(config) as desk:
        return (await desk.operations.status()).is_running


async def _opening(config: Config, services: Services, bot: Bot, *, wishes: Wishes) -> Opening:
    """Who talks with whom, and where; raises NotFound and UsageProblem."""
    name = getpass.getuser()
    identity = IdentityKey(platform="api", external_id=f"terminal:{name}", name=name)
    session: Session | None = None
    if wishes.session is not None:
        session = await _named_session(config, services, SessionId(wishes.session))
        if wishes.bot is not None and session.bot != bot.slug:
            raise UsageProblem(f"{session.id} is a session of the bot {session.bot}")
        bot = next((known for known in config.bots() if known.slug == session.bot), bot)
    principal = _operator(bot.project_id, name)
    if session is None and wishes.is_person and not wishes.is_new:
        session = await _last_session(services, principal, bot, identity)
    return Opening(principal=principal, bot=bot, identity=identity, session=session)


def _output(wishes: Wishes) -> Output:
    if wishes.wants_json:
        return JsonOutput()
    if wishes.is_person:
        return PersonOutput(has_colour=not os.environ.get("NO_COLOR"))
    return ScriptOutput()


async def _named_session(config: Config, services: Services, session_id: SessionId) -> Session:
    for project in config.projects():
        with suppress(NotFound):
            return await services.history.session(_operator(project.id, ""), session_id)
    raise NotFound(f"There is no session {session_id}.")


async def _last_session(
    services: Services, principal: Principal, bot: Bot, identity: IdentityKey
) -> Session | None:
    """The person's newest session with the bot that was not ended."""
    participant, _ = await services.people.put(principal, identity)
    which = SessionFilter(participant_id=participant.id, bot=bot.slug, status="active")
    found = await services.history.sessions(principal, which, page=Page(limit=1))
    return next(iter(found.items), None)


def _operator(project_id: ProjectId, name: str) -> Principal:
    """Whoever may run commands on this machine may talk to every bot of the project."""
    return Principal(
        id=f"terminal:{name}",
        project_id=project_id,
        kind="secret",
        role="editor",
        scopes=DEFAULT_SCOPES,
    )


def _bot(config: Config, slug: str | None) -> Bot:
    """The bot that was named, or the default one."""
    bots = {bot.slug: bot for bot in config.bots()}
    if slug is None:
        found = default_bot(config)
        if found is None:
            raise ConfigError(f"{config.path}: there is no bot to talk to; add [[bots]]")
        return found
    if slug not in bots:
        raise UsageProblem(f'there is no bot "{slug}"; {nearest(slug, bots)}')
    return bots[slug]
