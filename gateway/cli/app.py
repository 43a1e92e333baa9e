"""The command `bot-gateway`: finds the command asked for, and turns errors into exit codes.

Only the names and first lines of the commands stand here.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click

from gateway import __version__
from gateway.cli.call import Call, config_option, examples
from gateway.cli.failures import EXIT_USAGE, OUTPUT_LOST, explain_failure

NAME = "bot-gateway"
DEBUG_VARIABLE = "BOT_GATEWAY_DEBUG"
EXIT_INTERRUPTED = 130
"""128 and the number of SIGINT, as shells count."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: the module whose `command` it is, and its line in the list."""

    module: str
    summary: str


ENTRIES = {
    "serve": Entry("serve", "Run the gateway in the foreground."),
    "check": Entry("check", "Read the configuration and show what would run."),
    "chat": Entry("chat", "Talk to a bot in the terminal."),
    "key": Entry("key", "Make, list, rotate and revoke API keys."),
    "sessions": Entry("sessions", "List sessions, show their transcripts."),
    "participants": Entry("participants", "Show people, link them across channels."),
    "explain": Entry("explain", "Show everything that happened to a message, turn or session."),
    "dlq": Entry("dlq", "Look at dead letters, send them again or drop them."),
    "turns": Entry("turns", "Show turns that do not go on, and why."),
    "status": Entry("status", "Show what is running, its channels and its queues."),
    "verify": Entry("verify", "Check the invariants of the store."),
    "prove": Entry("prove", "Inject every fault into a throw-away gateway, and judge it."),
    "backup": Entry("backup", "Copy the store to a file, also while the daemon runs."),
    "restore": Entry("restore", "Put a backup in the place of the store."),
    "migrate": Entry("migrate", "Bring the database up to this version's schema."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of use."""
        return list(ENTRIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None = there is none."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        _load_logging()
        command = importlib.import_module(f"gateway.cli.{entry.module}").command
        if not isinstance(command, click.Command):
            raise TypeError(f"gateway.cli.{entry.module}.command is no command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command and its arguments; an unknown word is answered with the nearest one."""
        word = args[0]
        if word not in ENTRIES and not word.startswith("-"):
            raise click.exceptions.NoSuchCommand(word, possibilities=ENTRIES, ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, from the table: none is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in ENTRIES.items()])


@click.group(
    NAME,
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "bot-gateway check --config config.toml    what would run",
        "bot-gateway serve --config config.toml    run it",
        "bot-gateway key create --project demo     a key for the REST API",
        "bot-gateway chat                          talk to the default bot",
    )
    + "\n\nExit codes: 0 fine, 1 failed, 2 wrong usage, 75 another process holds the data"
    " directory, 78 configuration or database unusable.",
)
@config_option
@click.version_option(__version__, prog_name=NAME, message="%(prog)s %(version)s")
def cli() -> None:
    """Carry conversations between people and LLM agents, and lose none of them."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code. Prints every error as its reader wants it."""
    call = Call()
    try:
        result = cli.main(list(arguments), prog_name=NAME, standalone_mode=False, obj=call)
        print(end="", flush=True)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USAGE
    except click.Abort:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _close_output()
        return 1
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE) == "1" and not isinstance(error, click.ClickException):
            raise
        failure = explain_failure(error)
        if failure.is_ours and call.keeps_log:
            _log_crash(error)
        if failure.code == OUTPUT_LOST:
            _close_output()
        failure.show(as_json="--json" in arguments)
        return failure.exit_code
    return result if isinstance(result, int) else 0


def _load_logging() -> None:
    """Import structlog without what it takes along, and keep pydantic from looking for plug-ins.

    Together 80 ms and 5 MiB of a daemon for nothing. structlog imports rich and greenlet wherever
    they are installed, so they are hidden for a moment; commands that print tables import rich
    afterwards.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    hidden = [name for name in ("rich", "greenlet") if name not in sys.modules]
    if "structlog" in sys.modules:
        return
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # None = "there is none" (importlib)
    try:
        importlib.import_module("structlog")
    finally:
        for name in hidden:
            del sys.modules[name]


def _log_crash(error: Exception) -> None:
    """Write the whole trace to the log; the library is loaded already where there is one."""
    import structlog

    structlog.get_logger(__name__).error("gateway_crashed", exc_info=error)


def _close_output() -> None:
    """Nobody takes the output any more: let nothing be written to it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
