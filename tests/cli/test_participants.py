"""`participants show` and `participants link`, beside a daemon or without one."""

from tests.cli.conftest import CommandLine


def _participant(command: CommandLine) -> tuple[str, str]:
    """A participant and a session of theirs."""
    session = command.say("Hello")
    return str(command("sessions", "show", session, "--json").json["participant_id"]), session


def test_a_person_is_shown_with_identities_and_sessions(command: CommandLine) -> None:
    participant, session = _participant(command)

    shown = command("participants", "show", participant)
    document = command("participants", "show", participant, "--json").json

    assert shown.code == 0
    assert participant in shown.out
    assert session in shown.out
    assert document["sessions"] == [session]
    assert [one["platform"] for one in document["identities"]]


def test_a_code_is_shown_as_the_person_sends_it(command: CommandLine) -> None:
    participant, _ = _participant(command)

    told = command("participants", "link", participant)
    document = command("participants", "link", participant, "--json").json

    assert told.code == 0
    assert "    link " in told.out
    assert "10 min" in told.out
    assert document["participant_id"] == participant
    assert len(document["code"]) == 9


def test_an_unknown_person_is_told_in_one_line(command: CommandLine) -> None:
    for verb in ("show", "link"):
        result = command("participants", verb, "par_none")

        assert result.code == 1
        assert "There is no participant par_none." in result.err
