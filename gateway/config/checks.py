"""What no single table can know: names that must exist, names that may stand only once.

Each check reads the settings and adds problems to the report; none stops at the first one.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Collection, Iterable
from uuid import uuid5

from gateway.config.bot_settings import AgentSettings, BotSettings
from gateway.config.lines import KeyPath
from gateway.config.problems import Report, nearest
from gateway.config.settings import Settings
from gateway.config.values import BOT_IDS, make_bot, project_of


def check_settings(settings: Settings, report: Report) -> None:
    """All checks over the whole file."""
    _check_names_are_single(settings, report)
    _check_projects(settings, report)
    for index, bot in enumerate(settings.bots):
        _check_bot(bot, ("bots", index), settings=settings, report=report)
    _check_default_bots(settings, report)
    _check_models(settings, report)
    slugs = [bot.slug for bot in settings.bots]
    for index, channel in enumerate(settings.channels):
        _check_known(channel.bot, slugs, at=("channels", index, "bot"), what="bot", report=report)


def check_functions(settings: Settings, report: Report) -> None:
    """Whether the functions of python tools can be imported; runs the modules they stand in."""
    for name, tool in settings.tools.items():
        if tool.function is None:
            continue
        module, _, function = tool.function.partition(":")
        try:
            found = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError) as error:
            message = f"cannot be imported: {error}; install its package, or set PYTHONPATH"
            report.add(("tools", name, "function"), message)
            continue
        if not callable(found):
            report.add(("tools", name, "function"), "is not a function")


def _check_names_are_single(settings: Settings, report: Report) -> None:
    named: dict[str, tuple[str, Iterable[str]]] = {
        "workspaces": ("id", (item.id for item in settings.workspaces)),
        "projects": ("id", (item.id for item in settings.projects)),
        "bots": ("slug", (item.slug for item in settings.bots)),
        "channels": ("name", (item.name for item in settings.channels)),
    }
    for table, (key, names) in named.items():
        _check_single(names, at=(table,), key=key, report=report)
    ids = (str(bot.id or uuid5(BOT_IDS, bot.slug)) for bot in settings.bots)
    if len({bot.slug for bot in settings.bots}) == len(settings.bots):
        _check_single(ids, at=("bots",), key="id", report=report)


def _check_single(names: Iterable[str], *, at: KeyPath, key: str, report: Report) -> None:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            earlier = report.line((*at, first[name], key))
            report.add((*at, index, key), f'"{name}" is taken already, in line {earlier}')
        first.setdefault(name, index)


def _check_known(
    name: str, known: Collection[str], *, at: KeyPath, what: str, report: Report
) -> bool:
    if name in known:
        return True
    report.add(at, f'there is no {what} "{name}"; {nearest(name, known)}')
    return False


def _check_projects(settings: Settings, report: Report) -> None:
    projects = [project.id for project in settings.projects] or ["default"]
    for index, bot in enumerate(settings.bots):
        at: KeyPath = ("bots", index, "project")
        if bot.project is not None:
            _check_known(bot.project, projects, at=at, what="project", report=report)
        elif len(projects) > 1:
            report.add(at, "is missing: there are several projects, so say which one")


def _check_default_bots(settings: Settings, report: Report) -> None:
    bots = list(enumerate(settings.bots))
    owners = [project_of(bot, settings) for _, bot in bots]
    defaults = Counter(owner for owner, (_, bot) in zip(owners, bots, strict=True) if bot.default)
    for owner, (index, bot) in zip(owners, bots, strict=True):
        if bot.default and defaults[owner] > 1:
            report.add(
                ("bots", index, "default"),
                f'project "{owner}" has {defaults[owner]} default bots; keep one',
            )
        if not defaults[owner] and owners.count(owner) > 1 and owners.index(owner) == index:
            report.add(
                ("bots", index),
                f'project "{owner}" has several bots and no default; set default = true on one',
            )


def _check_bot(bot: BotSettings, at: KeyPath, *, settings: Settings, report: Report) -> None:
    names = [agent.name for agent in bot.agents]
    _check_single(names, at=(*at, "agents"), key="name", report=report)
    if bot.start_agent is not None:
        _check_known(bot.start_agent, names, at=(*at, "start_agent"), what="agent", report=report)
    if bot.model is not None:
        _check_known(bot.model, settings.models, at=(*at, "model"), what="model", report=report)
    before = len(report.sentences)
    for index, agent in enumerate(bot.agents):
        _check_agent(agent, (*at, "agents", index), bot=bot, settings=settings, report=report)
    _check_roles(bot, at, report=report)
    if len(report.sentences) == before:
        _check_it_can_be_made(bot, at, settings=settings, report=report)


def _check_agent(
    agent: AgentSettings, at: KeyPath, *, bot: BotSettings, settings: Settings, report: Report
) -> None:
    names = [other.name for other in bot.agents]
    for index, target in enumerate(agent.handoffs):
        _check_known(target, names, at=(*at, "handoffs", index), what="agent", report=report)
    for index, tool in enumerate(agent.tools):
        _check_known(tool, settings.tools, at=(*at, "tools", index), what="tool", report=report)
    if agent.model is not None:
        _check_known(agent.model, settings.models, at=(*at, "model"), what="model", report=report)
    elif bot.model is None:
        report.add(
            (*at, "model"), "is missing: set it here, or model on the bot for all its agents"
        )


def _check_roles(bot: BotSettings, at: KeyPath, *, report: Report) -> None:
    start = bot.start_agent or bot.agents[0].name
    finishers = 0
    for index, agent in enumerate(bot.agents):
        if agent.kind != "post_process":
            continue
        finishers += 1
        if finishers > 1:
            report.add((*at, "agents", index, "kind"), "a bot has one post_process agent at most")
        if agent.name == start:
            report.add((*at, "agents", index, "kind"), "the start agent cannot be post_process")


def _check_it_can_be_made(
    bot: BotSettings, at: KeyPath, *, settings: Settings, report: Report
) -> None:
    """The bot's own word on itself, for what is not looked at above."""
    try:
        make_bot(bot, settings)
    except ValueError as error:
        report.add(at, str(error))


def _check_models(settings: Settings, report: Report) -> None:
    agents = {agent.name for bot in settings.bots for agent in bot.agents}
    for name, model in settings.models.items():
        at: KeyPath = ("models", name)
        for index, other in enumerate(model.fallback):
            place = (*at, "fallback", index)
            if other == name:
                report.add(place, "a model cannot stand in for itself")
            else:
                _check_known(other, settings.models, at=place, what="model", report=report)
        for index, rule in enumerate(model.rules):
            place = (*at, "rules", index)
            for key, wanted, known in (
                ("agent", rule.agent, agents),
                ("handoff", rule.handoff, agents),
                ("tool", rule.tool, settings.tools),
                ("call", rule.call, settings.tools),
            ):
                what = "tool" if key in {"tool", "call"} else "agent"
                if wanted is not None:
                    _check_known(wanted, known, at=(*place, key), what=what, report=report)
