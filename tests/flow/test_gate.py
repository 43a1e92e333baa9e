"""What is a command, a link code, a stranger's word; everything else is for the bot."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from channels.web.adapter import WebChannel
from gateway.contract import Sender
from gateway.domain.bots import Agent, Bot
from gateway.domain.conversation import Session
from gateway.domain.ids import ParticipantId, ProjectId, SessionId
from gateway.flow import gate
from gateway.flow.catalogue import ChannelBinding

PROJECT = ProjectId("default")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
BOT = Bot(
    slug="support",
    uuid=UUID(int=1),
    project_id=PROJECT,
    name="Support",
    agents={"Desk": Agent(name="Desk", instructions="", model="m")},
    start_agent="Desk",
    greeting="Good morning!",
)


class NoSettings(BaseModel):
    """A channel without settings of its own."""


def binding(**changes: object) -> ChannelBinding:
    channel = WebChannel("site", NoSettings(), public_url="http://localhost")
    return ChannelBinding(channel=channel, project_id=PROJECT, bot="support", **changes)  # type: ignore[arg-type] # any field


def session(**fields: Any) -> Session:
    values: dict[str, Any] = {
        "id": SessionId("ses_1"),
        "project_id": PROJECT,
        "bot": "support",
        "participant_id": ParticipantId("par_1"),
        "channel": "site",
        "address": None,
        "agent": None,
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Session(**{**values, **fields})


@pytest.mark.parametrize("text", ["Hi", "/newcar", "/new car?", "stop", "", "   ", "/unknown"])
def test_what_is_no_command_is_for_the_bot(text: str) -> None:
    assert gate.answer(text, BOT) is None


@pytest.mark.parametrize("text", ["/start", " /START ", "/start ref-42"])
def test_start_greets_and_suggests(text: str) -> None:
    assert gate.answer(text, BOT) == gate.Answer(text="Good morning!", suggests=True)


def test_new_ends_the_session_with_all_that_runs_in_it_and_greets() -> None:
    given = gate.answer("/new", BOT)

    assert given is not None
    assert (given.ends_session, given.cancels) == (True, True)
    assert "Good morning!" in given.text


def test_stop_cancels_what_runs() -> None:
    given = gate.answer("/stop", BOT)

    assert given is not None
    assert given.cancels


def test_help_names_every_command() -> None:
    given = gate.answer("/help", BOT)

    assert given is not None
    commands = ("/new", "/stop", "/status", "/help", "link CODE")
    assert all(command in given.text for command in commands)


def test_link_without_a_code_is_told_how() -> None:
    given = gate.answer("/link", BOT)

    assert given == gate.Answer(text=gate.HOW_TO_LINK)


@pytest.mark.parametrize(
    "text",
    ["link BCDF-2345", "LINK bcdf2345", " /Link BCDF-2345\n", "link bcdf 2345", "link NOPE"],
)
def test_a_link_code_is_one_in_any_case(text: str) -> None:
    assert gate.link_code(text) is not None


@pytest.mark.parametrize(
    "text",
    ["link", "/link", "link please", "link the docs 2", "my link BCDF-2345", "linkBCDF-2345"],
)
def test_a_wish_for_a_link_is_for_the_bot(text: str) -> None:
    assert gate.link_code(text) is None


@pytest.mark.parametrize(
    ("sender", "access", "admitted"),
    [
        ("7", "open", "everybody"),
        ("7", "allow", "everybody"),
        ("8", "allow", "nobody"),
        ("7", "pairing", "linked"),
    ],
)
def test_each_rule_says_whom_it_lets_in(sender: str, access: str, admitted: str) -> None:
    rule = binding(access=access, allow=frozenset({"7"}))

    assert gate.admits(Sender("telegram", sender), rule) == admitted


def test_only_where_codes_let_people_in_strangers_are_told_of_codes() -> None:
    assert "link CODE" in gate.refusal(binding(access="pairing"))
    assert "link" not in gate.refusal(binding(access="allow"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "I am ready. Nothing is waiting."),
        ({"pending": 1}, "I am working on your last message."),
        ({"pending": 3}, "I am working; 3 messages are not answered yet."),
        ({"pending": 1, "holder": "person"}, "A person of the team answers here."),
        ({"holder": "paused"}, "This conversation is paused: nobody answers for now."),
    ],
)
def test_the_status_says_which_session_and_who_works_there(
    fields: dict[str, Any], words: str
) -> None:
    told = gate.status_text(session(**fields), BOT)

    assert told == f"{words}\n\nConversation ses_1 with Support, since 2026-01-02 12:00 UTC."


@pytest.mark.parametrize("present", [None, session(ended_at=NOON)], ids=["none", "ended"])
def test_where_no_session_is_the_status_says_that_one_begins(present: Session | None) -> None:
    assert "begins with your next message" in gate.status_text(present, BOT)
