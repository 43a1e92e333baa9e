"""`bot-gateway check`: reads the configuration, connects to nothing, shows what would run."""

from __future__ import annotations

import click
from rich.console import Console

from gateway.cli.call import Call, common_options, examples
from gateway.cli.configuration import read_whole_config
from gateway.cli.screen import add_row, print_json, screen, table
from gateway.config.values import Config
from gateway.domain.bots import Bot
from gateway.domain.models import ModelSpec
from gateway.registry import Registry


@click.command(
    "check",
    epilog=examples(
        "bot-gateway check", "bot-gateway check --config /etc/bot-gateway/config.toml --json"
    ),
)
@common_options
def command(call: Call) -> None:
    """Read the configuration, connect to nothing, and show what would run.

    Every mistake is told with file, line and remedy; exit code 78 when there is one.
    """
    config = read_whole_config(call, Registry())
    if call.wants_json:
        print_json(plan(config))
    else:
        _show(config)


def plan(config: Config) -> dict[str, object]:
    """What would run, as JSON values; no secret is in it."""
    settings, server = config.settings, config.settings.server
    return {
        "config": config.path,
        "listen": server.listen,
        "public_url": server.shown_url,
        "store": settings.store.url,
        "projects": [
            {"id": p.id, "name": p.name, "workspace": p.workspace} for p in config.projects()
        ],
        "bots": [_bot(bot) for bot in config.bots()],
        "models": [_model(model) for model in config.models().values()],
        "channels": [
            {
                "name": spec.name,
                "kind": spec.kind,
                "bot": spec.bot,
                "project": spec.project_id,
                "enabled": spec.is_enabled,
                "required": spec.is_required,
                "access": spec.access,
            }
            for spec in config.channels()
        ],
        "surfaces": settings.surfaces.model_dump(),
        "limits": settings.limits.model_dump(),
        "retention": settings.retention.model_dump(),
        "notes": config.notes,
    }


def _bot(bot: Bot) -> dict[str, object]:
    return {
        "slug": bot.slug,
        "id": bot.uuid,
        "name": bot.name,
        "project": bot.project_id,
        "default": bot.is_default,
        "start_agent": bot.start_agent,
        "agents": [
            {
                "name": agent.name,
                "kind": agent.kind,
                "model": agent.model,
                "handoffs": agent.handoffs,
                "tools": agent.tools,
            }
            for agent in bot.agents.values()
        ],
        "tools": [
            {"name": tool.name, "kind": tool.kind, "access": tool.access}
            for tool in bot.tools.values()
        ],
    }


def _model(model: ModelSpec) -> dict[str, object]:
    return {
        "name": model.name,
        "provider": model.provider,
        "model": model.model or None,
        "base_url": model.base_url,
        "fallback": model.fallback,
    }


def _show(config: Config) -> None:
    console, server = screen(), config.settings.server
    facts = table(None, "configuration", str(config.path))
    add_row(facts, "listens on", server.listen)
    add_row(facts, "public address", server.shown_url)
    add_row(facts, "store", config.settings.store.url)
    add_row(facts, "projects", [project.id for project in config.projects()])
    console.print(facts)
    for bot in config.bots():
        _show_bot(console, bot)
    _show_models(console, config)
    _show_channels(console, config)
    _show_limits(console, config)
    for note in config.notes:
        console.print(f"note: {note}", style="yellow")
    console.print("The configuration is fine.", style="green")


def _show_bot(console: Console, bot: Bot) -> None:
    mark = ", default" if bot.is_default else ""
    title = f"Bot {bot.slug}: {bot.name} (project {bot.project_id}{mark})"
    rows = table(title, "agent", "kind", "model", "hands off to", "tools")
    for agent in bot.agents.values():
        kind = "start" if agent.name == bot.start_agent else agent.kind
        tools = [f"{name} ({bot.tools[name].kind})" for name in agent.tools]
        add_row(rows, agent.name, kind, agent.model, agent.handoffs, tools)
    console.print(rows)


def _show_models(console: Console, config: Config) -> None:
    rows = table("Models in use", "name", "provider", "model", "address", "fallback")
    for model in config.models().values():
        name = model.model or f"{len(model.rules)} rules"
        add_row(rows, model.name, model.provider, name, model.base_url, model.fallback)
    console.print(rows)


def _show_channels(console: Console, config: Config) -> None:
    rows = table("Channels", "name", "kind", "bot", "runs", "access")
    for spec in config.channels():
        add_row(rows, spec.name, spec.kind, spec.bot, spec.is_enabled, spec.access)
    add_row(rows, "api", "built in", "all", True, "by key")
    if config.settings.surfaces.talk:
        add_row(rows, "web", "built in", "all", True, "open")
    console.print(rows)


def _show_limits(console: Console, config: Config) -> None:
    limits, retention = config.settings.limits, config.settings.retention
    rows = table("Limits", "limit", "value")
    for name, value in (limits.model_dump() | retention.model_dump()).items():
        is_endless = value == 0 and name != "turns_per_project"
        add_row(rows, name, "none" if is_endless else value)
    console.print(rows)
