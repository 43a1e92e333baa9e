"""Nothing is acknowledged before it is stored, and nothing is taken twice."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import (
    ActionPressed,
    Address,
    AddressMoved,
    Capabilities,
    DeliveryReport,
    MessageEdited,
    Reachability,
    Sender,
    Unreadable,
)
from gateway.domain.conversation import FilePart, TextPart
from gateway.domain.policy import QueueLimits
from gateway.errors import StoreError, Unavailable, Unprocessable
from gateway.flow import answers, gate
from gateway.testing.channels import HeldSend
from gateway.testing.models import Hold
from tests.flow.house import CHAT, PROJECT, House, house, picture, queued, said

ARRIVAL: dict[str, Any] = {"account": "acc", "digest": b"d", "received_at": datetime.now(UTC)}
ANN = Sender("telegram", "7", "Ann")


async def texts(home: House) -> list[str]:
    """What people said, oldest first."""
    return [turn.messages[0].text for turn in await home.turns()]


@pytest.mark.parametrize("error", [StoreError("away"), Unavailable("full", retry_after_s=5)])
async def test_what_the_store_refuses_is_not_acknowledged(data: Path, error: Exception) -> None:
    async with house(data) as home:
        home.flaky.errors["accept"] = error
        home.flaky.away["accept"] = 1

        with pytest.raises(Unavailable):
            await home.say("hi")

        assert await home.turns() == []
        assert home.port.status.last_in_at is None


async def test_nothing_is_taken_while_admission_is_closed(data: Path) -> None:
    async with house(data) as home:
        home.admission.refusal = "The disk is nearly full."

        with pytest.raises(Unavailable) as caught:
            await home.say("hi")

        assert (caught.value.code, caught.value.retry_after_s) == ("not_ready", 5)
        assert await home.turns() == []


async def test_a_batch_delivered_many_times_starts_one_turn(data: Path) -> None:
    batch = [said("one"), said("two", chat="2")]
    async with house(data, "Hello.", "Hello.") as home, home.at_work():
        for _ in range(10):
            await home.port.accept(batch)
        turns = await home.settled()
        await home.channel.wait_for_sent(2)

    assert len(turns) == 2
    assert len(home.model.requests) == 2


async def test_the_cursor_stands_in_the_commit_of_its_batch(data: Path) -> None:
    async with house(data) as home:
        await home.port.accept([said("hi")], cursor=("offset", "42"))
        home.flaky.away["accept"] = 1
        with pytest.raises(Unavailable):
            await home.port.accept([said("two")], cursor=("offset", "43"))

        assert await home.port.cursor("offset") == "42"
        assert home.flaky.calls["accept"] == 2


async def test_a_cursor_moves_without_a_message(data: Path) -> None:
    async with house(data) as home:
        await home.port.accept([], cursor=("offset", "7"))
        await home.port.accept([])

        assert await home.port.cursor("offset") == "7"
        assert home.flaky.calls["accept"] == 1
        assert home.port.status.last_in_at is None


async def test_a_copy_with_another_body_is_told_and_not_run(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    first = said("transfer 1 euro")
    forged = replace(first, text="transfer 9 euro", digest=b"other")
    async with house(data) as home:
        await home.port.accept([first])
        await home.port.accept([forged])

        assert await texts(home) == ["transfer 1 euro"]
    assert [entry["event"] for entry in logs].count("inbox_digest_mismatch") == 1


async def test_a_caller_that_is_cut_off_leaves_a_turn_that_runs(data: Path) -> None:
    async with house(data, "Hello.") as home, home.at_work():
        holding = home.flaky.holds["accept"] = asyncio.Event()
        saying = asyncio.create_task(home.say("hi"))
        await home.until(lambda: home.flaky.calls["accept"])
        saying.cancel()
        await asyncio.wait((saying,))
        holding.set()
        await home.channel.wait_for_sent(1)

    assert saying.cancelled()
    assert home.channel.texts == ["Hello."]


async def test_commands_are_answered_without_a_model_and_while_a_turn_runs(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        await home.say("a long story")
        await hold.reached.wait()
        await home.say("/status")
        await home.say("/help")
        await home.channel.wait_for_sent(2)
        hold.release.set()
        await home.settled()

    assert home.channel.texts[0].startswith("I am working on your last message.")
    assert home.channel.texts[1] == gate.HELP
    assert len(home.model.requests) == 1


async def test_status_counts_what_waits(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold, "two") as home, home.at_work():
        await home.say("/status")
        await home.say("one")
        await hold.reached.wait()
        await home.say("two")
        await home.say("/status")
        await home.channel.wait_for_sent(2)
        hold.release.set()
        await home.settled()

    assert home.channel.texts[0].startswith("I am ready. A new conversation with Support begins")
    assert home.channel.texts[1].startswith("I am working; 2 messages are not answered yet.")


async def test_stop_cancels_what_runs_and_what_waits(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold, "After.") as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        await home.say("two")
        await home.say("/stop")
        states = [turn.state for turn in await home.settled()]
        await home.say("three")
        await home.channel.wait_for_sent(2)
        await home.sound()

    assert states == ["cancelled", "cancelled", "done"]
    assert home.channel.texts == ["Stopped.", "After."]


async def test_a_stop_in_the_batch_of_the_message_it_stops_stops_it(data: Path) -> None:
    async with house(data) as home, home.at_work():
        await home.say("one", "/stop")
        states = [turn.state for turn in await home.settled()]
        await home.channel.wait_for_sent(1)

    assert states == ["cancelled", "done"]
    assert home.worker.running == 0


async def test_new_starts_another_session(data: Path) -> None:
    async with house(data, "First.", "Second.") as home, home.at_work():
        await home.say("one")
        await home.channel.wait_for_sent(1)
        await home.say("/new")
        await home.channel.wait_for_sent(2)
        await home.say("two")
        await home.channel.wait_for_sent(3)
        turns = await home.settled()

    assert home.channel.texts == ["First.", gate.NEW.format(greeting="Good morning!"), "Second."]
    assert turns[0].session_id == turns[1].session_id != turns[2].session_id
    assert "one" not in str(home.model.requests[1].messages)


async def test_a_stranger_is_refused_without_a_model(data: Path) -> None:
    async with house(data, access="allow", allow=frozenset({"8"})) as home, home.at_work():
        await home.say("let me in")
        await home.channel.wait_for_sent(1)
        [turn] = await home.turns()

    assert home.channel.texts == [gate.REFUSED]
    assert (turn.kind, turn.state) == ("command", "done")


async def test_a_stranger_who_presses_a_button_is_refused_too(data: Path) -> None:
    async with house(data, access="allow", allow=frozenset({"8"})) as home, home.at_work():
        await home.port.accept([pressed("pay")])
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == [gate.REFUSED]


async def test_a_stranger_is_refused_even_where_the_bot_is_gone(data: Path) -> None:
    allow: dict[str, Any] = {"access": "allow", "allow": frozenset({"8"})}
    async with house(data, bots=(), **allow) as home, home.at_work():
        await home.say("let me in")
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == [gate.REFUSED]


async def test_a_pressed_button_says_its_value(data: Path) -> None:
    async with house(data, "Paid.") as home, home.at_work():
        await home.port.accept([pressed("pay")])
        await home.channel.wait_for_sent(1)

        assert await texts(home) == ["pay"]


async def test_a_button_may_be_a_command(data: Path) -> None:
    async with house(data) as home, home.at_work():
        await home.port.accept([pressed("/help")])
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == [gate.HELP]


def pressed(value: str) -> ActionPressed:
    return ActionPressed(external_id=f"p-{value}", address=CHAT, sender=ANN, value=value, **ARRIVAL)


async def test_a_picture_is_kept_by_reference(data: Path) -> None:
    async with house(data, limits=QueueLimits(turns=0)) as home:
        await home.port.accept([said("look", attachments=(picture(),))])
        await home.port.accept([said("", attachments=(picture(),), chat="2")])

        contents = [turn.messages[0].content for turn in await home.turns()]

    file = FilePart("file-1", "cat.png", "image/png", 12, "image")
    assert contents == [(TextPart("look"), file), (file,)]


async def test_a_person_is_told_once_that_we_are_busy(data: Path) -> None:
    limits = QueueLimits(queued=1, turns=0)
    async with house(data, limits=limits) as home, home.at_work():
        await home.say("one", chat="1")
        await home.say("two", chat="2")
        await home.channel.wait_for_sent(1)
        await home.say("three", chat="2")
        states = [turn.state for turn in await home.turns()]

    assert states == ["queued", "failed", "failed"]
    assert [(one.text, one.address.chat) for one in home.channel.sent] == [(gate.BUSY, "2")]


async def test_busy_notes_are_kept_for_so_many_chats_only(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MAX_NOTES", 2)
    async with house(data, limits=QueueLimits(queued=0, turns=0)) as home, home.at_work():
        for chat in range(4):
            await home.say("hi", chat=str(chat))
        await home.channel.wait_for_sent(4)

    assert home.channel.texts == [gate.BUSY] * 4


async def test_messages_over_the_bound_of_a_session_join_the_last_turn(data: Path) -> None:
    hold = Hold(rest="Hello.")
    limits = QueueLimits(queued_per_session=1)
    async with house(data, hold, "Both.", limits=limits) as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        for text in ("two", "three"):
            await home.say(text)
        hold.release.set()
        turns = await home.settled()

    assert [[m.text for m in turn.messages if m.role == "user"] for turn in turns] == [
        ["one"],
        ["two", "three"],
    ]


async def test_messages_sent_quickly_after_each_other_are_one_turn(data: Path) -> None:
    async with house(data, "Both.", debounce_s=0.1) as home, home.at_work():
        await home.say("one")
        await home.say("two")
        await home.channel.wait_for_sent(1)
        turns = await home.settled()

    assert len(turns) == 1


async def test_an_edit_changes_the_stored_message(data: Path) -> None:
    async with house(data) as home:
        await home.port.accept([said("helo", message_ref="m-1")])
        edit = MessageEdited(
            external_id="ed", address=CHAT, sender=ANN, message_ref="m-1", text="hello", **ARRIVAL
        )
        await home.port.accept([edit])

        assert await texts(home) == ["hello"]


async def test_a_moved_chat_gets_the_replies_of_the_old_one(data: Path) -> None:
    hold = Hold(rest="Hello.")
    new = Address("fake", "200")
    async with house(data, hold) as home, home.at_work():
        await home.say("hi")
        await hold.reached.wait()
        await home.port.accept([AddressMoved(external_id="mv", old=CHAT, new=new, **ARRIVAL)])
        hold.release.set()
        [sent] = await home.channel.wait_for_sent(1)

    assert sent.address == new


async def test_a_person_who_blocked_us_is_written_to_no_more(data: Path) -> None:
    hold = Hold(rest="Hello.")
    async with house(data, hold) as home, home.at_work():
        await home.say("hi")
        await hold.reached.wait()
        gone = Reachability(external_id="b", address=CHAT, is_reachable=False, **ARRIVAL)
        await home.port.accept([gone])
        hold.release.set()
        await home.settled()
        [delivery] = await home.deliveries()

    assert delivery.state == "cancelled"
    assert home.channel.tries == []


async def test_a_delivery_report_is_kept(data: Path) -> None:
    async with house(data, "Hello.") as home, home.at_work():
        await home.say("hi")
        await home.channel.wait_for_sent(1)
        await home.until(lambda: _state_is(home, "sent"))
        report = DeliveryReport(external_id="r", status="read", provider_id="p1", **ARRIVAL)
        await home.port.accept([report])
        [delivery] = await home.deliveries()

    assert delivery.receipt == "read"


async def _state_is(home: House, state: str) -> bool:
    return [delivery.state for delivery in await home.deliveries()] == [state]


async def test_what_cannot_be_read_is_kept_raw(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data) as home:
        unread = Unreadable(external_id="u", raw=b"\xff", reason="no JSON", **ARRIVAL)
        await home.port.accept([unread])
        await home.port.accept([unread])
        await home.sound()

    assert any(entry["event"] == "inbound_unreadable" for entry in logs)


async def test_what_can_never_be_stored_does_not_hold_up_the_others(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    bad, good = said("bad"), said("good", chat="2")
    async with house(data, "Hello.") as home, home.at_work():
        home.flaky.errors["accept"] = Unprocessable("a character that cannot be stored")
        home.flaky.away["accept"] = 2
        await home.port.accept([bad, good], cursor=("offset", "9"))
        await home.channel.wait_for_sent(1)

        assert await texts(home) == ["good"]
        assert await home.port.cursor("offset") == "9"
    assert any(entry["event"] == "inbound_not_storable" for entry in logs)


async def test_a_single_message_that_can_never_be_stored_moves_the_cursor(data: Path) -> None:
    async with house(data) as home:
        home.flaky.errors["accept"] = Unprocessable("a character that cannot be stored")
        home.flaky.away["accept"] = 1
        await home.port.accept([said("bad")], cursor=("offset", "9"))

        assert await home.port.cursor("offset") == "9"


async def test_a_pull_channel_answers_a_command_in_the_transcript_only(data: Path) -> None:
    async with house(data, capabilities=Capabilities(delivers=False)) as home, home.at_work():
        await home.say("/help")
        [turn] = await home.turns()

        assert [m.text for m in turn.messages] == ["/help", gate.HELP]
        assert await home.deliveries() == []


async def test_a_pull_channel_gets_no_busy_note(data: Path) -> None:
    pull = Capabilities(delivers=False)
    async with house(data, capabilities=pull, limits=QueueLimits(queued=0)) as home:
        await home.say("hi")

        assert await home.deliveries() == []


async def test_entries_of_services_go_through_the_same_door(data: Path) -> None:
    held = HeldSend()
    async with house(data, "Hello.") as home, home.at_work():
        home.channel.fail(held)
        [accepted] = await home.intake.accept([queued("hi")])
        held.release.set()
        await home.channel.wait_for_sent(1)

    assert accepted.is_new
    assert accepted.turn is not None
    assert accepted.turn.project_id == PROJECT
