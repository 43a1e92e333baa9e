"""Errors as people and programs see them: a sentence, a remedy, an exit code; never a trace.

Takes any exception that ended a command. A mistake of ours is told in one line too, its trace goes
to the log where there is one.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click

from gateway.errors import ConfigError, GatewayError, HeldElsewhere, StoreError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_HELD = 75
"""EX_TEMPFAIL of sysexits.h: try again later."""
EXIT_UNUSABLE = 78
"""EX_CONFIG of sysexits.h: trying again changes nothing."""

PASSING_STORE_TROUBLE = frozenset({"store_unavailable", "store_full"})
"""Codes of StoreError after which another start may succeed without a change."""


OUTPUT_LOST = "output_lost"
"""Code of a Failure after which nothing can be written to standard output."""
_OUTPUT_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class UsageProblem(click.ClickException):
    """A wrong argument that only the configuration or the store can tell; exit code 2."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed: a line a problem, a stable code and the exit code."""

    exit_code: int
    code: str
    problems: tuple[str, ...]
    is_ours: bool = False
    """A mistake of this program, not of its operator."""

    def show(self, *, as_json: bool) -> None:
        """Write it to standard error."""
        if as_json:
            click.echo(json.dumps({"error": self._document()}, ensure_ascii=False), err=True)
            return
        head = click.style("error:", fg="red", bold=True) if _has_colour() else "error:"
        for problem in self.problems:
            click.echo(f"{head} {problem}", err=True)

    def _document(self) -> dict[str, object]:
        count = len(self.problems)
        message = self.problems[0] if count == 1 else f"{count} problems"
        return {"code": self.code, "message": message, "problems": list(self.problems)}


def explain_failure(error: Exception) -> Failure:
    """What to say about an error and how to leave."""
    match _only(error):
        case click.UsageError() as usage:
            return Failure(EXIT_USAGE, "usage", (_with_hint(usage),))
        case click.ClickException() as problem:
            code = "usage" if problem.exit_code == EXIT_USAGE else "failed"
            return Failure(problem.exit_code, code, (problem.format_message(),))
        case ConfigError() as config:
            return Failure(EXIT_UNUSABLE, config.code, config.problems)
        case HeldElsewhere() as held:
            return Failure(EXIT_HELD, held.code, (held.message,))
        case StoreError() as store:
            passes = store.transient and store.code in PASSING_STORE_TROUBLE
            exit_code = EXIT_FAILED if passes else EXIT_UNUSABLE
            return Failure(exit_code, store.code, (store.message,))
        case GatewayError() as known:
            return Failure(EXIT_FAILED, known.code, (known.message,))
        case OSError(filename=None, errno=number) as lost if number in _OUTPUT_ERRORS:
            # The files of a store are StoreErrors by now, and other files have their name.
            said = f"The output cannot be written: {lost.strerror}."
            return Failure(EXIT_FAILED, OUTPUT_LOST, (said,))
        case unknown:
            return _unexpected(unknown)


def _only(error: Exception) -> Exception:
    """The one error behind a group, as a task group raises it.

    A store that no waiting brings back makes several tasks fail at once, and is what counts.
    """
    single = list(_leaves(error))
    lost = [each for each in single if isinstance(each, StoreError) and not each.transient]
    if lost:
        return lost[0]
    return single[0] if len(single) == 1 else error


def _leaves(error: Exception) -> Iterator[Exception]:
    """The errors in a group, and in the groups in it."""
    if not isinstance(error, ExceptionGroup):
        yield error
        return
    for each in error.exceptions:
        yield from _leaves(each)


def _unexpected(error: Exception) -> Failure:
    what = " ".join(str(error).split())[:200]
    said = f"{type(error).__name__}: {what}" if what else type(error).__name__
    remedy = "set BOT_GATEWAY_DEBUG=1 to see where, and report it"
    return Failure(EXIT_FAILED, "internal", (f"unexpected {said}; {remedy}",), is_ours=True)


def _with_hint(error: click.UsageError) -> str:
    """The message in one line, and which help to read."""
    message = " ".join(error.format_message().split())
    end = "" if message.endswith((".", "?")) else "."
    command = error.ctx.command_path if error.ctx is not None else "bot-gateway"
    return f"{message}{end} See: {command} --help"


def _has_colour() -> bool:
    """Colour on a terminal, unless the reader asked for none (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
