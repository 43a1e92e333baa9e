"""What a person sees while a turn runs: typing, and drafts in private chats, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from channels.telegram import live
from channels.telegram.render import TEXT_UNITS
from gateway.contract import Address, LiveOutput
from gateway.contract.cut import units
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown
from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.telegram import faults
from tests.channels.telegram.running import Running, channel_for, connected
from tests.testing.telegram.client import spec_file_if_any

PRIVATE = Address("tg", "7")
GROUP = Address("tg", "-5", "12")
UNKNOWN = faults.ApiError(404, "Not Found: method not found")


@asynccontextmanager
async def output_at(running: Running, where: Address) -> AsyncIterator[LiveOutput]:
    async with running.channel.live(where, None) as output:
        assert output is not None
        yield output


def drafts(running: Running) -> list[str]:
    return [draft.text for draft in running.telegram.drafts]


@pytest.mark.proves("TG-44")
async def test_tg_44_typing_is_shown_where_the_person_waits_and_lasts_longer_than_the_pause():
    async with connected() as running:
        async with output_at(running, GROUP) as output:
            await output.working("thinking")

        [call] = running.telegram.calls_of("sendChatAction")
        assert call.params == {"chat_id": -5, "action": "typing", "message_thread_id": 12}
        assert output.refresh_s == 4


@pytest.mark.proves("TG-53")
async def test_tg_53_a_group_is_only_signalled_whatever_text_there_is():
    async with connected() as running:
        async with output_at(running, GROUP) as output:
            await output.show("half an answer")
            with pytest.raises(DeliveryRefused):
                await output.open("dlv_1")

        assert output.kind == "signal"
        assert [call.method for call in running.telegram.calls] == ["getMe"]


@pytest.mark.proves("TG-44")
@pytest.mark.parametrize("where", [PRIVATE, GROUP], ids=["private", "group"])
async def test_tg_44_failing_to_show_typing_is_tried_once(where):
    async with connected() as running:
        running.telegram.fail("sendChatAction", faults.flood(3), times=None)
        async with output_at(running, where) as output:
            with pytest.raises(DeliveryLater):
                await output.working(None)

        assert len(running.telegram.calls_of("sendChatAction")) == 1


async def test_showing_typing_is_given_up_after_its_time(monkeypatch):
    monkeypatch.setattr(live, "SIGNAL_WITHIN_S", 0.05)
    async with connected() as running:
        running.telegram.fail("sendChatAction", misbehaviour.Hang())
        async with output_at(running, GROUP) as output:
            with pytest.raises(DeliveryUnknown):
                await output.working(None)


async def test_a_channel_that_is_not_connected_shows_nothing():
    async with TelegramServer() as telegram, channel_for(telegram).live(PRIVATE, None) as output:
        assert output is None


@pytest.mark.proves("TG-50")
async def test_tg_50_a_private_chat_sees_one_draft_grow_and_the_answer_comes_as_a_message():
    async with connected() as running:
        async with output_at(running, PRIVATE) as output:
            await output.working(None)
            await output.show("**Half**")
            await output.show("**Half** an answer")
        await running.send("**Half** an answer, and the rest")

        first, second = running.telegram.calls_of("sendMessageDraft")
        assert output.kind == "preview"
        assert drafts(running) == ["Half", "Half an answer"]
        assert first.params["entities"] == [{"type": "bold", "offset": 0, "length": 4}]
        assert first.params["chat_id"] == 7
        assert first.params["draft_id"] == second.params["draft_id"] != 0
        assert [sent.text for sent in running.telegram.sent()] == ["Half an answer, and the rest"]
        assert running.telegram.problems == []


@pytest.mark.proves("TG-50")
async def test_tg_50_a_draft_stands_in_the_thread_that_is_answered():
    async with connected() as running:
        async with output_at(running, Address("tg", "7", "12")) as output:
            await output.show("Half")

        [draft] = running.telegram.calls_of("sendMessageDraft")
        assert draft.params["message_thread_id"] == 12


@pytest.mark.proves("TG-50")
async def test_tg_50_each_turn_has_a_draft_of_its_own():
    async with connected() as running:
        for _ in range(2):
            async with output_at(running, PRIVATE) as output:
                await output.show("Half")

        one, other = running.telegram.drafts
        assert one.draft_id != other.draft_id


@pytest.mark.proves("TG-51")
async def test_tg_51_a_draft_offers_to_be_stopped_and_stays_until_the_message_comes():
    async with connected(TelegramServer(spec=spec_file_if_any())) as running:
        async with output_at(running, PRIVATE) as output:
            await output.show("Half")

        [draft] = running.telegram.calls_of("sendMessageDraft")
        assert (draft.params["can_stop"], draft.params["keep_on_stop"]) == (True, True)
        assert running.telegram.problems == []


@pytest.mark.proves("TG-52")
async def test_tg_52_drafts_come_at_most_every_half_second_and_the_same_only_before_it_vanishes(
    monkeypatch,
):
    async with connected() as running:
        async with output_at(running, PRIVATE) as output:
            for _ in range(3):
                await output.show("Half")
            monkeypatch.setattr(live, "DRAFT_LIVES_S", 0)
            await output.show("Half")

        assert output.min_interval_s == 0.5
        assert drafts(running) == ["Half", "Half"]
        assert running.telegram.calls_of("sendChatAction") == []


@pytest.mark.proves("TG-42", "TG-52")
async def test_tg_52_being_too_fast_with_drafts_ends_them_and_is_told_with_its_time():
    async with connected() as running:
        running.telegram.fail("sendMessageDraft", faults.flood(3))
        async with output_at(running, PRIVATE) as output:
            with pytest.raises(DeliveryLater) as later:
                await output.show("Half")

        assert (later.value.retry_after_s, later.value.scope) == (3, "address")


@pytest.mark.proves("TG-42")
async def test_tg_42_live_output_that_is_too_fast_in_three_chats_slows_the_account():
    scopes = []
    async with connected() as running:
        running.telegram.fail("sendMessageDraft", faults.flood(3), times=None)
        for chat in ("7", "8", "9"):
            async with output_at(running, Address("tg", chat)) as output:
                with pytest.raises(DeliveryLater) as later:
                    await output.show("Half")
            scopes.append(later.value.scope)

    assert scopes == ["address", "address", "account"]


@pytest.mark.proves("TG-50")
async def test_tg_50_a_server_that_knows_no_drafts_is_asked_once_and_typing_is_shown_instead():
    async with connected() as running:
        running.telegram.fail("sendMessageDraft", UNKNOWN, times=None)
        async with output_at(running, PRIVATE) as output:
            await output.show("Half")
            await output.show("Half an answer")
        async with output_at(running, PRIVATE) as later:
            await later.working(None)

        assert (output.kind, later.kind) == ("preview", "signal")
        assert len(running.telegram.calls_of("sendMessageDraft")) == 1
        assert len(running.telegram.calls_of("sendChatAction")) == 2


async def test_a_draft_that_one_chat_does_not_take_leaves_the_signal():
    async with connected() as running:
        running.telegram.fail("sendMessageDraft", faults.ApiError(400, "Bad Request: no drafts"))
        async with output_at(running, PRIVATE) as output:
            await output.show("Half")
            await output.working(None)
        async with output_at(running, PRIVATE) as later:
            await later.show("Half")

        assert len(running.telegram.calls_of("sendChatAction")) == 2
        assert drafts(running) == ["Half"]


@pytest.mark.proves("TG-44")
async def test_tg_44_a_text_without_drafts_is_signalled_no_more_often_than_needed(monkeypatch):
    async with connected() as running:
        running.telegram.fail("sendMessageDraft", UNKNOWN)
        async with output_at(running, PRIVATE) as output:
            for number in range(10):
                await output.show("word " * number)
            once = len(running.telegram.calls_of("sendChatAction"))
            monkeypatch.setattr(live, "SIGNAL_S", 0)
            await output.show("more words")

        assert (once, len(running.telegram.calls_of("sendChatAction"))) == (1, 2)


async def test_a_refused_token_is_not_taken_for_a_chat_without_drafts():
    async with connected() as running:
        running.telegram.fail("sendMessageDraft", faults.unauthorized())
        async with output_at(running, PRIVATE) as output:
            with pytest.raises(DeliveryRefused):
                await output.show("Half")


async def test_a_text_that_starts_over_becomes_the_sign_of_thinking():
    async with connected() as running:
        async with output_at(running, PRIVATE) as output:
            await output.show("Half")
            await output.working("a tool")
            await output.working("a tool")
            await output.show("Another half")

        assert drafts(running) == ["Half", "", "Another half"]
        assert running.telegram.problems == []


@pytest.mark.proves("TG-54")
@pytest.mark.parametrize("text", ["word " * 3000, "😀" * 5000, "**b** " * 2000, "[" * 9000])
async def test_tg_54_a_draft_stops_growing_at_the_length_of_one_message(text):
    async with connected() as running:
        async with output_at(running, PRIVATE) as output:
            for end in range(0, len(text), 1000):
                await output.show(text[: end + 1000])

        assert all(units(draft) <= TEXT_UNITS for draft in drafts(running))
        assert len(running.telegram.calls_of("sendMessageDraft")) <= 6
        assert running.telegram.problems == []


async def test_a_draft_is_not_waited_for_longer_than_it_is_worth(monkeypatch):
    monkeypatch.setattr(live, "SIGNAL_WITHIN_S", 0.05)
    async with connected() as running:
        running.telegram.fail("sendMessageDraft", misbehaviour.Hang())
        async with output_at(running, PRIVATE) as output:
            before = asyncio.get_running_loop().time()
            with pytest.raises(DeliveryUnknown):
                await output.show("Half")

        assert asyncio.get_running_loop().time() - before < 2
