"""`bot-gateway prove`: what it takes, and that Ctrl-C leaves nothing of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine

PATIENCE_S = 60.0


@pytest.fixture
def proving(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run whose throw-away gateways stand below the folder of the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "prove", "--fault", "F6"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - it sets one signal and no more
    )
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


def _hear_ctrl_c() -> None:
    """As in a shell in the foreground, also where the tests run in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_an_unknown_fault_is_wrong_usage_and_names_those_there_are(command: CommandLine) -> None:
    result = command.bare("prove", "--fault", "F99")

    assert result.code == 2
    assert result.err.startswith("error: there is no fault F99; there are F1, F2, ")


def test_ctrl_c_leaves_neither_files_nor_processes(
    proving: subprocess.Popen[str], tmp_path: Path
) -> None:
    wait_for_ready_gateway(tmp_path)

    os.killpg(proving.pid, signal.SIGINT)
    out, err = proving.communicate(timeout=PATIENCE_S)

    assert (proving.returncode, out, err.strip()) == (130, "", "")
    assert list(tmp_path.iterdir()) == []
    assert processes_at(tmp_path) == []


def wait_for_ready_gateway(folder: Path) -> None:
    """Return when a gateway below the folder has said that it is ready."""
    until = time.monotonic() + PATIENCE_S
    while not any("gateway_ready" in log.read_text() for log in folder.glob("*/**/gateway.log")):
        assert time.monotonic() < until, "no gateway became ready"
        time.sleep(0.02)


def processes_at(folder: Path) -> list[str]:
    """The command lines that name the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if str(folder) in line:
            found.append(line)
    return found
