"""A message that comes while the bot is at work: what it does to the turn, and what people see."""

from pathlib import Path

import pytest

from gateway.contract import Address, Capabilities, Json, OutboundMessage, ReplyTo, Sender
from gateway.domain.turns import Turn
from gateway.flow import gate
from gateway.testing.models import Hold
from tests.flow.house import House, house, picture, said


def said_in(turns: list[Turn]) -> list[list[str]]:
    """What people said, turn by turn."""
    return [[each.text for each in turn.messages if each.role == "user"] for turn in turns]


def asked(home: House, number: int) -> list[str]:
    """What the model was told the people said, in that request."""
    return [
        message["content"]
        for message in home.model.requests[number].messages
        if message["role"] == "user"
    ]


async def test_without_a_mode_each_message_waits_for_its_own_turn(data: Path) -> None:
    hold = Hold(rest="One.")
    async with house(data, hold, "Two.", "Three.") as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        for text in ("two", "three"):
            await home.say(text)
        hold.release.set()
        turns = await home.settled()
        await home.channel.wait_for_sent(3)

    assert said_in(turns) == [["one"], ["two"], ["three"]]
    assert home.channel.texts == ["One.", "Two.", "Three."]


async def test_what_came_meanwhile_is_collected_and_answered_once(data: Path) -> None:
    hold = Hold(rest="One.")
    async with house(data, hold, "Both.", when_busy="collect") as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        for text in ("two", "three", "four"):
            await home.say(text)
        hold.release.set()
        turns = await home.settled()
        await home.channel.wait_for_sent(2)
        await home.sound()

    assert said_in(turns) == [["one"], ["two", "three", "four"]]
    assert asked(home, 1) == ["one", "two", "three", "four"]
    assert home.channel.texts == ["One.", "Both."]


async def test_a_new_message_interrupts_and_what_was_seen_stays_as_incomplete(data: Path) -> None:
    hold = Hold(text="Once upon a time")
    capabilities = Capabilities(live="message")
    quick = house(data, hold, "Sure.", capabilities=capabilities, when_busy="interrupt")
    async with quick as home, home.at_work():
        await home.say("tell me a story")
        await home.channel.wait_for(lambda one: "show: Once upon a time" in one.live_log)
        await home.say("no, a joke")
        turns = await home.settled()
        await home.channel.wait_for_sent(2)
        await home.sound()

    assert [turn.state for turn in turns] == ["cancelled", "done"]
    assert [(m.text, m.is_incomplete) for m in turns[0].messages] == [
        ("tell me a story", False),
        ("Once upon a time", True),
    ]
    assert list(home.channel.platform.messages.values()) == ["Once upon a time", "Sure."]
    assert asked(home, 1) == ["tell me a story", "no, a joke"]


async def test_an_interrupted_turn_of_which_nothing_was_seen_leaves_nothing(data: Path) -> None:
    hold = Hold(text="Once upon")
    async with house(data, hold, "Sure.", when_busy="interrupt") as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        await home.say("two")
        turns = await home.settled()
        await home.channel.wait_for_sent(1)

    assert [turn.state for turn in turns] == ["cancelled", "done"]
    assert home.channel.texts == ["Sure."]


async def test_everything_said_while_interrupting_is_answered_in_order(data: Path) -> None:
    hold = Hold()
    async with house(data, hold, "All.", when_busy="interrupt") as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        await home.port.accept([said("two"), said("three")])
        turns = await home.settled()
        await home.channel.wait_for_sent(1)

    assert [turn.state for turn in turns] == ["cancelled", "done"]
    assert asked(home, 1) == ["one", "two", "three"]


async def test_a_batch_may_interrupt_what_it_starts_itself(data: Path) -> None:
    async with house(data, "Both.", when_busy="interrupt") as home, home.at_work():
        await home.say("one", "two")
        turns = await home.settled()
        await home.channel.wait_for_sent(1)

    assert [turn.state for turn in turns] == ["cancelled", "done"]
    assert home.channel.texts == ["Both."]


