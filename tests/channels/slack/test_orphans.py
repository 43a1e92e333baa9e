"""Streams of an earlier life: the first reply in their thread is put into them, and no other."""

import pytest

from channels.slack.live import START
from channels.slack.orphans import ASK_FOR_S, Orphans
from channels.slack.places import Place, place_of
from channels.slack.sending import Grown
from gateway.contract import Address
from gateway.testing import HtmlError
from tests.channels.slack.sending_half import Half, part_of, sending_half

REPLIES = "conversations.replies"


async def orphan(half: Half, address: Address) -> str:
    """A stream that nobody here knows of."""
    place = place_of(address)
    params = {"channel": place.channel, "thread_ts": address.thread, "markdown_text": "Hel"}
    return str((await half.outgoing.calls.call(place.team, START, params))["ts"])


@pytest.mark.proves("SL-45")
async def test_sl_45_the_first_reply_is_put_into_a_stream_of_an_earlier_life() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        ref = await orphan(half, address)
        first = await half.deliver(address, part_of("Hello"), delivery_id="dlv_1")
        await half.deliver(address, part_of("And more"), delivery_id="dlv_2")

        assert first.provider_id == ref
        assert [(m.text, m.is_streaming) for m in half.shown()] == [
            ("Hello", False),
            ("And more", False),
        ]
        assert len(half.slack.calls_of(REPLIES)) == 1


async def test_a_stream_that_grows_here_is_left_alone() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        async with half.outgoing.live(address, None, open_ref=None) as output:
            assert output is not None
            ref = await output.open("dlv_1")
            await half.deliver(address, part_of("One moment"), delivery_id="dlv_2")
        await half.deliver(address, part_of("Hello"), delivery_id="dlv_1", open_ref=ref)

        assert [m.text for m in half.shown()] == ["Hello", "One moment"]


async def test_a_stream_that_is_gone_on_with_is_left_alone() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        ref = await orphan(half, address)
        async with half.outgoing.live(address, None, open_ref=ref):
            await half.deliver(address, part_of("One moment"), delivery_id="dlv_2")
        await half.deliver(address, part_of("Hello"), delivery_id="dlv_1", open_ref=ref)

        assert [m.text for m in half.shown()] == ["Hello", "One moment"]


async def test_a_reply_does_not_wait_for_an_answer_about_earlier_streams() -> None:
    async with sending_half() as half:
        address = half.thread("D1")
        half.slack.fail(REPLIES, HtmlError(502))
        await half.deliver(address, part_of("Hello"))

        assert [m.text for m in half.shown()] == ["Hello"]


@pytest.mark.parametrize("thread", [None, "9999999999.000001", "not a timestamp"])
async def test_only_threads_older_than_the_start_are_looked_up(thread: str | None) -> None:
    async with sending_half() as half:
        orphans = Orphans(half.outgoing.lookup, grown=Grown())

        assert await orphans.find(Place("T1", "D1", thread)) is None
        assert half.slack.calls_of(REPLIES) == []


async def test_long_after_the_start_nothing_is_looked_up() -> None:
    now = [1_000_000.0]
    async with sending_half() as half:
        place = place_of(half.thread("D1"))
        orphans = Orphans(half.outgoing.lookup, grown=Grown(), clock=lambda: now[0])
        now[0] += ASK_FOR_S + 1

        assert await orphans.find(place) is None
        assert half.slack.calls_of(REPLIES) == []
