"""What every command is told: which configuration, and whether a program reads the output.

`--config` stands before or after the name of the command, `--json` after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

Function = Callable[..., Any]


@dataclass(slots=True)
class Call:
    """The common options of one call, as far as they were given.

    `keeps_log`: standard error is a log, so that the trace of a crash belongs there.
    """

    config_path: Path | None = None
    wants_json: bool = False
    keeps_log: bool = False


def config_option(function: Function) -> Function:
    """Let a command take `--config PATH`; it is kept in the `Call`."""
    return click.option(
        "--config",
        metavar="PATH",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_keep_config,
        help="Configuration file. [default: $BOT_GATEWAY_CONFIG, ./config.toml,"
        " /etc/bot-gateway/config.toml]",
    )(function)


def json_option(function: Function) -> Function:
    """Let a command take `--json`; it is kept in the `Call`."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_keep_json,
        help="Print JSON, for programs.",
    )(function)


def common_options(function: Function) -> Function:
    """Both, last in the help; the command gets the `Call` as its first argument."""
    return click.pass_obj(config_option(json_option(function)))


def examples(*lines: str) -> str:
    """The end of a command's help: lines to copy, never wrapped."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def _keep_config(ctx: click.Context, _option: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(Call).config_path = value


def _keep_json(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Call).wants_json = True
