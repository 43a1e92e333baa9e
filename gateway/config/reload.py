"""What a newly read configuration file changes in a running gateway, and what waits for a restart.

Pure: takes the configuration in force and the one just read, gives a `Plan`; does nothing. Bots,
agents, tools and models, the level of the log, and of a channel who may write to it, which bot
answers and how, change at once. Channels themselves, addresses, the store and limits wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel

from gateway.config.channel_settings import ChannelSettings
from gateway.config.settings import Settings
from gateway.config.values import Config
from gateway.errors import ConfigError

KEPT_TABLES = ("server", "store", "surfaces", "limits", "retention")
"""Read once, when the process starts."""
CHANNEL_KEYS = (
    "bot",
    "required",
    "access",
    "allow",
    "debounce_s",
    "when_busy",
    "on_ambiguous",
    "live",
)
"""Keys of a channel that are looked at for each message; the others make its adapter."""
NAMED_BY = {"workspaces": "id", "projects": "id", "bots": "slug", "channels": "name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One reload. `config` is what is in force after it.

    `changes` and `waiting` (for a restart) say what differs, like "bots.support changed", sorted;
    values stand in neither, as they may be secrets.
    """

    config: Config
    changes: tuple[str, ...]
    waiting: tuple[str, ...]


def plan_reload(running: Config, fresh: Config) -> Plan:
    """What happens when `fresh` is read while `running` is in force.

    Raises ConfigError when that cannot work without a restart.
    """
    settings = _in_force(running.settings, fresh.settings)
    _check_bots_stay(settings, fresh)
    return Plan(
        config=replace(fresh, settings=settings),
        changes=_differences(running.settings, settings),
        waiting=_differences(settings, fresh.settings),
    )


def _in_force(running: Settings, fresh: Settings) -> Settings:
    """The new settings, but for what only a restart changes."""
    kept: dict[str, object] = {name: getattr(running, name) for name in KEPT_TABLES}
    kept["log"] = running.log.model_copy(update={"level": fresh.log.level})
    kept["channels"] = _channels(running.channels, fresh.channels)
    return fresh.model_copy(update=kept)


def _channels(
    running: Sequence[ChannelSettings], fresh: Sequence[ChannelSettings]
) -> tuple[ChannelSettings, ...]:
    """The channels at work, following the file where they can; and those that are off, as it."""
    known = {channel.name for channel in running}
    at_work = {channel.name: channel for channel in running if channel.enabled}
    written = {channel.name: channel for channel in fresh}
    following = [
        channel.model_copy(update={key: getattr(written[name], key) for key in CHANNEL_KEYS})
        if name in written
        else channel
        for name, channel in at_work.items()
    ]
    off = [
        channel.model_copy(update={"enabled": False})
        for name, channel in written.items()
        if name not in at_work and (name in known or not channel.enabled)
    ]
    return (*following, *off)


def _check_bots_stay(settings: Settings, fresh: Config) -> None:
    """A channel that was removed runs until the restart, and so its bot has to."""
    slugs = {bot.slug for bot in settings.bots}
    problems = [
        f'{fresh.path}: channel "{channel.name}" runs until the gateway is restarted and needs its'
        f' bot "{channel.bot}": keep the bot until then, or restart now'
        for channel in settings.channels
        if channel.bot not in slugs
    ]
    if problems:
        raise ConfigError("\n".join(problems), problems=problems)


def _differences(old: Settings, new: Settings) -> tuple[str, ...]:
    return tuple(_compared(_parts(old), _parts(new)))


def _compared(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    """What was added, removed or changed, in words; of a channel, which keys."""
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if name not in old:
            yield f"{name} added"
        elif name not in new:
            yield f"{name} removed"
        elif isinstance(before, ChannelSettings) and isinstance(after, ChannelSettings):
            yield from _compared(_keys(name, before), _keys(name, after))
        elif before != after:
            yield f"{name} changed"


def _parts(settings: Settings) -> dict[str, object]:
    """The file in parts with dotted names: a part is a key of a table, or a whole bot or model."""
    parts: dict[str, object] = {}
    for table in Settings.model_fields:
        value = getattr(settings, table)
        if isinstance(value, BaseModel):
            parts |= {f"{table}.{key}": item for key, item in value}
        elif isinstance(value, Mapping):
            parts |= {f"{table}.{name}": item for name, item in value.items()}
        else:
            parts |= {f"{table}.{getattr(item, NAMED_BY[table])}": item for item in value}
    return parts


def _keys(name: str, channel: ChannelSettings) -> dict[str, object]:
    keys = {**dict(channel), **channel.own}
    return {f"{name}.{key}": value for key, value in keys.items() if key != "own"}
