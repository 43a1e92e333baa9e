"""The command line called in this process, on a configuration in a folder of the test's own."""

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.cli.app import run

CONFIG = """
[[projects]]
id = "demo"

[models.demo]
provider = "scripted"

[[models.demo.rules]]
tool = "get_outstanding_balance"
reply = "You owe {tool.balance}."

[[models.demo.rules]]
agent = "Billing"
call = "get_outstanding_balance"

[[models.demo.rules]]
text = "owe"
handoff = "Billing"

[[models.demo.rules]]
text = "break"
fail = "permanent"

[[models.demo.rules]]
reply = "I heard: {text}"

[tools.get_outstanding_balance]
kind = "python"
function = "gateway.demo:get_outstanding_balance"
parameters = { type = "object", properties = { card = { type = "string" } } }

[[bots]]
slug = "support"
name = "Card Support"
model = "demo"

[[bots.agents]]
name = "Desk"
handoffs = ["Billing"]

[[bots.agents]]
name = "Billing"
tools = ["get_outstanding_balance"]
"""


@dataclass(frozen=True)
class Result:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output, read as JSON."""
        return json.loads(self.out)

    @property
    def error_lines(self) -> list[str]:
        """What it complained about, a line each."""
        return self.err.splitlines()


class CommandLine:
    """Runs commands on `config.toml` of a folder."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self._capsys = capsys
        self._patch = patch
        self.configure(CONFIG)

    def configure(self, text: str) -> None:
        """Write another configuration."""
        self.config.write_text(text)

    def __call__(self, *arguments: str, stdin: str = "") -> Result:
        """Run a command with `--config`; everything it wrote comes back."""
        return self.bare(*arguments, "--config", str(self.config), stdin=stdin)

    def bare(self, *arguments: str, stdin: str = "") -> Result:
        """Run a command exactly as given."""
        self._patch.setattr("sys.stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        code = run(arguments)
        written = self._capsys.readouterr()
        return Result(code, written.out, written.err)

    def say(self, *lines: str) -> str:
        """Say something to the bot in a new session; the id of that session."""
        result = self("chat", "--json", stdin="".join(f"{line}\n" for line in lines))
        assert result.code in {0, 1}, result.err
        return str(json.loads(result.out.splitlines()[0])["session_id"])


@pytest.fixture
def command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[CommandLine]:
    """The command line; logging is put back at the end, since commands set it up."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield CommandLine(tmp_path, capsys, monkeypatch)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
