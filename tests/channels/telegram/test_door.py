"""What is done with updates beside storing them: presses answered, albums joined, kinds counted."""

import pytest
from structlog.testing import capture_logs

from channels.telegram import door
from gateway.contract import InboundMessage, Reachability, StopPressed, Unreadable
from gateway.errors import Unavailable
from gateway.testing import Person, misbehaviour
from gateway.testing.telegram import faults
from tests.channels.telegram.running import Running, connected, polling


@pytest.mark.proves("TG-10")
async def test_tg_10_an_update_that_cannot_be_stored_is_kept_raw_and_holds_up_nothing():
    async with polling() as running:
        running.host.poison = lambda event: getattr(event, "text", "") == "poison"
        for text in ("before", "poison", "after"):
            running.telegram.post_text(7, 7, text)
        await running.telegram.wait_until_confirmed()

    kept = [event for event in running.host.inbound if isinstance(event, Unreadable)]
    assert [b"poison" in event.raw for event in kept] == [True]
    assert {e.text for e in running.host.inbound if isinstance(e, InboundMessage)} == {
        "before",
        "after",
    }


async def test_a_place_that_could_not_be_stored_is_not_given_up():
    async with polling() as running:
        running.host.unwritable_cursors = 3
        update = running.telegram.post_text(7, Person(99, is_bot=True), "beep")
        await running.telegram.wait_until_confirmed()

    assert list(running.host.cursors.values()) == [str(update["update_id"] + 1)]


@pytest.mark.proves("C-9")
async def test_c_9_ignored_updates_are_counted_and_confirmed():
    async with polling() as running:
        running.telegram.post_text(7, Person(99, is_bot=True), "beep")
        await running.telegram.wait_until_confirmed()

        assert running.host.inbound == []
        assert running.host.batches == [[]]
        assert running.host.ignored_kinds == {"message.bot": 1}


@pytest.mark.proves("TG-30")
async def test_tg_30_a_pressed_button_is_answered_after_it_was_stored():
    async with polling() as running:
        await running.send("choose")
        running.host.failures = [Unavailable("busy", retry_after_s=1)]
        running.telegram.press(running.telegram.sent()[0], 7, "yes")
        await running.telegram.wait_for_calls("answerCallbackQuery")

        [pressed] = running.host.inbound
        assert (pressed.value, pressed.address.chat) == ("yes", "7")


@pytest.mark.proves("TG-30")
async def test_tg_30_a_press_that_is_too_old_to_be_answered_is_stored_all_the_same():
    async with polling() as running:
        running.telegram.fail(
            "answerCallbackQuery", faults.ApiError(400, "Bad Request: query is too old"), times=None
        )
        await running.send("choose")
        running.telegram.press(running.telegram.sent()[0], 7, "yes")
        await running.telegram.wait_for_calls("answerCallbackQuery")
        running.telegram.post_text(7, 7, "next")
        await running.host.until(lambda: len(running.host.inbound) == 2)


@pytest.mark.proves("TG-29")
async def test_tg_29_blocking_and_unblocking_changes_who_can_be_reached():
    async with polling() as running:
        running.telegram.block(7)
        running.telegram.unblock(7)
        await running.host.until(lambda: len(running.host.inbound) == 2)

    assert [
        (event.address.chat, event.is_reachable)
        for event in running.host.inbound
        if isinstance(event, Reachability)
    ] == [("7", False), ("7", True)]


@pytest.mark.proves("TG-30")
async def test_tg_30_a_failed_answer_to_a_press_is_told_unless_it_was_too_old():
    async with polling() as running:
        await running.send("choose")
        old = faults.ApiError(400, "Bad Request: query is too old and response timeout expired")
        running.telegram.fail("answerCallbackQuery", old, misbehaviour.HtmlError(502))
        with capture_logs() as logs:
            for count in (1, 2):
                running.telegram.press(running.telegram.sent()[0], 7, "yes")
                await running.telegram.wait_for_calls("answerCallbackQuery", count)
            running.telegram.press(running.telegram.sent()[0], 7, "yes")
            await running.telegram.wait_until(
                lambda: any(call.status == 200 for call in presses_answered(running))
            )

    told = [line for line in logs if line["event"] == "press_not_answered"]
    assert ["502" in line["reason"] for line in told] == [True]


def presses_answered(running: Running) -> list[faults.BotCall]:
    return running.telegram.calls_of("answerCallbackQuery")


@pytest.mark.proves("TG-51")
async def test_tg_51_the_stop_button_of_a_draft_reaches_the_gateway():
    async with polling() as running:
        running.telegram.press_stop(7)
        await running.host.until(lambda: len(running.host.inbound) == 1)

    [stopped] = running.host.inbound
    assert isinstance(stopped, StopPressed)
    assert (stopped.address.chat, stopped.sender.external_id) == ("7", "7")


@pytest.mark.proves("TG-26")
@pytest.mark.parametrize("captioned", [0, 1, 2])
async def test_tg_26_an_album_in_a_group_is_for_us_when_one_caption_names_us(captioned):
    async with connected() as running:
        for number in range(3):
            names_us = number == captioned
            extra: dict[str, object] = {"media_group_id": "g1"}
            if names_us:
                extra["caption_entities"] = [{"type": "mention", "offset": 0, "length": 9}]
            caption = "@fake_bot look" if names_us else ""
            running.telegram.post_photo(-5, 7, caption, extra=extra)
        running.telegram.post_photo(-5, 7, extra={"media_group_id": "g2"})
        async with running.channel.receiving():
            await running.telegram.wait_until_confirmed()

    heard = [(event.group_id, len(event.attachments)) for event in running.host.inbound]
    assert heard == [("g1", 1)] * 3
    assert running.host.ignored_kinds == {"message.to_others": 1}


@pytest.mark.proves("TG-26")
async def test_tg_26_items_of_an_album_may_come_in_several_answers():
    async with polling() as running:
        mention = [{"type": "mention", "offset": 0, "length": 9}]
        named = {"media_group_id": "g1", "caption_entities": mention}
        running.telegram.post_photo(-5, 7, "@fake_bot look", extra=named)
        await running.telegram.wait_until_confirmed()
        running.telegram.post_photo(-5, 7, extra={"media_group_id": "g1"})
        await running.telegram.wait_until_confirmed()

    assert running.host.texts == ["@fake_bot look", ""]


async def test_albums_of_long_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(door, "ALBUMS", 1)
    async with polling() as running:
        mention = [{"type": "mention", "offset": 0, "length": 9}]
        for group in ("g1", "g2"):
            named = {"media_group_id": group, "caption_entities": mention}
            running.telegram.post_photo(-5, 7, "@fake_bot look", extra=named)
        running.telegram.post_photo(-5, 7, extra={"media_group_id": "g1"})
        await running.telegram.wait_until_confirmed()

    assert len(running.host.inbound) == 2
