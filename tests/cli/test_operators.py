"""What operators see of a store: sessions, transcripts, stories, invariants, status, schema."""

import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from gateway.service.operations import MESSAGES_A_PAGE
from gateway.store.lock import hold_directory
from tests.cli.conftest import CONFIG, CommandLine

OWED = "You owe $1,284.50."

Damage = Callable[[str], None]


@pytest.fixture
def sqlite(command: CommandLine) -> Damage:
    """Changes the database behind the gateway's back."""

    def change(statement: str) -> None:
        path = command.folder / "data" / "gateway.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(statement)

    return change


def microseconds_ago(seconds: int) -> int:
    """A time in the past as the store keeps times."""
    return time.time_ns() // 1000 - seconds * 1_000_000


def test_sessions_are_listed_newest_first(command: CommandLine) -> None:
    first, second = command.say("Hello"), command.say("Hello again")

    listed = command("sessions", "list", "--json").json
    newest = command("sessions", "list", "--json", "--limit", "1").json

    assert [session["id"] for session in listed] == [second, first]
    assert [session["id"] for session in newest] == [second]
    assert first in command("sessions", "list").out


def test_sessions_can_be_narrowed_to_a_bot_and_a_status(command: CommandLine) -> None:
    command.say("Hello")

    assert len(command("sessions", "list", "--bot", "support", "--json").json) == 1
    assert command("sessions", "list", "--status", "ended", "--json").json == []


def test_an_unknown_bot_is_answered_with_the_nearest(command: CommandLine) -> None:
    result = command("sessions", "list", "--bot", "suport")

    assert result.code == 2
    assert 'did you mean "support"?' in result.err


def test_an_empty_store_is_no_error(command: CommandLine) -> None:
    result = command("sessions", "list")

    assert (result.code, result.out) == (0, "There are no such sessions.\n")


def test_a_transcript_shows_what_was_said(command: CommandLine) -> None:
    session_id = command.say("Hello", "What do I owe?")

    result = command("sessions", "show", session_id)

    said = ["Hello", "I heard: Hello", "What do I owe?", OWED]
    positions = [result.out.index(text) for text in said]
    assert positions == sorted(positions)
    assert "transfer_to_billing" not in result.out


def test_internal_messages_are_shown_on_request(command: CommandLine) -> None:
    session_id = command.say("What do I owe?")

    assert "get_outstanding_balance({" in command("sessions", "show", session_id, "--internal").out


def test_text_that_looks_like_markup_is_shown_as_it_was_said(command: CommandLine) -> None:
    session_id = command.say("[bold]x[/bold] :smile: [/]")

    assert "[bold]x[/bold] :smile: [/]" in command("sessions", "show", session_id).out


def test_a_transcript_of_several_pages_is_shown_whole(command: CommandLine) -> None:
    turns = MESSAGES_A_PAGE // 2 + 1
    session_id = command.say(*(f"message {number}" for number in range(turns)))

    messages = command("sessions", "show", session_id, "--json").json["messages"]

    assert [message["seq"] for message in messages] == list(range(1, 2 * turns + 1))


def test_a_session_is_explained_step_by_step(command: CommandLine) -> None:
    session_id = command.say("What do I owe?")

    steps = command("explain", session_id, "--json").json["turns"][0]["steps"]

    kinds = [step["kind"] for step in steps]
    assert kinds == [
        "received",
        "claimed",
        "model",
        "handoff",
        "model",
        "tool",
        "model",
        "message",
        "ended",
    ]
    handoff, tool = steps[3], steps[5]
    assert handoff["facts"] == {"from": "Desk", "to": "Billing"}
    assert tool["facts"]["ok"] is True
    assert json.loads(tool["facts"]["result"])["balance"] == "$1,284.50"
    assert steps[7]["text"] == OWED


def test_a_turn_and_a_message_are_explained_by_their_turn(command: CommandLine) -> None:
    session_id = command.say("Hello", "What do I owe?")
    turns = command("explain", session_id, "--json").json["turns"]
    turn_id = turns[1]["id"]
    message_id = next(s["id"] for s in turns[1]["steps"] if s["kind"] == "message")

    by_turn = command("explain", turn_id, "--json").json["turns"]
    by_message = command("explain", message_id, "--json").json["turns"]
    for_people = command("explain", message_id).out

    assert by_turn == by_message == [turns[1]]
    assert f"{message_id}  <- asked for" in for_people


def test_a_failure_is_explained_with_its_reason(command: CommandLine) -> None:
    session_id = command.say("break it")

    end = command("explain", session_id, "--json").json["turns"][0]["steps"][-1]

    assert (end["kind"], end["title"], end["is_bad"]) == ("ended", "failed", True)
    assert end["facts"]["error"]


@pytest.mark.parametrize("name", ["explain", "sessions show"])
def test_an_unknown_id_is_one_line(name: str, command: CommandLine) -> None:
    result = command(*name.split(), "ses_01k00000000000000000000000")

    assert (result.code, result.out) == (1, "")
    assert len(result.error_lines) == 1


