"""Tables: as wide as they are in files, in lines of their own on a narrow terminal."""

import io
from contextlib import redirect_stdout

import pytest

from gateway.cli.screen import add_row, print_list, table

LONG = "nobody knows whether it was delivered; an operator decides"


class Terminal(io.StringIO):
    """A terminal of 80 columns that shows what is written to it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """What standard output may become; it has no colours."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("COLUMNS", raising=False)
    return Terminal()


def print_letter(why: str) -> None:
    """One row of a table."""
    rows = table(None, "id", "state", "since", "why")
    add_row(rows, "dlv_01m7zr7q0vfkc9924gk7zqvd0k", "held", None, why)
    print_list(rows)


def test_a_row_that_is_too_wide_for_the_terminal_has_lines_of_its_own(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        print_letter(LONG)

    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert lines[0] == "dlv_01m7zr7q0vfkc9924gk7zqvd0k"
    assert " ".join(" ".join(lines[1:]).split()) == f"state held, since -, why {LONG}"
    assert all(line.startswith("  ") and len(line) <= 80 for line in lines[1:])


def test_a_table_that_fits_stays_one(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        print_letter("blocked")

    assert " id " in terminal.getvalue()
    assert any(line.endswith("held    -       blocked") for line in stripped(terminal.getvalue()))


def test_a_file_gets_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_letter(LONG)

    assert any(line.endswith(LONG) for line in stripped(capsys.readouterr().out))


def stripped(text: str) -> list[str]:
    """The lines without the spaces at their ends."""
    return [line.rstrip() for line in text.splitlines()]
