"""The transcript: in order, in pieces, and with news as they come."""

import asyncio

import pytest

from tests.api.native.gateway import Gateway
from tests.api.native.test_sessions import walk


async def test_the_transcript_holds_what_was_said_in_order(gateway: Gateway) -> None:
    session = (await gateway.api.say("Hello")).json["session_id"]
    await gateway.api.say("Bye", session=session)

    reply = await gateway.api.get(f"/v1/sessions/{session}/messages?order=asc")

    said = [(m["seq"], m["role"], m["content"][0]["text"]) for m in reply.json["data"]]
    assert said == [
        (1, "user", "Hello"),
        (2, "assistant", "You said: Hello"),
        (3, "user", "Bye"),
        (4, "assistant", "You said: Bye"),
    ]


async def test_replies_carry_the_state_of_their_delivery(gateway: Gateway) -> None:
    session = (await gateway.api.say("Hello")).json["session_id"]

    data = (await gateway.api.get(f"/v1/sessions/{session}/messages")).json["data"]

    assert [(m["role"], m["delivery"] and m["delivery"]["status"]) for m in data] == [
        ("assistant", "sent"),
        ("user", None),
    ]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_the_transcript_comes_in_pieces(gateway: Gateway, order: str) -> None:
    session = (await gateway.api.say("0")).json["session_id"]
    for number in range(1, 4):
        await gateway.api.say(str(number), session=session)

    path = f"/v1/sessions/{session}/messages"
    found = [m["seq"] for m in await walk(gateway.api, path, limit=3, order=order)]

    assert found == (list(range(1, 9)) if order == "asc" else list(range(8, 0, -1)))


async def test_internal_messages_are_shown_only_when_asked_for(gateway: Gateway) -> None:
    session = (await gateway.api.say("billing please")).json["session_id"]
    path = f"/v1/sessions/{session}/messages"

    outside = (await gateway.api.get(path)).json["data"]
    inside = (await gateway.api.get(f"{path}?visibility=all")).json["data"]

    assert {m["visibility"] for m in outside} == {"external"}
    assert {m["role"] for m in outside} == {"user", "assistant"}
    assert any(m["visibility"] == "internal" and m["tool_calls"] for m in inside)


async def test_whoever_waits_hears_the_next_message(gateway: Gateway) -> None:
    session = await gateway.api.new_session()
    path = f"/v1/sessions/{session}/messages?order=asc&wait=10"

    waiting = asyncio.create_task(gateway.api.get(path))
    await gateway.api.say("Hello", session=session)
    news = (await waiting).json
    await gateway.api.say("Again", session=session)
    later = await gateway.api.get(f"{path}&cursor={news['next_cursor']}")

    assert news["data"][0]["content"][0]["text"] == "Hello"
    assert later.json["data"][0]["seq"] > news["data"][-1]["seq"]


async def test_a_wait_without_news_ends_with_the_cursor_it_began_with(gateway: Gateway) -> None:
    session = (await gateway.api.say("Hello")).json["session_id"]
    path = f"/v1/sessions/{session}/messages?order=asc&wait=1"
    cursor = (await gateway.api.get(path)).json["next_cursor"]

    reply = await gateway.api.get(f"{path}&cursor={cursor}")

    assert reply.json == {"object": "list", "data": [], "has_more": False, "next_cursor": cursor}


async def test_times_have_milliseconds_and_end_in_z(gateway: Gateway) -> None:
    turn = (await gateway.api.say("Hello")).json

    assert all(
        len(turn[name]) == 24 and turn[name].endswith("Z")
        for name in ("created_at", "completed_at")
    )
