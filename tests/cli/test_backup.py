"""`bot-gateway backup` and `restore`: what they say, and how they end."""

from pathlib import Path

import pytest

from gateway.store.lock import hold_directory
from tests.cli.conftest import CommandLine


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where a backup goes."""
    return tmp_path / "copy.db"


def test_a_backup_tells_its_size_and_that_it_was_checked(command: CommandLine, copy: Path) -> None:
    command.say("Hello")

    result = command("backup", str(copy))

    assert result.code == 0
    assert result.out.startswith(f"{copy}: ")
    assert "KiB in" in result.out
    assert "checked." in result.out


def test_programs_read_what_was_made(command: CommandLine, copy: Path) -> None:
    command.say("Hello")

    made = command("backup", str(copy), "--json").json

    assert (made["file"], made["findings"]) == (str(copy), 0)
    assert made["size_bytes"] == copy.stat().st_size


def test_an_existing_file_is_a_failure_that_names_the_option(
    command: CommandLine, copy: Path
) -> None:
    command.say("Hello")
    command("backup", str(copy))

    refused, forced = command("backup", str(copy)), command("backup", "--force", str(copy))

    assert refused.code == 1
    assert refused.error_lines == [f"error: {copy} exists; --force overwrites it."]
    assert forced.code == 0


def test_without_a_store_there_is_nothing_to_back_up(command: CommandLine, copy: Path) -> None:
    result = command("backup", str(copy))

    assert result.code == 78
    assert "There is no store at" in result.err
    assert not (command.folder / "data" / "gateway.db").exists()


def test_a_restore_brings_back_the_sessions_of_the_backup(command: CommandLine, copy: Path) -> None:
    first = command.say("Hello")
    command("backup", str(copy))
    command.say("Hello again")

    result = command("restore", str(copy))

    assert result.code == 0
    assert "restored from" in result.out
    assert "gateway.db.before-restore-" in result.out
    assert [session["id"] for session in command("sessions", "list", "--json").json] == [first]
    assert command("verify").code == 0


def test_a_restore_beside_a_daemon_is_refused(command: CommandLine, copy: Path) -> None:
    command.say("Hello")
    command("backup", str(copy))

    with hold_directory(command.folder / "data", owner="a daemon"):
        result = command("restore", str(copy))

    assert result.code == 75
    assert "a daemon" in result.err


def test_a_backup_that_is_none_is_refused_in_one_line(command: CommandLine, copy: Path) -> None:
    copy.write_text("my shopping list" * 500)

    result = command("restore", str(copy))

    assert result.code == 1
    assert len(result.error_lines) == 1
    assert str(copy) in result.err


def test_a_restore_into_an_empty_directory_works(command: CommandLine, copy: Path) -> None:
    session = command.say("Hello")
    command("backup", str(copy))
    for path in (command.folder / "data").iterdir():
        path.unlink()

    result = command("restore", str(copy), "--json")

    assert result.json["kept"] == []
    assert command("sessions", "show", session).code == 0
