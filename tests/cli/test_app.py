"""The command as a whole: help, mistyped words, where options may stand, errors and exit codes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import __version__
from gateway.cli.app import ENTRIES, Entry
from tests.cli.conftest import CommandLine

HEAVY = ("aiohttp", "openai", "pydantic", "rich", "structlog", "telegram", "aiosqlite")


def test_help_lists_every_command_and_the_exit_codes(command: CommandLine) -> None:
    result = command.bare("--help")

    assert result.code == 0
    assert all(f"\n  {name} " in result.out for name in ENTRIES)
    assert "78 configuration" in result.out


def test_help_loads_no_library_that_it_does_not_need() -> None:
    program = (
        "import sys; from gateway.cli.app import run; run(['--help']);"
        "print(*sys.modules, file=sys.stderr)"
    )

    found = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )

    assert set(found.stderr.split()).isdisjoint(HEAVY)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_command_explains_itself(name: str, command: CommandLine) -> None:
    result = command.bare(name, "--help")

    assert result.code == 0
    assert result.out.startswith(f"Usage: bot-gateway {name}")
    assert "--config PATH" in result.out


def test_python_m_gateway_is_the_same_command() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "gateway", "--version"], check=False, capture_output=True, text=True
    )

    assert (found.returncode, found.stdout) == (0, f"bot-gateway {__version__}\n")


@pytest.mark.parametrize(
    ("word", "meant"), [("chek", "check"), ("servr", "serve"), ("sesions", "sessions")]
)
def test_a_mistyped_command_is_answered_with_the_nearest(
    word: str, meant: str, command: CommandLine
) -> None:
    result = command.bare(word)

    assert result.code == 2
    assert len(result.error_lines) == 1
    assert f"'{meant}'" in result.err


def test_a_mistyped_option_is_wrong_usage(command: CommandLine) -> None:
    result = command("check", "--jsn")

    assert result.code == 2
    assert "--json" in result.err


def test_without_a_command_it_shows_its_help(command: CommandLine) -> None:
    result = command.bare()

    assert result.code == 2
    assert "Commands:" in result.err


def test_the_configuration_may_stand_before_the_command_and_after_it(
    command: CommandLine,
) -> None:
    path = str(command.config)

    before = command.bare("--config", path, "check", "--json")
    after = command.bare("check", "--json", "--config", path)
    between = command.bare("key", "--config", path, "list", "--json")

    assert before.out == after.out
    assert (between.code, between.json) == (0, [])


def test_the_configuration_may_be_named_by_the_environment(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOT_GATEWAY_CONFIG", str(command.config))

    assert command.bare("check").code == 0


def test_no_configuration_at_all_is_told_in_one_line(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOT_GATEWAY_CONFIG", raising=False)
    command.config.unlink()
    monkeypatch.chdir(command.folder)

    result = command.bare("check")

    assert result.code == 78
    assert len(result.error_lines) == 1
    assert "--config" in result.err


def test_errors_are_json_where_json_was_asked_for(command: CommandLine) -> None:
    command.configure("[server]\nlisten = 1\nlog_levl = 2\n")

    result = command("check", "--json")

    error = json.loads(result.err)["error"]
    assert (result.code, result.out) == (78, "")
    assert error["code"] == "config_error"
    assert len(error["problems"]) == 2


def test_a_mistake_of_the_program_is_one_line_without_a_trace(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENTRIES, "broken", Entry("nowhere", "Has no module."))

    result = command.bare("broken")

    assert result.code == 1
    assert len(result.error_lines) == 1
    assert "ModuleNotFoundError" in result.err


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["at the end", "at once"])
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_output_that_cannot_be_written_is_told_in_one_line(
    command: CommandLine, options: tuple[str, ...], unbuffered: str
) -> None:
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "gateway", "check", *options, "--config", str(command.config)],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )

    assert found.returncode == 1
    assert len(found.stderr.splitlines()) == 1
    assert "The output cannot be written: No space left on device." in found.stderr


def test_the_trace_of_a_mistake_can_be_asked_for(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENTRIES, "broken", Entry("nowhere", "Has no module."))
    monkeypatch.setenv("BOT_GATEWAY_DEBUG", "1")

    with pytest.raises(ModuleNotFoundError):
        command.bare("broken")


def test_every_command_stands_in_the_operators_handbook() -> None:
    handbook = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    described = set(re.findall(r"^\| `(\w+)", handbook, flags=re.MULTILINE))

    assert set(ENTRIES) <= described
