"""The configuration as the rest of the gateway sees it: domain values made from settings.

`Config` is what `load` returns. It has been checked: nothing here fails on what a file may hold.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from gateway.config.bot_settings import AgentSettings, BotSettings, ModelSettings, ToolSettings
from gateway.config.settings import Settings
from gateway.domain.bots import Agent, Bot, ToolSpec
from gateway.domain.channels import ChannelSpec
from gateway.domain.ids import ProjectId
from gateway.domain.models import ModelSpec, Secret, TranscriptionSpec
from gateway.domain.policy import CallerLimits, Policy, QueueLimits, Retention

DEFAULT_PROJECT = ProjectId("default")
DEFAULT_WORKSPACE = "default"
OPENAI_URL = "https://api.openai.com/v1"
BOT_IDS = uuid.UUID("5f0d3f0e-8f0b-5a7e-9d39-2b9a52c0d6a1")
"""Namespace of the UUIDs that are derived from slugs (RFC 9562, version 5). Never change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Projects under one plan."""

    id: str
    name: str
    plan: str = "enterprise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A tenant: everything stored belongs to one."""

    id: ProjectId
    workspace: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One configuration file, read and checked.

    `path` is absolute. `notes` are sentences for `check`: what is allowed and worth knowing.
    """

    path: Path
    settings: Settings
    notes: tuple[str, ...] = ()
    unused_models: frozenset[str] = field(default_factory=frozenset)

    def projects(self) -> tuple[Project, ...]:
        """All projects; the project `default` where none is configured."""
        made = tuple(
            Project(id=ProjectId(item.id), workspace=item.workspace, name=item.name or item.id)
            for item in self.settings.projects
        )
        return made or (
            Project(id=DEFAULT_PROJECT, workspace=DEFAULT_WORKSPACE, name=DEFAULT_PROJECT),
        )

    def workspaces(self) -> tuple[Workspace, ...]:
        """The configured workspaces, and those that only a project names."""
        made = {
            item.id: Workspace(id=item.id, name=item.name or item.id, plan=item.plan)
            for item in self.settings.workspaces
        }
        for project in self.projects():
            made.setdefault(
                project.workspace, Workspace(id=project.workspace, name=project.workspace)
            )
        return tuple(made.values())

    def bots(self) -> tuple[Bot, ...]:
        """Every bot with its agents and the tools they use."""
        return tuple(make_bot(bot, self.settings) for bot in self.settings.bots)

    def models(self) -> Mapping[str, ModelSpec]:
        """The models that some agent may come to use, by name."""
        return {
            name: _model(name, model)
            for name, model in self.settings.models.items()
            if name not in self.unused_models
        }

    def transcription(self) -> TranscriptionSpec | None:
        """Who puts voice notes into text, if anybody does."""
        settings = self.settings.transcription
        if settings.model is None:
            return None
        return TranscriptionSpec(
            base_url=settings.base_url or OPENAI_URL,
            model=settings.model,
            api_key=_secret(settings.api_key),
        )

    def channels(self) -> tuple[ChannelSpec, ...]:
        """The configured channels, also those that are switched off."""
        projects = {bot.slug: project_of(bot, self.settings) for bot in self.settings.bots}
        return tuple(
            ChannelSpec(
                name=item.name,
                kind=item.kind,
                project_id=projects[item.bot],
                bot=item.bot,
                is_enabled=item.enabled,
                is_required=item.required,
                access=item.access,
                allow=frozenset(item.allow),
                debounce_s=item.debounce_s,
                when_busy=item.when_busy,
                on_ambiguous=item.on_ambiguous,
                live=item.live,
                own=item.own,
            )
            for item in self.settings.channels
        )

    def policy(self) -> Policy:
        """Limits, retention and windows."""
        limits, retention = self.settings.limits, self.settings.retention
        return Policy(
            queue=QueueLimits(
                queued_per_session=limits.queued_per_session,
                queued_per_project=limits.queued_per_project,
                queued=limits.queued,
                turns=limits.turns,
                turns_per_project=limits.turns_per_project,
            ),
            callers=CallerLimits(
                requests_per_minute=limits.requests_per_minute,
                bad_keys_per_minute=limits.bad_keys_per_minute,
                body_bytes=limits.body_bytes,
                history_body_bytes=limits.history_body_bytes,
                file_bytes=limits.file_bytes,
            ),
            retention=Retention(
                messages_days=retention.messages_days,
                files_days=retention.files_days,
                inbox_days=retention.inbox_days,
                turn_events_h=retention.turn_events_h,
            ),
            drain_s=self.settings.server.drain_s,
            min_free_bytes=self.settings.store.min_free_bytes,
        )


def project_of(bot: BotSettings, settings: Settings) -> ProjectId:
    """The project of a bot: the one it names, else the first one, else `default`."""
    if bot.project is not None:
        return ProjectId(bot.project)
    return ProjectId(settings.projects[0].id) if settings.projects else DEFAULT_PROJECT


def make_bot(bot: BotSettings, settings: Settings) -> Bot:
    """The domain value of a bot; raises ValueError where it does not hold together."""
    project_id = project_of(bot, settings)
    neighbours = [other for other in settings.bots if project_of(other, settings) == project_id]
    used = {tool for agent in bot.agents for tool in agent.tools}
    return Bot(
        slug=bot.slug,
        uuid=bot.id or uuid.uuid5(BOT_IDS, bot.slug),
        project_id=project_id,
        name=bot.name or bot.slug,
        description=bot.description,
        agents={agent.name: _agent(agent, bot) for agent in bot.agents},
        start_agent=bot.start_agent or bot.agents[0].name,
        tools={name: _tool(name, tool) for name, tool in settings.tools.items() if name in used},
        greeting=bot.greeting,
        suggestions=bot.suggestions,
        apology=bot.apology,
        is_default=bot.default or len(neighbours) == 1,
        max_hops=bot.max_hops,
        max_tool_calls=bot.max_tool_calls,
        turn_timeout_s=bot.turn_timeout_s,
        window_tokens=bot.window_tokens,
        session_idle_s=bot.session_idle_h * 3600,
        takes_pictures=any(_takes_pictures(agent, bot, settings) for agent in bot.agents),
    )


def _takes_pictures(agent: AgentSettings, bot: BotSettings, settings: Settings) -> bool:
    model = settings.models.get(agent.model or bot.model or "")
    return model is not None and model.images


def _agent(agent: AgentSettings, bot: BotSettings) -> Agent:
    return Agent(
        name=agent.name,
        instructions=agent.instructions,
        model=agent.model or bot.model or "",
        description=agent.description,
        handoffs=agent.handoffs,
        tools=agent.tools,
        control=agent.control,
        visibility=agent.visibility,
        kind=agent.kind,
        temperature=agent.temperature,
        max_tokens=agent.max_tokens,
        parameters=agent.parameters,
    )


def _tool(name: str, tool: ToolSettings) -> ToolSpec:
    return ToolSpec(
        name=name,
        kind=tool.kind,
        description=tool.description,
        parameters=tool.parameters,
        access=tool.access,
        target=tool.url or tool.function,
        headers={key: value.get_secret_value() for key, value in tool.headers.items()},
        timeout_s=tool.timeout_s,
        max_bytes=tool.max_bytes,
        is_idempotent=tool.idempotent,
        allow_private_network=tool.allow_private_network,
    )


def _secret(text: SecretStr | None) -> Secret | None:
    return Secret(text.get_secret_value()) if text else None


def _model(name: str, model: ModelSettings) -> ModelSpec:
    is_remote = model.provider == "openai"
    return ModelSpec(
        name=name,
        provider=model.provider,
        base_url=(model.base_url or OPENAI_URL) if is_remote else None,
        api_key=_secret(model.api_key),
        model=model.model or "",
        fallback=model.fallback,
        context_tokens=model.context_tokens,
        images=model.images,
        max_concurrent=model.max_concurrent,
        price_input=model.price_input,
        price_output=model.price_output,
        rules=tuple(rule.rule() for rule in model.rules),
    )
