"""Talking to a bot from a script, and from a terminal."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.store.lock import hold_directory
from gateway.testing.process import GatewayProcess
from tests.cli.conftest import CONFIG, CommandLine

OWED = "You owe $1,284.50."
STORY = " ".join(f"word{number}" for number in range(200))
SLOW_RULE = f"""
[[models.demo.rules]]
text = "story"
reply = "{STORY}"
chunk_delay_s = 0.05

[[models.demo.rules]]
text = "owe"
"""
SLOW = CONFIG.replace('\n[[models.demo.rules]]\ntext = "owe"\n', SLOW_RULE)
PATIENCE_S = 20.0


def test_each_line_is_answered_on_standard_output(command: CommandLine) -> None:
    result = command("chat", stdin="Hello\n\nWhat do I owe?\n")

    assert (result.code, result.err) == (0, "")
    assert result.out == f"I heard: Hello\n{OWED}\n"


def test_programs_get_a_line_of_json_for_each(command: CommandLine) -> None:
    result = command("chat", "support", "--json", stdin="Hello\nWhat do I owe?\n")

    first, second = (json.loads(line) for line in result.out.splitlines())
    assert first["text"] == "I heard: Hello"
    assert (second["text"], second["agent"], second["state"]) == (OWED, "Billing", "done")
    assert first["session_id"] == second["session_id"]


def test_a_named_session_goes_on(command: CommandLine) -> None:
    session_id = command.say("Hello")

    result = command("chat", "--session", session_id, "--json", stdin="And again\n")

    assert result.json["session_id"] == session_id
    assert len(command("sessions", "show", session_id, "--json").json["messages"]) == 4


def test_an_answer_that_failed_is_told_on_standard_error(command: CommandLine) -> None:
    result = command("chat", stdin="break it\nHello\n")

    assert result.code == 1
    assert result.out == "I heard: Hello\n"
    assert len(result.error_lines) == 1
    assert "bot-gateway explain turn_" in result.err


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (("suport",), 2, 'did you mean "support"?'),
        (("--session", "ses_1", "--new"), 2, "--new"),
        (("--session", "ses_01k00000000000000000000000"), 1, "no session"),
    ],
)
def test_what_cannot_be_talked_to_is_one_line(
    options: tuple[str, ...], code: int, told: str, command: CommandLine
) -> None:
    result = command("chat", *options, stdin="Hello\n")

    assert (result.code, result.out) == (code, "")
    assert len(result.error_lines) == 1
    assert told in result.err


def test_a_chat_that_could_not_begin_leaves_no_process_behind(command: CommandLine) -> None:
    command("chat", "--session", "ses_01k00000000000000000000000", stdin="Hello\n")

    assert command("status", "--json").json["instances"] == []


def test_a_configuration_without_bots_says_what_is_missing(command: CommandLine) -> None:
    command.configure("")

    result = command("chat", stdin="Hello\n")

    assert result.code == 78
    assert "[[bots]]" in result.err


async def test_beside_a_daemon_the_daemon_answers(tmp_path: Path) -> None:
    async with GatewayProcess(tmp_path, config=CONFIG) as gateway:
        await gateway.start()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "chat", "--config", str(gateway.config_path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(b"What do I owe?\n")

        assert (process.returncode, out.decode(), err.decode()) == (0, f"{OWED}\n", "")
        assert "turn_finished" in gateway.log


def test_a_message_that_nobody_answers_is_kept_and_the_wait_ends(command: CommandLine) -> None:
    command("migrate")

    with hold_directory(command.folder / "data", owner="a test"):
        result = command("chat", stdin="Hello\n")

    assert (result.code, result.out) == (1, "")
    assert "it is answered when a gateway starts" in result.err
    assert command("status", "--json").json["turns"]["queued"] == 1


class Terminal:
    """`bot-gateway chat` on a terminal, typed at and read from."""

    def __init__(self, folder: Path, *options: str) -> None:
        config = folder / "config.toml"
        config.write_text(SLOW)
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "chat", *options, "--config", str(config)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "dumb", "NO_COLOR": "1"},
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def shows(self, text: str) -> None:
        """Read until that text has come; what came before it is dropped."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.seen!r}"
            try:
                self.seen += os.read(self._master, 4096).decode(errors="replace")
            except OSError:
                pytest.fail(f"it ended without {text!r}: {self.seen!r}")
        self.seen = self.seen.partition(text)[2]

    def ends(self) -> int:
        """Wait until it has ended; the exit code."""
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Kill it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)


@contextmanager
def terminal(folder: Path, *options: str) -> Iterator[Terminal]:
    """A chat that is open while inside."""
    opened = Terminal(folder, *options)
    try:
        yield opened
    finally:
        opened.close()


def test_a_person_sees_who_answers_and_what_is_done_for_them(tmp_path: Path) -> None:
    with terminal(tmp_path) as chat:
        chat.shows("How can I help you today?")
        chat.shows("you: ")
        chat.type("What do I owe?\n")
        chat.shows("Desk hands over to Billing")
        chat.shows("get_outstanding_balance")
        chat.shows(f"Billing: {OWED}")
        chat.shows("you: ")
        chat.type("\x04")
        chat.shows("Go on later: bot-gateway chat --session ses_")

        assert chat.ends() == 0


def test_an_answer_grows_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    with terminal(tmp_path) as chat:
        chat.shows("you: ")
        chat.type("Tell me a story\n")
        chat.shows("Desk: word0")
        chat.shows("word3")
        chat.process.send_signal(signal.SIGINT)
        chat.shows("stopped")
        assert "word199" not in chat.seen

        chat.shows("you: ")
        chat.type("Hello\n")
        chat.shows("I heard: Hello")


def test_ctrl_c_at_the_prompt_says_how_to_leave_and_leaves_the_second_time(
    tmp_path: Path,
) -> None:
    with terminal(tmp_path) as chat:
        chat.shows("you: ")
        chat.process.send_signal(signal.SIGINT)
        chat.shows("Ctrl-D leaves")
        chat.process.send_signal(signal.SIGINT)

        assert chat.ends() == 0


def test_the_last_session_goes_on_until_a_new_one_is_asked_for(tmp_path: Path) -> None:
    with terminal(tmp_path) as chat:
        chat.shows("you: ")
        chat.type("Remember me\n")
        chat.shows("I heard: Remember me")
        chat.shows("you: ")
        chat.type("\x04")
        chat.ends()

    with terminal(tmp_path) as chat:
        chat.shows("going on with ses_")
        chat.shows("Desk: I heard: Remember me")
        chat.shows("you: ")
        chat.type("\x04")
        chat.ends()

    with terminal(tmp_path, "--new") as chat:
        chat.shows("How can I help you today?")
