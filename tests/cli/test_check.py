"""What `check` shows of a configuration, and how it tells mistakes."""

from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG, CommandLine

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"

CHANNEL = """
[[channels]]
name = "tg"
kind = "telegram"
bot = "support"
token = "env:CHECK_TELEGRAM_TOKEN"
"""


def test_the_example_is_fine_as_it_is(command: CommandLine) -> None:
    result = command.bare("check", "--config", str(EXAMPLE))

    assert (result.code, result.err) == (0, "")
    assert "Credit Card Hub" in result.out
    assert "The configuration is fine." in result.out


def test_what_would_run_is_shown(command: CommandLine) -> None:
    shown = command("check").out

    for word in ("support", "Desk", "Billing", "get_outstanding_balance", "requests_per_minute"):
        assert word in shown


def test_programs_read_it_as_json(command: CommandLine) -> None:
    plan = command("check", "--json").json

    bot = plan["bots"][0]
    assert plan["projects"] == [{"id": "demo", "name": "demo", "workspace": "default"}]
    assert [agent["name"] for agent in bot["agents"]] == ["Desk", "Billing"]
    assert bot["tools"] == [{"name": "get_outstanding_balance", "kind": "python", "access": "read"}]
    assert plan["limits"]["requests_per_minute"] == 600


def test_it_makes_nothing(command: CommandLine) -> None:
    command("check")

    assert [path.name for path in command.folder.iterdir()] == ["config.toml"]


def test_it_never_shows_a_secret(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECK_TELEGRAM_TOKEN", "123456789:SECRET-SECRET-SECRET-SECRET-SECRET")
    command.configure(CONFIG + CHANNEL)

    for result in (command("check"), command("check", "--json")):
        assert result.code == 0
        assert "tg" in result.out
        assert "SECRET" not in result.out + result.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server\n", "not valid TOML"),
        ('[server]\nlisten = "127.0.0.1:8080"\nlisten_on = 1\n', 'did you mean "listen"'),
        (CONFIG + CHANNEL, "CHECK_TELEGRAM_TOKEN"),
        (CONFIG.replace('model = "demo"', 'model = "dmeo"'), 'did you mean "demo"?'),
        (CONFIG.replace("gateway.demo:get_out", "gateway.nowhere:get_out"), "cannot be imported"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(text: str, told: str, command: CommandLine) -> None:
    command.configure(text)

    result = command("check")

    assert (result.code, result.out) == (78, "")
    assert all(line.startswith(f"error: {command.config}:") for line in result.error_lines)
    assert told in result.err


def test_all_mistakes_are_told_at_once(command: CommandLine) -> None:
    command.configure(CONFIG.replace('"Billing"]', '"Biling"]') + "[limits]\nturns = 0\n")

    result = command("check")

    assert result.code == 78
    assert len(result.error_lines) == 2
