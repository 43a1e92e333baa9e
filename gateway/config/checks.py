"""What no single table can know: names that must exist, names that may stand only once.

Each check reads the settings and adds problems to the report; none stops at the first one.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Collection, Iterable
from uuid import uuid5

from gateway.agents.tools.python import IMPORT_FAILURES
from gateway.config.bot_settings import AgentSettings, BotSettings, ModelSettings
from gateway.config.lines import KeyPath
from gateway.config.problems import Report, nearest
from gateway.config.settings import Settings
from gateway.config.values import BOT_IDS, DEFAULT_PROJECT, make_bot, project_of


def check_settings(settings: Settings, report: Report) -> None:
    """All checks over the whole file."""
    names = _Names(settings, report)
    names.check_single()
    for index, bot in enumerate(settings.bots):
        _check_bot(bot, ("bots", index), names=names)
    _check_default_bots(settings, report)
    for name, model in settings.models.items():
        _check_model(model, ("models", name), name=name, names=names)
    for index, channel in enumerate(settings.channels):
        names.check("bot", channel.bot, at=("channels", index, "bot"))


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
        except IMPORT_FAILURES as error:
            message = f"cannot be imported: {type(error).__name__}: {error}; mend {module}"
            report.add(("tools", name, "function"), message)
            continue
        if not callable(found):
            report.add(("tools", name, "function"), "is not a function")


class _Names:
    """All names of the file, by what they name.

    A tool or model whose own table is wrong, and therefore missing in `settings`, counts as known.
    """

    def __init__(self, settings: Settings, report: Report) -> None:
        self.settings = settings
        self.report = report
        self._known: dict[str, Collection[str]] = {
            "agent": {agent.name for bot in settings.bots for agent in bot.agents},
            "bot": {bot.slug for bot in settings.bots},
            "model": {*settings.models, *report.names_muted_in("models")},
            "project": {project.id for project in settings.projects} or {DEFAULT_PROJECT},
            "tool": {*settings.tools, *report.names_muted_in("tools")},
        }

    def check(
        self, what: str, name: str | None, *, at: KeyPath, known: Collection[str] | None = None
    ) -> None:
        """Report a name that nothing has; `known` = only these count."""
        known = self._known[what] if known is None else known
        if name is not None and name not in known:
            self.report.add(at, f'there is no {what} "{name}"; {nearest(name, known)}')

    def check_single(self) -> None:
        """Report ids, slugs and names that stand twice."""
        settings = self.settings
        self.check_once((item.id for item in settings.workspaces), at=("workspaces",), key="id")
        self.check_once((item.id for item in settings.projects), at=("projects",), key="id")
        self.check_once((item.name for item in settings.channels), at=("channels",), key="name")
        slugs = [bot.slug for bot in settings.bots]
        self.check_once(slugs, at=("bots",), key="slug")
        if len(set(slugs)) == len(slugs):
            ids = (str(bot.id or uuid5(BOT_IDS, bot.slug)) for bot in settings.bots)
            self.check_once(ids, at=("bots",), key="id")

    def check_once(self, names: Iterable[str], *, at: KeyPath, key: str) -> None:
        """Report names of an array of tables that stand there before."""
        first: dict[str, int] = {}
        for index, name in enumerate(names):
            if name in first:
                earlier = self.report.line((*at, first[name], key))
                self.report.add((*at, index, key), f'"{name}" is taken already, in line {earlier}')
            first.setdefault(name, index)


def _check_bot(bot: BotSettings, at: KeyPath, *, names: _Names) -> None:
    report = names.report
    before = report.said
    agents = [agent.name for agent in bot.agents]
    names.check_once(agents, at=(*at, "agents"), key="name")
    names.check("agent", bot.start_agent, at=(*at, "start_agent"), known=agents)
    names.check("model", bot.model, at=(*at, "model"))
    names.check("project", bot.project, at=(*at, "project"))
    if bot.project is None and len(names.settings.projects) > 1:
        report.add((*at, "project"), "is missing: there are several projects, so say which one")
    for index, agent in enumerate(bot.agents):
        _check_agent(agent, (*at, "agents", index), bot_at=at, bot=bot, names=names)
    _check_post_process(bot, at, report=report)
    if report.said == before:
        _check_it_can_be_made(bot, at, names=names)


def _check_agent(
    agent: AgentSettings, at: KeyPath, *, bot: BotSettings, bot_at: KeyPath, names: _Names
) -> None:
    for index, target in enumerate(agent.handoffs):
        known = [other.name for other in bot.agents]
        names.check("agent", target, at=(*at, "handoffs", index), known=known)
    for index, tool in enumerate(agent.tools):
        names.check("tool", tool, at=(*at, "tools", index))
    names.check("model", agent.model, at=(*at, "model"))
    has_model = agent.model is not None or bot.model is not None
    if not has_model and not names.report.is_muted((*bot_at, "model")):
        message = "is missing: set it here, or model on the bot for all its agents"
        names.report.add((*at, "model"), message)


def _check_post_process(bot: BotSettings, at: KeyPath, *, report: Report) -> None:
    start = bot.start_agent or bot.agents[0].name
    indices = [i for i, agent in enumerate(bot.agents) if agent.kind == "post_process"]
    for count, index in enumerate(indices):
        place = (*at, "agents", index, "kind")
        if count:
            report.add(place, "a bot has one post_process agent at most")
        if bot.agents[index].name == start:
            report.add(place, "the start agent cannot be post_process")


def _check_it_can_be_made(bot: BotSettings, at: KeyPath, *, names: _Names) -> None:
    """The bot's own word on itself, for what is not looked at above."""
    if names.report.names_muted_in("tools"):
        return
    try:
        make_bot(bot, names.settings)
    except ValueError as error:
        names.report.add(at, str(error))


def _check_default_bots(settings: Settings, report: Report) -> None:
    owners = [project_of(bot, settings) for bot in settings.bots]
    defaults = Counter(
        owner for owner, bot in zip(owners, settings.bots, strict=True) if bot.default
    )
    for index, (owner, bot) in enumerate(zip(owners, settings.bots, strict=True)):
        if bot.default and defaults[owner] > 1:
            message = f'project "{owner}" has {defaults[owner]} default bots; keep one'
            report.add(("bots", index, "default"), message)
        if not defaults[owner] and owners.count(owner) > 1 and owners.index(owner) == index:
            message = f'project "{owner}" has several bots; set default = true on one of them'
            report.add(("bots", index), message)


def _check_model(model: ModelSettings, at: KeyPath, *, name: str, names: _Names) -> None:
    for index, other in enumerate(model.fallback):
        place = (*at, "fallback", index)
        names.check("model", other, at=place)
        if other == name:
            names.report.add(place, "a model cannot stand in for itself")
    for index, rule in enumerate(model.rules):
        place = (*at, "rules", index)
        names.check("agent", rule.agent, at=(*place, "agent"))
        names.check("agent", rule.handoff, at=(*place, "handoff"))
        names.check("tool", rule.tool, at=(*place, "tool"))
        names.check("tool", rule.call, at=(*place, "call"))
