"""What people see on Slack while a turn runs: a status that goes away, a message that grows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from channels.slack.calls import Budget
from channels.slack.live import APPEND, START
from channels.slack.places import place_of
from channels.slack.status import METHOD, SHOW_AFTER_S, THINKING, StatusBoard
from gateway.contract import Address, LiveOutput
from gateway.errors import DeliveryLater, DeliveryUnknown, GatewayError
from gateway.testing import Drop, HtmlError
from gateway.testing.slack.faults import SlackError, rate_limited
from tests.channels.slack.sending_half import Half, part_of, sending_half


def texts(half: Half) -> list[tuple[str, bool]]:
    """What stands there, and whether it still grows."""
    return [(message.text, message.is_streaming) for message in half.shown()]


# ---------------------------------------------------------------- where it is possible


@pytest.mark.proves("SL-44")
async def test_sl_44_a_stream_in_a_channel_is_for_the_person_who_asked() -> None:
    async with sending_half() as half:
        address = half.thread()
        async with half.outgoing.live(address, half.replying(address), open_ref=None) as output:
            assert output is not None
            await output.open("dlv_1")

        [call] = half.slack.calls_of(START)
        team = half.slack.workspace.id
        assert (call.params["recipient_team_id"], call.params["recipient_user_id"]) == (team, "U1")
        assert call.params["thread_ts"] == address.thread


async def test_a_stream_in_a_thread_of_a_direct_message_is_for_nobody_in_particular() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        async with half.outgoing.live(address, None, open_ref=None) as output:
            assert output is not None
            assert output.kind == "message"
            await output.open("dlv_1")

        assert "recipient_user_id" not in half.slack.calls_of(START)[0].params
        assert half.slack.problems == []


@pytest.mark.parametrize("place", ["a channel and nobody", "a direct message without a thread"])
async def test_where_no_stream_can_be_opened_there_is_a_status_alone(place: str) -> None:
    async with sending_half() as half:
        in_thread = half.thread("C1" if place.startswith("a channel") else "D1")
        if place.startswith("a channel"):
            live = half.outgoing.live(in_thread, None, open_ref=None)
        else:
            top = Address("slack", in_thread.chat)
            live = half.outgoing.live(top, half.replying(in_thread), open_ref=None)
        async with live as output:
            assert output is not None
            assert output.kind == "signal"
            await output.working(None)
            await half.slack.wait_for_calls(METHOD)
            [_, channel] = in_thread.chat.split(":")
            assert half.slack.status_of(channel, str(in_thread.thread)) == THINKING


async def test_a_place_without_any_thread_shows_nothing() -> None:
    async with (
        sending_half() as half,
        half.outgoing.live(half.address(), None, open_ref=None) as output,
    ):
        assert output is None


@pytest.mark.proves("SL-40", "SL-44")
async def test_sl_44_a_start_that_was_throttled_leaves_later_turns_a_status() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        half.slack.fail(START, rate_limited(30))
        async with half.outgoing.live(address, None, open_ref=None) as output:
            assert output is not None
            with pytest.raises(DeliveryLater):
                await output.open("dlv_1")
        async with half.outgoing.live(address, None, open_ref=None) as output:
            assert output is not None
            assert output.kind == "signal"

        assert len(half.slack.calls_of(START)) == 1


# ---------------------------------------------------------------- growing


@pytest.mark.proves("SL-44")
async def test_sl_44_a_stream_gets_only_what_is_new() -> None:
    async with sending_half() as half, growing(half) as output:
        await output.open("dlv_1")
        for text in ("One", "One two", "One two", "One two [thr", "One two [three](http://a.b)!"):
            await output.show(text)

        added = [call.params["markdown_text"] for call in half.slack.calls_of(APPEND)]
        assert added == ["One", " two", " [three](http://a.b)!"]
        assert texts(half) == [("One two [three](http://a.b)!", True)]


async def test_a_text_that_begins_anew_stops_growing_until_its_end() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        async with half.outgoing.live(address, None, open_ref=None) as output:
            assert output is not None
            ref = await output.open("dlv_1")
            for text in ("I believe", "It", "It is", "It is so indeed"):
                await output.show(text)
            assert texts(half) == [("I believe", True)]
        await half.deliver(address, part_of("It is so indeed"), open_ref=ref)

        assert texts(half) == [("It is so indeed", False)]


@pytest.mark.proves("SL-44")
@pytest.mark.parametrize(
    "fault",
    [Drop(accepted=True), HtmlError(502), SlackError("message_not_in_streaming_state")],
    ids=["lost", "502", "closed"],
)
async def test_sl_44_after_an_append_that_failed_the_end_is_still_right(
    fault: Drop | HtmlError | SlackError,
) -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        async with half.outgoing.live(address, None, open_ref=None) as output:
            assert output is not None
            ref = await output.open("dlv_1")
            await output.show("One")
            half.slack.fail(APPEND, fault)
            with pytest.raises(GatewayError):
                await output.show("One two")
        await half.deliver(address, part_of("One two three"), open_ref=ref)

        assert texts(half) == [("One two three", False)]
        assert len(half.slack.calls_of("chat.update")) == 1


async def test_a_stream_whose_opening_was_not_answered_is_found_and_goes_on() -> None:
    async with sending_half() as half, growing(half) as output:
        half.slack.fail(START, Drop(accepted=True))
        ref = await output.open("dlv_1")
        await output.show("One")

        assert [(m.ts, m.text) for m in half.shown()] == [(ref, "One")]


async def test_a_stream_that_was_never_opened_is_told() -> None:
    async with sending_half() as half, growing(half) as output:
        half.slack.fail(START, Drop(accepted=False))
        with pytest.raises(DeliveryUnknown):
            await output.open("dlv_1")

        assert half.shown() == []


@pytest.mark.proves("SL-45")
async def test_sl_45_what_an_earlier_attempt_showed_is_gone_on_with() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        params = {"channel": "D1", "thread_ts": address.thread, "markdown_text": "One"}
        team = half.slack.workspace.id
        ref = str((await half.outgoing.calls.call(team, START, params))["ts"])
        async with half.outgoing.live(address, None, open_ref=ref) as output:
            assert output is not None
            await output.working(None)
            await output.show("One two")

        assert texts(half) == [("One two", True)]
        assert half.slack.calls_of(METHOD) == []


async def test_a_growing_text_is_no_longer_than_a_part() -> None:
    async with sending_half() as half, growing(half) as output:
        await output.open("dlv_1")
        await output.show("word " * 5000)

        assert len(half.shown()[0].text) <= 11_000
        assert half.slack.problems == []


@pytest.mark.proves("SL-40")
async def test_sl_40_many_appends_are_left_out_before_slack_refuses_them() -> None:
    async with sending_half() as half, growing(half) as output:
        await output.open("dlv_1")
        words = ["word"] * 40
        for count in range(1, 41):
            await output.show(" ".join(words[:count]))

        assert 10 <= len(half.slack.calls_of(APPEND)) < 30
        assert " ".join(words).startswith(half.shown()[0].text)


async def test_an_append_that_would_come_too_early_is_left_out() -> None:
    async with sending_half() as half:
        async with growing(half) as output:
            await output.open("dlv_1")
            half.slack.fail(APPEND, rate_limited(30))
            with pytest.raises(DeliveryLater):
                await output.show("One")
        async with growing(half) as output:
            await output.open("dlv_2")
            await output.show("Two")

        assert len(half.slack.calls_of(APPEND)) == 1
        assert half.slack.early == []


def test_a_budget_fills_up_again_for_each_workspace() -> None:
    now = [0.0]
    budget = Budget(per_s=0.5, burst=2, clock=lambda: now[0])

    assert [budget.take("T1"), budget.take("T1"), budget.take("T1")] == [True, True, False]
    assert budget.take("T2")
    now[0] = 2.0
    assert [budget.take("T1"), budget.take("T1")] == [True, False]


# ---------------------------------------------------------------- the status line


@pytest.mark.proves("SL-26")
async def test_sl_26_a_status_names_what_is_done_and_goes_away() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        async with half.outgoing.live(address, None, open_ref=None) as output:
            assert output is not None
            await output.working(None)
            await half.slack.wait_for_calls(METHOD)
            await output.working("search")
            await half.slack.wait_for_calls(METHOD, 2)
            assert half.slack.status_of("D1", str(address.thread)) == "is using search..."
        await half.slack.wait_for_calls(METHOD, 3)

        assert half.slack.status_of("D1", str(address.thread)) == ""
        assert half.slack.problems == []


async def test_an_answer_that_comes_at_once_costs_no_status() -> None:
    async with sending_half() as half:
        place = place_of(half.thread("D1"))
        board = StatusBoard(half.outgoing.calls, show_after_s=60)
        board.show(place, None)
        await half.api.call("auth.test", token=half.slack.bot_token)
        board.clear(place)
        await board.close()

        assert SHOW_AFTER_S > 0
        assert half.slack.calls_of(METHOD) == []


@pytest.mark.proves("SL-26")
async def test_sl_26_a_reply_takes_the_status_away_without_a_further_call() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        async with half.outgoing.live(address, None, open_ref=None) as output:
            assert output is not None
            await output.working(None)
            await half.slack.wait_for_calls(METHOD)
        await half.deliver(address, part_of("Hello"))
        await half.outgoing.close()

        assert half.slack.status_of("D1", str(address.thread)) == ""
        assert len(half.slack.calls_of(METHOD)) == 1


async def test_closing_takes_every_status_away() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        async with half.outgoing.live(address, None, open_ref=None) as output:
            assert output is not None
            await output.working(None)
            await half.slack.wait_for_calls(METHOD)
            await half.outgoing.close()

        assert half.slack.status_of("D1", str(address.thread)) == ""


async def test_a_status_that_cannot_be_shown_disturbs_nobody() -> None:
    async with sending_half() as half:
        half.slack.fail(METHOD, SlackError("missing_scope", needed="assistant:write"), times=None)
        board = StatusBoard(half.outgoing.calls, show_after_s=0, clear_after_s=0)
        async with growing(half) as output:
            await output.working(None)
            await half.slack.wait_for_calls(METHOD)
            await output.open("dlv_1")
        await board.close()

        assert len(half.shown()) == 1
        assert half.host.states == []


async def test_after_closing_no_status_is_shown() -> None:
    async with sending_half() as half:
        place = place_of(half.thread("D1"))
        board = StatusBoard(half.outgoing.calls, show_after_s=0)
        await board.close()
        board.show(place, None)
        await half.api.call("auth.test", token=half.slack.bot_token)

        assert half.slack.calls_of(METHOD) == []


@asynccontextmanager
async def growing(half: Half) -> AsyncIterator[LiveOutput]:
    """Live output in a thread of a direct message."""
    async with half.outgoing.live(half.thread("D1"), None, open_ref=None) as output:
        assert output is not None
        yield output
