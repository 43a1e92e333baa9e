"""Which error leads to which exit code and words."""

import errno

import click
import pytest

from gateway.cli.durations import parse_duration, parse_moment
from gateway.cli.failures import UsageProblem, explain_failure
from gateway.errors import ConfigError, HeldElsewhere, NotFound, StoreError
from tests.cli.moments import NOON


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (NotFound("There is no such key."), 1),
        (click.UsageError("wrong"), 2),
        (UsageProblem("wrong"), 2),
        (HeldElsewhere("held"), 75),
        (ConfigError("wrong"), 78),
        (StoreError("damaged", transient=False, code="store_corrupt"), 78),
        (StoreError("newer", transient=False, code="store_newer"), 78),
        (StoreError("not writable", code="store_read_only"), 78),
        (StoreError("full", code="store_full"), 1),
        (OSError(errno.ENOSPC, "No space left on device"), 1),
        (RuntimeError("what?"), 1),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, exit_code: int) -> None:
    assert explain_failure(error).exit_code == exit_code


def test_a_file_that_cannot_be_made_is_not_taken_for_the_output() -> None:
    failure = explain_failure(OSError(errno.ENOSPC, "No space left on device", "draft"))

    assert failure.code == "internal"


def test_every_problem_of_a_configuration_is_a_line() -> None:
    error = ConfigError("2 problems", problems=("a.toml:1: x", "a.toml:2: y"))

    assert explain_failure(error).problems == ("a.toml:1: x", "a.toml:2: y")


def test_an_error_is_found_inside_the_groups_it_was_raised_through() -> None:
    inner = ExceptionGroup("tasks", [HeldElsewhere("Another process holds it.")])

    failure = explain_failure(ExceptionGroup("tasks", [inner]))

    assert (failure.exit_code, failure.problems) == (75, ("Another process holds it.",))


def test_a_lost_store_counts_among_everything_that_failed_with_it() -> None:
    lost = StoreError("gone", transient=False, code="store_missing")
    away = StoreError("away")

    failure = explain_failure(ExceptionGroup("a", [away, ExceptionGroup("b", [lost, lost])]))

    assert (failure.exit_code, failure.code) == (78, "store_missing")


def test_several_mistakes_at_once_are_ours() -> None:
    failure = explain_failure(ExceptionGroup("tasks", [ValueError("one"), ValueError("two")]))

    assert failure.is_ours


def test_a_message_of_several_lines_becomes_one() -> None:
    failure = explain_failure(RuntimeError("first\nsecond"))

    assert failure.is_ours
    assert "\n" not in failure.problems[0]


@pytest.mark.parametrize("text", ["", "12", "h", "-1d", "1y", "1.5h", "9" * 30 + "w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|too long"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["yesterday", "2020-01-01T00:00:00Z", "0s", "9" * 9 + "w"])
def test_what_is_no_moment_to_come_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|over already|too long"):
        parse_moment(text, now=NOON)


def test_a_time_without_a_zone_is_utc() -> None:
    assert parse_moment("2027-01-31T12:00:00", now=NOON).isoformat() == "2027-01-31T12:00:00+00:00"


@pytest.mark.parametrize(
    ("said", "shown"),
    [("Got one too many", "Got one too many. See:"), ("Did you mean it?", "Did you mean it? See:")],
)
def test_wrong_usage_is_one_sentence_and_the_help_to_read(said: str, shown: str) -> None:
    problem = explain_failure(click.UsageError(said)).problems[0]

    assert problem == f"{shown} bot-gateway --help"
