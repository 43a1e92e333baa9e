"""The configuration file: where it is, what it says, and everything that is wrong with it.

`load` reads one TOML file, follows its references, checks it whole and returns a `Config`; or it
raises one `ConfigError` with all problems, each with file, line, key and remedy. It connects to
nothing, and imports only the channels that are configured, through the lookup it is given.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from gateway.config.channel_settings import COMMON_KEYS, with_own_keys_apart
from gateway.config.checks import check_functions, check_settings
from gateway.config.lines import KeyPath, locate
from gateway.config.problems import Report, dotted
from gateway.config.references import Resolved, resolve, too_open
from gateway.config.settings import SQLITE_SCHEME, Settings
from gateway.config.validation import secrets, validate, without, wrong_paths
from gateway.config.values import Config
from gateway.errors import ConfigError

PATH_VARIABLE = "BOT_GATEWAY_CONFIG"
USUAL_PATHS = (Path("config.toml"), Path("/etc/bot-gateway/config.toml"))

SettingsModelOf = Callable[[str], type[BaseModel]]
"""The settings model of a kind of channel; raises LookupError with a sentence for no such kind."""


def find_config(explicit: str | Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """The file to read: the one asked for, else $BOT_GATEWAY_CONFIG, else the usual places."""
    named = explicit or environment.get(PATH_VARIABLE)
    if named:
        return Path(named)
    for path in USUAL_PATHS:
        if path.is_file():
            return path
    places = ", ".join(str(path) for path in USUAL_PATHS)
    raise ConfigError(
        f"no configuration: looked at ${PATH_VARIABLE}, {places}; give one with --config PATH"
    )


def load(
    path: Path,
    *,
    settings_model_of: SettingsModelOf | None = None,
    imports_functions: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Config:
    """The configuration in that file, checked.

    With `settings_model_of` the channels' own keys are checked too, with `imports_functions` that
    the functions of python tools are there. Raises ConfigError.
    """
    text = _read(path)
    tree = _parse(text, path)
    report = Report(path, locate(text))
    folder = path.absolute().parent
    resolved = resolve(tree, folder=folder, environment=environment)
    unused = _unused_models(resolved.tree)
    notes = _judge_missing(resolved, unused=unused, report=report)
    settings = _settings(resolved, report=report)
    if settings is not None:
        places = [*secrets(settings)]
        if settings_model_of is not None:
            places += _check_channels(settings, model_of=settings_model_of, report=report)
        notes += _check_secret_places(places, resolved, report=report)
        check_settings(settings, report)
        if imports_functions:
            check_functions(settings, report)
    if settings is None or report.sentences:
        raise report.error()
    return Config(
        path=path.absolute(),
        settings=_with_absolute_store(settings, folder),
        notes=notes,
        unused_models=unused,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; give another with --config") from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from error
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise ConfigError(f"{path}: {reason}; the gateway must be able to read it") from error


def _parse(text: str, path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax_problem(str(error), text, path)) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: tables or arrays stand too deep in each other") from error


def _syntax_problem(message: str, text: str, path: Path) -> str:
    """`tomllib` ends its message with "(at line 3, column 7)" or "(at end of document)"."""
    what, _, place = message.rpartition(" (at ")
    match = re.fullmatch(r"line (\d+), column (\d+)\)", place)
    line, column = match.groups() if match else (str(text.count("\n") + 1), "1")
    remedy = 'texts stand in quotes, true and false do not, tables begin with "[name]"'
    return f"{path}:{line}:{column}: not valid TOML: {what or message}; {remedy}"


def _unused_models(tree: Mapping[str, object]) -> frozenset[str]:
    """The models that no agent uses, not even as a fallback of a fallback."""
    models = tree.get("models")
    if not isinstance(models, dict):
        return frozenset()
    waiting = [*_models_named(tree)]
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        model = models.get(name)
        if name not in used and isinstance(model, dict):
            used.add(name)
            fallback = _elements(model.get("fallback"))
            waiting += [other for other in fallback if isinstance(other, str)]
    return frozenset(models) - used


def _models_named(tree: Mapping[str, object]) -> Iterator[str]:
    for bot in _tables(tree.get("bots")):
        for owner in (bot, *_tables(bot.get("agents"))):
            model = owner.get("model")
            if isinstance(model, str):
                yield model


def _tables(value: object) -> Iterator[Mapping[str, object]]:
    return (item for item in _elements(value) if isinstance(item, dict))


def _elements(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _judge_missing(
    resolved: Resolved, *, unused: frozenset[str], report: Report
) -> tuple[str, ...]:
    """Report references that lead nowhere, but for parts that are not in use: those are notes."""
    notes = []
    off = {
        ("channels", index)
        for index, channel in enumerate(_elements(resolved.tree.get("channels")))
        if isinstance(channel, dict) and channel.get("enabled") is False
    }
    for path, message in resolved.missing.items():
        if path[0] == "models" and path[1:2] and path[1] in unused:
            notes.append(f"{report.place(path)}: {dotted(path)}: not in use; {message}")
        elif path[:2] not in off:
            report.add(path, message)
        report.mute(path)
    return tuple(notes)


def _settings(resolved: Resolved, *, report: Report) -> Settings | None:
    """The settings; where some are wrong, the rest without them, so that it is checked too."""
    tree = with_own_keys_apart(resolved.tree)
    settings = validate(Settings, tree, at=(), report=report)
    if settings is not None:
        return settings
    for path in wrong_paths(Settings, tree):
        tree = without(tree, path)
        report.mute(path)
    settings = validate(Settings, tree, at=(), report=Report(report.file, {}))
    if settings is None and not report.sentences:
        report.unmute()
        _judge_missing(resolved, unused=frozenset(), report=report)
    return settings


def _check_channels(
    settings: Settings, *, model_of: SettingsModelOf, report: Report
) -> Iterator[KeyPath]:
    """Check each channel's own keys; yields where its secrets stand."""
    for index, channel in enumerate(settings.channels):
        at: KeyPath = ("channels", index)
        if not channel.enabled:
            continue
        try:
            model = model_of(channel.kind)
        except LookupError as error:
            report.add((*at, "kind"), str(error.args[0]))
            continue
        own = validate(model, channel.own, at=at, report=report, more_keys=COMMON_KEYS)
        yield from secrets(own, at)


def _check_secret_places(
    places: Iterable[KeyPath], resolved: Resolved, *, report: Report
) -> tuple[str, ...]:
    """Refuse files of secrets that others may read; note secrets that stand in the file itself."""
    literal = []
    for path in places:
        file = resolved.files.get(path)
        problem = too_open(file) if file is not None and path not in resolved.missing else None
        if problem is not None:
            report.add(path, problem)
        if path not in resolved.references:
            literal.append(path)
    if not literal or too_open(report.file) is None:
        return ()
    what = "a secret stands in this file and others may read it"
    remedy = f"chmod 600 {report.file}, or use env:, file: or cred:"
    return (f"{report.place(literal[0])}: {dotted(literal[0])}: {what}; {remedy}",)


def _with_absolute_store(settings: Settings, folder: Path) -> Settings:
    file = folder / settings.store.file.expanduser()
    store = settings.store.model_copy(update={"url": f"{SQLITE_SCHEME}{file}"})
    return settings.model_copy(update={"store": store})
