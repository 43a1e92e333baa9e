"""Who may write, who wants no messages, and what people's commands do, from door to platform."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import (
    ActionPressed,
    Button,
    Capabilities,
    ConsentChanged,
    Json,
    OutboundMessage,
    Sender,
    StopPressed,
)
from gateway.domain.ids import ParticipantId
from gateway.domain.people import IdentityKey, hash_code
from gateway.errors import DeliveryRefused
from gateway.flow import gate
from gateway.store.protocol.history import Page
from gateway.testing.channels import HeldSend
from gateway.testing.models import Hold
from tests.flow.house import BOT, CHAT, PROJECT, QUICK, House, house, said

ARRIVAL: dict[str, Any] = {"account": "acc", "digest": b"d", "received_at": datetime.now(UTC)}
ANN, EVE = Sender("telegram", "7", "Ann"), Sender("telegram", "8", "Eve")
CODE = "BCDF-2345"


def consent(event: str, *, is_opted_out: bool | None = True, text: str = "STOP") -> ConsentChanged:
    return ConsentChanged(
        external_id=event,
        address=CHAT,
        sender=ANN,
        is_opted_out=is_opted_out,
        text=text,
        **ARRIVAL,
    )


async def known(home: House) -> ParticipantId:
    """A participant whose code works."""
    key = IdentityKey(platform="api", external_id="ann")
    made, _ = await home.store.put_participant(PROJECT, key)
    await home.store.add_link_code(PROJECT, made.id, code_hash=hash_code(PROJECT, CODE), life_s=600)
    return made.id


class TestConsent:
    @pytest.mark.proves("TW-21")
    async def test_tw_21_a_stop_is_kept_never_answered_and_stops_what_runs(
        self, tmp_path: Path
    ) -> None:
        hold, unhurried = Hold(rest="Hello."), replace(QUICK, heartbeat_s=60)
        async with house(tmp_path, hold, worker_times=unhurried) as home, home.at_work():
            await home.say("a long story")
            await hold.reached.wait()
            await home.port.accept([consent("c1")])
            turns = await home.settled()
            hold.release.set()
            await home.say("are you there?")
            turns = await home.settled()
            await home.sound()

        assert [turn.state for turn in turns] == ["cancelled", "done", "cancelled"]
        assert [message.text for message in turns[1].messages] == ["STOP"]
        assert turns[1].kind == "command"
        assert home.channel.tries == []
        assert len(home.model.requests) == 1

    @pytest.mark.proves("TW-21")
    async def test_tw_21_a_start_lets_us_answer_again(self, tmp_path: Path) -> None:
        async with house(tmp_path, "Hello.") as home, home.at_work():
            await home.port.accept([consent("c1")])
            await home.say("/help")
            await home.port.accept([consent("c2", is_opted_out=False, text="START")])
            await home.say("hi")
            await home.channel.wait_for_sent(1)

        assert home.channel.texts == ["Hello."]

    async def test_consent_without_words_is_heeded_too(self, tmp_path: Path) -> None:
        async with house(tmp_path) as home:
            await home.port.accept([consent("c1", text="")])
            await home.say("hi")
            turns = await home.turns()

        assert [len(turn.messages) for turn in turns] == [0, 1]
        assert [turn.state for turn in turns] == ["done", "cancelled"]

    @pytest.mark.proves("TW-22")
    async def test_tw_22_a_platform_that_refuses_for_that_is_believed(self, tmp_path: Path) -> None:
        async with house(tmp_path, "Hello.", "Again.") as home, home.at_work():
            home.channel.fail(DeliveryRefused("21610", scope="address", code="opted_out"))
            await home.say("hi")
            await home.until(lambda: _states(home, ["dead"]))
            await home.say("hi again")
            await home.settled()
            person = await home.store.participants(PROJECT, page=Page(limit=10))

        assert [one.identities[0].opted_out for one in person] == [True]
        assert len(home.channel.tries) == 1
        assert len(home.model.requests) == 1

    async def test_a_part_on_its_way_at_a_stop_is_not_tried_again(self, tmp_path: Path) -> None:
        held = HeldSend()
        async with house(tmp_path, "one\ftwo") as home, home.at_work():
            home.channel.fail(held)
            await home.say("hi")
            await home.channel.wait_for_tries(1)
            await home.port.accept([consent("c1")])
            held.release.set()
            await home.until(lambda: _states(home, ["sent", "cancelled"]))

        assert home.channel.texts == ["one"]


class TestAccess:
    async def test_a_stranger_is_told_how_to_get_in_once_and_no_model_is_asked(
        self, tmp_path: Path
    ) -> None:
        async with house(tmp_path, access="pairing") as home, home.at_work():
            for text in ("let me in", "please", "/help", "/stop"):
                await home.say(text)
            await home.port.accept([_pressed("pay", ANN)])
            await home.channel.wait_for_sent(1)
            await home.settled()

        assert home.channel.texts == [gate.REFUSED_UNTIL_LINKED]
        assert home.model.requests == []

    async def test_a_code_lets_them_in(self, tmp_path: Path) -> None:
        async with house(tmp_path, "Hello.", access="pairing") as home, home.at_work():
            participant = await known(home)
            await home.say("hello?")
            await home.say(f"Link {CODE.lower()}")
            await home.say("hi")
            await home.channel.wait_for_sent(3)
            turns = await home.settled()

        assert home.channel.texts == [gate.REFUSED_UNTIL_LINKED, gate.LINKED, "Hello."]
        assert {turn.participant_id for turn in turns[1:]} == {participant}
        assert "hello?" not in str(home.model.requests[0].messages)
        assert CODE not in str(home.model.requests[0].messages)

    async def test_a_stranger_of_a_group_stops_nothing_there(self, tmp_path: Path) -> None:
        hold = Hold(rest="Hello.")
        async with house(tmp_path, hold, access="pairing") as home, home.at_work():
            await known(home)
            await home.say(f"link {CODE}", is_direct=False)
            await home.say("hi", is_direct=False)
            await hold.reached.wait()
            await home.say("/stop", sender=EVE, is_direct=False)
            stop = StopPressed(external_id="s", address=CHAT, sender=EVE, **ARRIVAL)
            await home.port.accept([stop])
            hold.release.set()
            await home.channel.wait_for_sent(3)
            turns = await home.settled()

        assert turns[1].state == "done"
        assert set(home.channel.texts) == {gate.LINKED, gate.REFUSED_UNTIL_LINKED, "Hello."}

    async def test_a_list_is_one_of_ids_and_a_code_opens_no_list(self, tmp_path: Path) -> None:
        allow: dict[str, Any] = {"access": "allow", "allow": frozenset({"7"})}
        async with house(tmp_path, "Hello.", **allow) as home, home.at_work():
            await known(home)
            await home.say("hi")
            await home.say(f"link {CODE}", sender=EVE, chat="8")
            await home.say("hi", sender=EVE, chat="8")
            await home.channel.wait_for_sent(3)

        assert set(home.channel.texts) == {"Hello.", gate.LINKED, gate.REFUSED}


class TestLinking:
    async def test_a_link_is_answered_once_however_often_it_is_delivered(
        self, tmp_path: Path
    ) -> None:
        message = said(f"/link {CODE}")
        async with house(tmp_path) as home, home.at_work():
            await known(home)
            for _ in range(5):
                await home.port.accept([message])
            await home.channel.wait_for_sent(1)
            turns = await home.settled()
            await home.sound()

        assert home.channel.texts == [gate.LINKED]
        assert len(turns) == 1
        assert turns[0].messages[0].text == gate.HIDDEN_CODE

    async def test_wrong_codes_are_answered_until_there_are_too_many(self, tmp_path: Path) -> None:
        async with house(tmp_path) as home, home.at_work():
            for _ in range(6):
                await home.say("link NOPE-2345")
            await home.channel.wait_for_sent(6)

        assert home.channel.texts == [gate.WRONG_CODE] * 5 + [gate.TOO_MANY_CODES]
        assert home.model.requests == []

    async def test_what_came_at_once_is_answered_in_order(self, tmp_path: Path) -> None:
        async with house(tmp_path) as home, home.at_work():
            await home.say(*["link NOPE-2345"] * 6, "/help")
            await home.channel.wait_for_sent(7)

        assert home.channel.texts == [gate.WRONG_CODE] * 5 + [gate.TOO_MANY_CODES, gate.HELP]


class TestCommands:
    @pytest.mark.parametrize(
        "text", ["/start", "/help", "/new", "/stop", "/status", "/link", "link NOPE-2345"]
    )
    async def test_a_command_that_is_delivered_again_is_answered_once(
        self, tmp_path: Path, text: str
    ) -> None:
        message = said(text)
        async with house(tmp_path) as home, home.at_work():
            for _ in range(3):
                await home.port.accept([message, message])
            await home.channel.wait_for_sent(1)
            turns = await home.settled()

        assert len(turns) == len(home.channel.sent) == 1
        assert home.model.requests == []

    async def test_new_cancels_what_runs_and_waits(self, tmp_path: Path) -> None:
        hold = Hold(rest="Hello.")
        async with house(tmp_path, hold, "Fresh.") as home, home.at_work():
            await home.say("one")
            await hold.reached.wait()
            await home.say("two")
            await home.say("/new")
            states = [turn.state for turn in await home.settled()]
            await home.say("three")
            await home.channel.wait_for_sent(2)
            await home.sound()

        assert states == ["cancelled", "cancelled", "done"]
        assert home.channel.texts[1] == "Fresh."

    @pytest.mark.parametrize("has_buttons", [True, False])
    async def test_start_shows_what_may_be_asked_where_there_are_buttons(
        self, tmp_path: Path, has_buttons: bool
    ) -> None:
        shown: list[OutboundMessage] = []
        bot = replace(BOT, suggestions=("Opening hours", "Prices"))
        able = Capabilities(buttons=has_buttons)
        async with house(tmp_path, capabilities=able, bots=(bot,)) as home, home.at_work():
            render = home.channel.render

            def watched(message: OutboundMessage) -> list[Json]:
                shown.append(message)
                return render(message)

            home.channel.render = watched  # type: ignore[method-assign] # to see what is rendered
            await home.say("/start")
            await home.channel.wait_for_sent(1)

        buttons = [one.buttons for one in shown if one.text == "Good morning!"]
        offered = (Button("Opening hours", "Opening hours"), Button("Prices", "Prices"))
        assert buttons == [offered if has_buttons else ()]

    async def test_any_member_of_a_group_may_use_them(self, tmp_path: Path) -> None:
        hold = Hold(rest="Hello.")
        async with house(tmp_path, hold) as home, home.at_work():
            await home.say("one", is_direct=False)
            await hold.reached.wait()
            await home.say("/stop", sender=EVE, is_direct=False)
            states = [turn.state for turn in await home.settled()]

        assert states == ["cancelled", "done"]


def _pressed(value: str, sender: Sender) -> ActionPressed:
    return ActionPressed(
        external_id=f"p-{value}", address=CHAT, sender=sender, value=value, **ARRIVAL
    )


async def _states(home: House, states: list[str]) -> bool:
    return [delivery.state for delivery in await home.deliveries()] == states
