"""What people change or take back of what they wrote: kept, seen by what follows, not answered."""

from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from gateway.contract import MessageEdited, Sender
from gateway.domain.conversation import FilePart, TextPart
from gateway.testing.models import Hold
from tests.flow.house import CHAT, House, house, picture

ANN = Sender("telegram", "7", "Ann")
_numbers = count(1)


async def edit(home: House, ref: str, text: str) -> None:
    """Ann changes a message of hers."""
    change = MessageEdited(
        account="acc",
        external_id=f"edit-{next(_numbers)}",
        digest=text.encode(),
        received_at=datetime.now(UTC),
        address=CHAT,
        sender=ANN,
        message_ref=ref,
        text=text,
    )
    await home.port.accept([change])


def asked(home: House, number: int) -> list[str]:
    """What the model was told people said, in that request."""
    found = home.model.requests[number].messages
    return [message["content"] for message in found if message["role"] == "user"]


@pytest.mark.proves("TG-25")
async def test_tg_25_an_edit_is_kept_seen_later_and_not_answered(data: Path) -> None:
    async with house(data, "Noted.", "Sure.") as home, home.at_work():
        await home.say("on teusday", message_ref="m-1")
        await home.channel.wait_for_sent(1)
        await edit(home, "m-1", "on tuesday")
        await home.settled()
        await home.say("right?")
        await home.channel.wait_for_sent(2)

    assert home.channel.texts == ["Noted.", "Sure."]
    assert asked(home, 1) == ["on tuesday", "right?"]


@pytest.mark.proves("TG-25")
async def test_tg_25_the_same_text_again_changes_nothing(data: Path) -> None:
    async with house(data, "Nice.") as home, home.at_work():
        await home.say("look", message_ref="m-1", attachments=(picture(),))
        await home.channel.wait_for_sent(1)
        [before] = await home.settled()
        await edit(home, "m-1", "look")
        [after] = await home.turns()

        assert after.messages[0] == before.messages[0]
        assert len(home.model.requests) == 1


async def test_a_message_that_still_waits_is_answered_as_it_was_changed(data: Path) -> None:
    hold = Hold(rest="One.")
    async with house(data, hold, "Two.") as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        await home.say("ten", message_ref="m-2")
        await edit(home, "m-2", "two")
        hold.release.set()
        await home.channel.wait_for_sent(2)

    assert asked(home, 1) == ["one", "two"]


async def test_another_caption_leaves_the_picture_where_it_is(data: Path) -> None:
    async with house(data) as home:
        await home.say("a cat", message_ref="m-1", attachments=(picture(),))
        await edit(home, "m-1", "a dog")
        [turn] = await home.turns()

    text, file = turn.messages[0].content
    assert text == TextPart("a dog")
    assert isinstance(file, FilePart)


async def test_of_a_message_that_was_taken_back_nothing_stays(data: Path) -> None:
    async with house(data, "Nice.") as home, home.at_work():
        await home.say("my secret", message_ref="m-1", attachments=(picture(),))
        await home.channel.wait_for_sent(1)
        await edit(home, "m-1", "")
        [turn] = await home.turns()

    assert (turn.state, turn.messages[0].content) == ("done", ())


async def test_what_is_taken_back_before_anybody_began_is_not_answered(data: Path) -> None:
    hold = Hold(rest="One.")
    async with house(data, hold) as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        await home.say("oops", message_ref="m-2")
        await edit(home, "m-2", "")
        hold.release.set()
        turns = await home.settled()
        await home.channel.wait_for_sent(1)
        await home.sound()

    assert [turn.state for turn in turns] == ["done", "cancelled"]
    assert len(home.model.requests) == 1


async def test_the_rest_of_a_turn_is_answered_when_one_message_was_taken_back(data: Path) -> None:
    hold = Hold(rest="One.")
    async with house(data, hold, "Two.", when_busy="collect") as home, home.at_work():
        await home.say("one")
        await hold.reached.wait()
        await home.say("oops", message_ref="m-2")
        await home.say("two", message_ref="m-3")
        await edit(home, "m-2", "")
        hold.release.set()
        await home.channel.wait_for_sent(2)

    assert asked(home, 1) == ["one", "two"]
