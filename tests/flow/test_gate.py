"""Commands and strangers are answered without a model; everything else is for the bot."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import BaseModel

from channels.web.adapter import WebChannel
from gateway.contract import Address, InboundMessage, Sender
from gateway.domain.bots import Agent, Bot
from gateway.domain.ids import ProjectId
from gateway.flow import gate
from gateway.flow.catalogue import ChannelBinding

PROJECT = ProjectId("default")
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


def message(text: str) -> InboundMessage:
    return InboundMessage(
        account="1",
        external_id="1",
        digest=b"",
        received_at=datetime.now(UTC),
        address=Address("site", "1"),
        sender=Sender("telegram", "7"),
        text=text,
    )


def answer(text: str, **changes: object) -> gate.Answer | None:
    return gate.answer(message(text), binding=binding(**changes), bot=BOT)


@pytest.mark.parametrize("text", ["Hi", "/newcar", "/new car?", "stop", "", "   ", "/unknown"])
def test_what_is_no_command_is_for_the_bot(text: str) -> None:
    assert answer(text) is None


@pytest.mark.parametrize("text", ["/start", " /START ", "/start ref-42"])
def test_start_greets(text: str) -> None:
    assert answer(text) == gate.Answer(text="Good morning!")


def test_new_ends_the_session_and_greets() -> None:
    given = answer("/new")

    assert given is not None
    assert given.ends_session
    assert "Good morning!" in given.text


def test_stop_cancels_what_runs() -> None:
    given = answer("/stop")

    assert given is not None
    assert given.cancels


def test_help_names_every_command() -> None:
    given = answer("/help")

    assert given is not None
    assert all(f"/{name}" in given.text for name in ("new", "stop", "status", "help"))


def test_a_stranger_is_refused_where_only_some_may_write() -> None:
    given = answer("Hi", access="allow", allow=frozenset({"8"}))

    assert given == gate.Answer(text=gate.REFUSED)


def test_a_person_on_the_list_may_write() -> None:
    assert answer("Hi", access="allow", allow=frozenset({"7"})) is None