@pytest.mark.proves("C-5")
async def test_c_5_only_the_own_talk_is_interrupted_and_others_run_beside_it(data: Path) -> None:
    first, other = Hold(), Hold(rest="For you.")
    async with house(data, first, other, "Sure.", when_busy="interrupt") as home, home.at_work():
        await home.say("one")
        await first.reached.wait()
        await home.say("hi", chat="2")
        await other.reached.wait()
        await home.say("two")
        await home.channel.wait_for_sent(1)
        other.release.set()
        turns = await home.settled()
        await home.channel.wait_for_sent(2)

    assert sorted(turn.state for turn in turns) == ["cancelled", "done", "done"]
    assert sorted(home.channel.texts) == ["For you.", "Sure."]


async def test_a_debounce_keeps_every_message_with_its_own_id(data: Path) -> None:
    async with house(data, "Both.", debounce_s=0.1) as home, home.at_work():
        await home.say("one", message_ref="m-1")
        await home.say("two", message_ref="m-2", attachments=(picture(),))
        await home.channel.wait_for_sent(1)
        [turn] = await home.settled()

    people = [message for message in turn.messages if message.role == "user"]
    assert [(one.text, one.message_ref) for one in people] == [("one", "m-1"), ("two", "m-2")]
    assert len({one.id for one in people}) == 2
    assert len(asked(home, 0)) == 2


@pytest.mark.proves("TG-26")
async def test_tg_26_an_album_is_one_turn_without_any_debounce(data: Path) -> None:
    async with house(data, "Nice.", "Late.") as home, home.at_work():
        for number in range(3):
            await home.say(f"picture {number}", group_id="album")
        assert home.model.requests == []
        await home.channel.wait_for_sent(1)
        await home.say("one more", group_id="album")
        turns = await home.settled()
        await home.channel.wait_for_sent(2)

    assert said_in(turns) == [["picture 0", "picture 1", "picture 2"], ["one more"]]
    assert home.channel.texts == ["Nice.", "Late."]


async def test_what_is_overheard_where_we_do_not_talk_leaves_no_trace(data: Path) -> None:
    thread = Address("fake", "100", "55")
    overheard = said("psst", address=thread, second_id="100:1", needs_session=True)
    mention = said("@bot psst", address=thread, second_id="100:1")
    on = said("and?", address=thread, second_id="100:2", needs_session=True)
    async with house(data, "Yes?", "Indeed.") as home, home.at_work():
        await home.port.accept([overheard])
        assert await home.turns() == []
        await home.port.accept([mention])
        await home.channel.wait_for_sent(1)
        await home.port.accept([on, overheard])
        await home.channel.wait_for_sent(2)
        turns = await home.settled()

    assert said_in(turns) == [["@bot psst"], ["and?"]]


async def test_a_reply_points_to_the_last_message_that_it_answers(data: Path) -> None:
    ann, bob = Sender("telegram", "7", "Ann"), Sender("telegram", "8", "Bob")
    hold = Hold(rest="One.")
    async with house(data, hold, "Both.", when_busy="collect") as home, home.at_work():
        pointed = note_replies(home)
        await home.say("one", sender=ann, message_ref="m-1")
        await hold.reached.wait()
        await home.say("two", sender=ann, message_ref="m-2")
        await home.say("three", sender=bob, message_ref="m-3")
        hold.release.set()
        await home.channel.wait_for_sent(2)
        await home.say("/help", sender=ann, message_ref="m-4")
        await home.channel.wait_for_sent(3)

    assert pointed == [ReplyTo("m-1", "7"), ReplyTo("m-3", "8"), ReplyTo("m-4", "7")]
    assert asked(home, 1) == ["[Ann] one", "[Ann] two", "[Bob] three"]


def note_replies(home: House) -> list[ReplyTo | None]:
    """What each rendered answer points to, as the channel is told it."""
    pointed: list[ReplyTo | None] = []
    render = home.channel.render

    def noted(message: OutboundMessage) -> list[Json]:
        if message.text != gate.BUSY:
            pointed.append(message.reply_to)
        return render(message)

    home.channel.__dict__["render"] = noted
    return pointed