def test_a_sound_store_has_no_findings(command: CommandLine) -> None:
    command.say("Hello")

    assert command("verify").code == 0
    assert command("verify", "--json").json == {"findings": []}


def test_a_broken_invariant_is_found(command: CommandLine, sqlite: Damage) -> None:
    session_id = command.say("Hello")
    sqlite("UPDATE session SET pending = 7")

    for_people, for_programs = command("verify"), command("verify", "--json")

    assert (for_people.code, for_programs.code) == (1, 1)
    assert session_id in for_people.out
    assert session_id in for_programs.json["findings"][0]["where"]


def test_status_says_clearly_that_nothing_runs(command: CommandLine) -> None:
    result = command("status")

    assert result.code == 0
    assert "No gateway runs" in result.out
    assert "bot-gateway serve" in result.out
    assert command("status", "--json").json["running"] is False


def test_status_counts_what_waits(command: CommandLine, sqlite: Damage) -> None:
    command.say("Hello")
    sqlite("UPDATE turn SET state = 'queued', finished_at = NULL")

    assert command("status", "--json").json["turns"]["queued"] == 1


def test_status_shows_a_daemon_with_its_channels(command: CommandLine, sqlite: Damage) -> None:
    command("migrate")
    heard_at = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
    tg = {"state": "degraded", "reason": "Conflict: another poller", "last_in_at": heard_at}
    channels = json.dumps({"channels": {"tg": {**tg, "last_out_at": None}}})
    now = microseconds_ago(0)
    sqlite(f"INSERT INTO instance VALUES ('ins_1', 'host', '1.0', {now}, {now}, '{channels}')")

    for_people, for_programs = command("status"), command("status", "--json")

    assert "ins_1 on host, version 1.0, up 0 s" in for_people.out
    assert re.search(r"degraded\W+3 min ago\W+-\W", for_people.out)
    assert "another poller" in for_people.out
    assert "No gateway runs" not in for_people.out
    assert for_programs.json["running"] is True


def test_a_daemon_without_a_heartbeat_is_told_apart(command: CommandLine, sqlite: Damage) -> None:
    command("migrate")
    past = microseconds_ago(120)
    sqlite(f"INSERT INTO instance VALUES ('ins_1', 'host', '1.0', {past}, {past}, NULL)")

    result = command("status")

    assert "gone or stuck: last heartbeat 2 min ago" in result.out
    assert "No gateway runs" in result.out


def test_a_queued_turn_shows_how_long_it_waits(command: CommandLine, sqlite: Damage) -> None:
    command.say("Hello")
    sqlite(
        "UPDATE turn SET state = 'queued', finished_at = NULL,"
        f" created_at = {microseconds_ago(7300)}"
    )

    assert re.search(r"oldest queued turn waits +2 h", command("status").out)


def test_migrate_makes_the_schema_once(command: CommandLine) -> None:
    first, second = command("migrate", "--json"), command("migrate", "--json")

    applied = first.json["applied"]
    assert applied == list(range(1, len(applied) + 1)) != []
    assert second.json["applied"] == []
    assert "up to date" in command("migrate").out


def test_migrate_refuses_while_the_data_directory_is_held(command: CommandLine) -> None:
    data = command.folder / "data"
    data.mkdir()

    with hold_directory(data, owner="a test"):
        result = command("migrate")

    assert result.code == 75
    assert len(result.error_lines) == 1


def test_a_store_of_a_newer_version_is_refused(command: CommandLine, sqlite: Damage) -> None:
    command("migrate")
    sqlite("INSERT INTO schema_migration (number, name, checksum) VALUES (99, 'later', 'x')")

    result = command("status")

    assert (result.code, result.out) == (78, "")
    assert "newer version" in result.err


def test_a_damaged_store_is_refused_with_a_remedy(command: CommandLine) -> None:
    command("migrate")
    (command.folder / "data" / "gateway.db").write_bytes(b"not a database " * 500)

    result = command("migrate")

    assert result.code == 78
    assert len(result.error_lines) == 1
    assert "backup" in result.err


def test_operators_see_every_project(command: CommandLine) -> None:
    second = CONFIG.split("[[bots]]")[1]
    command.configure(
        CONFIG.replace('slug = "support"', 'slug = "support"\nproject = "demo"')
        + '\n[[projects]]\nid = "other"\n[[bots]]'
        + second.replace('"support"', '"helper"\nproject = "other"')
    )
    one = command.say("Hello")
    other = command("chat", "helper", "--json", stdin="Hello\n").json["session_id"]

    listed = command("sessions", "list", "--json").json

    assert {(s["id"], s["project"]) for s in listed} == {(one, "demo"), (other, "other")}
    assert command("explain", other).code == 0


def test_what_is_printed_into_a_file_has_no_colours(command: CommandLine) -> None:
    session_id = command.say("What do I owe?")

    for name in ("status", "check", f"explain {session_id}", f"sessions show {session_id}"):
        assert "\x1b" not in command(*name.split()).out
