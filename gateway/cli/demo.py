"""What `serve --demo` says when it is ready: where to click, what to paste, how to go on.

The lines go to standard output, plain where no terminal is; the `curl` line is never broken.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

import click

from gateway import __version__
from gateway.config.values import Config
from gateway.domain.bots import Bot
from gateway.domain.ids import ProjectId
from gateway.service.keys import KeyService, NewKey

DEMO_KEY = "demo"
QUESTION = "What is my outstanding balance?"
MODEL_VARIABLE = "BOT_GATEWAY_MODEL"
"""Chooses the model in config.example.toml, whose head tells the other variables."""


async def fresh_key(keys: KeyService, project_id: ProjectId) -> str:
    """The text of a new demo key; the former ones of that project are closed first."""
    for key in await keys.keys(project_id):
        if key.name == DEMO_KEY and not key.is_personal and key.revoked_at is None:
            await keys.revoke(project_id, key.id)
    made = await keys.create(project_id, NewKey(name=DEMO_KEY))
    return made.text


def default_bot(config: Config) -> Bot | None:
    """The bot a newcomer meets: the default one of the first project that has any."""
    bots = config.bots()
    return next((bot for bot in bots if bot.is_default), bots[0] if bots else None)


def announce(config: Config, bot: Bot, *, key: str) -> None:
    """Print how to talk to the bot."""
    lines = [
        ("Chat page", _chat_page(config, bot)),
        ("REST", curl_line(config.settings.server.shown_url, bot, key=key)),
        ("Terminal", f"{_program()} chat {bot.slug} --config {_as_typed(config.path)}"),
        ("Real model", real_model(config)),
    ]
    is_pretty = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    click.echo()
    title = f"bot-gateway {__version__} is ready"
    click.echo(click.style(title, bold=True, fg="green") if is_pretty else title)
    for label, text in lines:
        if text is not None:
            shown = click.style(f"{label:<12}", fg="cyan") if is_pretty else f"{label}: "
            click.echo(f"  {shown}{text}")
    click.echo()
    sys.stdout.flush()


def curl_line(url: str, bot: Bot, *, key: str) -> str:
    """A line for a shell that asks the bot a question over REST."""
    body = json.dumps({"bot": bot.slug, "input": QUESTION})
    words = [
        "curl -sS",
        shlex.quote(f"{url}/v1/chat"),
        f"-H 'Authorization: Bearer {key}'",
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(body)}",
    ]
    return " ".join(words)


def real_model(config: Config) -> str | None:
    """How to put a real model behind the bots; None when there is one already."""
    if any(model.provider != "scripted" for model in config.models().values()):
        return None
    if MODEL_VARIABLE in config.path.read_text(encoding="utf-8"):
        return (
            f"{MODEL_VARIABLE}=openai OPENAI_API_KEY=sk-... make run"
            f"   (Ollama, vLLM: see the head of {config.path.name})"
        )
    return 'add a [models.NAME] with provider = "openai" and name it as the model of the bot'


def _program() -> str:
    """The command as it was called here, so that the line can be pasted."""
    called = Path(sys.argv[0])
    return _as_typed(called) if called.name == "bot-gateway" else "python -m gateway"


def _as_typed(path: Path) -> str:
    """A path, from the working directory where it lies below it."""
    return shlex.quote(os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path))


def _chat_page(config: Config, bot: Bot) -> str | None:
    if not config.settings.surfaces.talk:
        return None
    return f"{config.settings.server.shown_url}/talk/{bot.slug}"
