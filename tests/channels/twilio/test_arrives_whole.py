"""Long answers of every kind, posted part by part: whole, in order, short enough, never refused."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings

from channels.twilio.render import MAX_CHARS, MORE
from gateway.contract.cut import units
from tests.channels.telegram.test_arrives_whole import answers
from tests.channels.twilio.running import clean, connected

WORD = re.compile(r"word\d+x")


async def received(text: str, *, kind: str, **changed: Any) -> Sequence[str]:
    """What stands on the person's telephone; the platform's own count of segments is ours."""
    async with connected(kind=kind, **changed) as running:
        running.hear_now()
        with clean(running):
            parts = running.parts(text)
            for number, part in enumerate(parts):
                await running.channel.deliver(running.address(), part, delivery_id=f"dlv_{number}")
        sent = running.twilio.sent()
        if kind == "sms":
            assert [message.segments for message in sent] == [part["segments"] for part in parts]
        return [message.body for message in sent]


@pytest.mark.proves("C-11", "C-12", "TW-30", "TW-31")
@settings(max_examples=10, deadline=None)
@given(answer=answers())
async def test_tw_31_every_word_of_a_long_answer_arrives_by_sms_where_all_parts_may(
    answer: tuple[str, list[str]],
) -> None:
    text, words = answer
    bodies = await received(text, kind="sms", max_parts=100)

    assert [word for body in bodies for word in WORD.findall(body)] == words
    assert all(0 < units(body) <= 480 for body in bodies)


@pytest.mark.proves("C-11", "TW-31")
@settings(max_examples=10, deadline=None)
@given(answer=answers())
async def test_tw_31_of_a_long_answer_three_sms_arrive_and_tell_of_more(
    answer: tuple[str, list[str]],
) -> None:
    text, words = answer
    bodies = await received(text, kind="sms")

    kept = [word for body in bodies for word in WORD.findall(body)]
    assert kept == words[: len(kept)]
    assert len(bodies) == 3
    assert bodies[-1].endswith(MORE)
    assert all(0 < units(body) <= 480 for body in bodies)


@pytest.mark.proves("C-11", "C-12", "TW-30")
@settings(max_examples=10, deadline=None)
@given(answer=answers())
async def test_tw_30_every_word_of_a_long_answer_arrives_by_whatsapp(
    answer: tuple[str, list[str]],
) -> None:
    text, words = answer
    bodies = await received(text, kind="whatsapp")

    assert [word for body in bodies for word in WORD.findall(body)] == words
    assert all(0 < units(body) <= MAX_CHARS for body in bodies)
