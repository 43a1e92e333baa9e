"""The configuration file as models: one class a table, one field a key.

What each key does stands in `config.example.toml` and `docs/configuration.md`. Bots, tools and
models have a file of their own, channels keep their tables raw: the registry knows their models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from gateway.config.bot_settings import (
    BotSettings,
    ModelSettings,
    ToolSettings,
    TranscriptionSettings,
)
from gateway.config.channel_settings import ChannelSettings
from gateway.config.fields import (
    STRICT,
    Amount,
    Count,
    HttpUrl,
    Listen,
    ListenOrOff,
    Name,
    Network,
    Origin,
    Positive,
    Seconds,
    Text,
    ToolName,
    split_listen,
)

SECRET_CHARS = 32
SQLITE_SCHEME = "sqlite:"
RESERVED_PROJECT_IDS = frozenset(
    {
        "channels",
        "chat",
        "docs",
        "experiments",
        "files",
        "openai",
        "participants",
        "schema",
        "sessions",
        "trigger_bot",
        "widget",
    }
)
"""Words that stand where a project id stands in the paths of some surface."""


def _long_secret(secret: SecretStr) -> SecretStr:
    if len(secret) < SECRET_CHARS:
        raise ValueError(f"must have at least {SECRET_CHARS} characters; openssl rand -hex 32")
    return secret


class ServerSettings(BaseModel):
    """`[server]`: where it listens and how it stops."""

    model_config = STRICT

    listen: Listen = "127.0.0.1:8080"
    admin_listen: ListenOrOff = "127.0.0.1:8081"
    public_url: HttpUrl | None = None
    trusted_proxies: tuple[Network, ...] = ()
    cors_origins: tuple[Origin, ...] = ()
    secret: Annotated[SecretStr, AfterValidator(_long_secret)] | None = None
    drain_s: Amount = 90

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the public listener."""
        return split_listen(self.listen)

    @property
    def admin_address(self) -> tuple[str, int] | None:
        """Host and port of the admin listener, or None when it is off."""
        return split_listen(self.admin_listen) if self.admin_listen else None

    @property
    def shown_url(self) -> str:
        """What platforms and people call, without a slash at the end."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host, port = self.address
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def _store_url(text: str) -> str:
    if text.endswith(":memory:"):
        raise ValueError("what is accepted must be kept: the store needs a file on disk")
    if text.startswith(SQLITE_SCHEME) and len(text) > len(SQLITE_SCHEME):
        return text
    if text.startswith(("postgres:", "postgresql:")):
        raise ValueError('this version keeps its data in SQLite only: write "sqlite:PATH"')
    raise ValueError('must be "sqlite:PATH", like "sqlite:data/gateway.db"')


class StoreSettings(BaseModel):
    """`[store]`: where everything is kept. `url` is absolute once the file is read."""

    model_config = STRICT

    url: Annotated[str, AfterValidator(_store_url)] = "sqlite:data/gateway.db"
    min_free_bytes: Count = 268_435_456

    @property
    def file(self) -> Path:
        """The database file."""
        return Path(self.url.removeprefix(SQLITE_SCHEME))

    @property
    def data_dir(self) -> Path:
        """The folder of the database: lock and secret live there too."""
        return self.file.parent


class LogSettings(BaseModel):
    """`[log]`: how much is said, and how."""

    model_config = STRICT

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    content: bool = False


class WorkspaceSettings(BaseModel):
    """One of `[[workspaces]]`: projects under one plan."""

    model_config = STRICT

    id: Name
    name: Text | None = None
    plan: Literal["free", "starter", "pro", "enterprise"] = "enterprise"


def _project_id(text: str) -> str:
    if text in RESERVED_PROJECT_IDS:
        raise ValueError(f'"{text}" is a word of the HTTP paths; choose another id')
    return text


class ProjectSettings(BaseModel):
    """One of `[[projects]]`: a tenant."""

    model_config = STRICT

    id: Annotated[Name, AfterValidator(_project_id)]
    workspace: Name = "default"
    name: Text | None = None


class SurfaceSettings(BaseModel):
    """`[surfaces]`: which HTTP surfaces are served beside the native API."""

    model_config = STRICT

    talk: bool = True
    rowboat: Literal[False] = False
    slug_chat: Literal[False] = False
    open_chat_studio: Literal[False] = False
    contentrain: Literal[False] = False
    openai: Literal[False] = False


class LimitSettings(BaseModel):
    """`[limits]`: what callers may do, and how much may wait or run."""

    model_config = STRICT

    requests_per_minute: Count = 600
    bad_keys_per_minute: Count = 60
    body_bytes: Positive = 1_048_576
    history_body_bytes: Positive = 8_388_608
    file_bytes: Positive = 52_428_800
    queued_per_session: Positive = 20
    queued_per_project: Positive = 1_000
    queued: Positive = 50_000
    turns: Positive = 64
    turns_per_project: Count = 0


class RetentionSettings(BaseModel):
    """`[retention]`: how long things are kept; 0 = for ever."""

    model_config = STRICT

    messages_days: Amount = 0
    files_days: Amount = 0
    inbox_days: Seconds = 35
    turn_events_h: Seconds = 24


class Settings(BaseModel):
    """The whole file."""

    model_config = STRICT

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()
    models: dict[Name, ModelSettings] = Field(default_factory=dict)
    transcription: TranscriptionSettings = TranscriptionSettings()
    workspaces: tuple[WorkspaceSettings, ...] = ()
    projects: tuple[ProjectSettings, ...] = ()
    bots: tuple[BotSettings, ...] = ()
    tools: dict[ToolName, ToolSettings] = Field(default_factory=dict)
    channels: tuple[ChannelSettings, ...] = ()
    surfaces: SurfaceSettings = SurfaceSettings()
    limits: LimitSettings = LimitSettings()
    retention: RetentionSettings = RetentionSettings()
