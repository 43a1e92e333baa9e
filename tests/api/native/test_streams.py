"""Streams: the events of a turn, live and again, for readers that are fast, slow or gone."""

import asyncio
import socket

import aiohttp
import pytest

from tests.api.conformance import events
from tests.api.native.conftest import Start
from tests.api.native.gateway import CONFIG, Gateway

TCP_ESTABLISHED = 1
"""State of a connection in Linux's tcp_info (include/net/tcp_states.h)."""


async def test_a_turn_is_told_event_by_event(gateway: Gateway) -> None:
    reply = await gateway.api.say("count", stream=True)

    kinds = [event["type"] for event in reply.events]
    assert kinds[:3] == ["turn.created", "turn.in_progress", "message.created"]
    assert kinds[-2:] == ["message.completed", "turn.completed"]
    text = "".join(e["text"] for e in reply.events if e["type"] == "message.delta")
    assert text == reply.events[-1]["turn"]["output_text"] == "one two three four five"


async def test_numbers_rise_and_stand_in_the_id_line(gateway: Gateway) -> None:
    reply = await gateway.api.say("count", stream=True)

    numbers = [event["seq"] for event in reply.events]
    ids = [line for line in reply.body.decode().splitlines() if line.startswith("id: ")]
    assert numbers == sorted(set(numbers))
    assert ids == [f"id: {number}" for number in numbers]
    assert reply.body.count(b"retry: 2000\n") == 1


async def test_the_headers_keep_proxies_from_buffering(gateway: Gateway) -> None:
    reply = await gateway.api.say("Hi", stream=True)

    assert reply.headers["Content-Type"].startswith("text/event-stream")
    assert reply.headers["X-Accel-Buffering"] == "no"
    assert "no-transform" in reply.headers["Cache-Control"]
    assert reply.headers["X-Request-Id"]


async def test_hand_offs_and_tools_are_told(gateway: Gateway) -> None:
    handed = await gateway.api.say("billing please", stream=True)
    asked = await gateway.api.say("balance", stream=True, client_tools=True)

    [handoff] = [e for e in handed.events if e["type"] == "agent.handoff"]
    assert (handoff["from"], handoff["to"]) == ("Desk", "Billing")
    last = asked.events[-1]
    assert last["type"] == "turn.requires_action"
    results = {
        "results": [
            {"call_id": last["turn"]["tool_calls"][0]["call_id"], "content": '{"balance": 4}'}
        ],
        "stream": True,
    }
    done = await gateway.api.post(f"/v1/turns/{last['turn']['id']}/tool_results", results)
    assert done.events[-1]["turn"]["output_text"] == "It is 4."
    assert done.events[0]["seq"] > last["seq"]


async def test_a_turn_that_fails_ends_its_stream_with_the_error(gateway: Gateway) -> None:
    reply = await gateway.api.say("break", stream=True)

    assert reply.status == 200
    assert reply.events[-1]["type"] == "turn.failed"
    assert reply.events[-1]["error"]["code"] == "model_refused_request"


async def test_a_cancelled_turn_ends_its_stream(gateway: Gateway) -> None:
    turn = (await gateway.api.say("slow", background=True)).json["id"]
    reading = asyncio.create_task(gateway.api.get(f"/v1/turns/{turn}/events"))

    await gateway.api.post(f"/v1/turns/{turn}/cancel")

    assert (await reading).events[-1]["type"] == "turn.cancelled"


async def test_what_is_refused_before_the_first_byte_is_an_ordinary_problem(
    gateway: Gateway,
) -> None:
    reply = await gateway.api.say("Hi", stream=True, bot="nobody")

    assert (reply.status, reply.code) == (404, "not_found")


async def test_a_finished_turn_can_be_read_again_from_anywhere(gateway: Gateway) -> None:
    first = await gateway.api.say("count", stream=True)
    turn = first.events[-1]["turn"]["id"]

    whole = await gateway.api.get(f"/v1/turns/{turn}/events")
    rest = await gateway.api.get(f"/v1/turns/{turn}/events?after=5")

    assert whole.events[0]["type"] == "turn.created"
    assert whole.events[-1]["turn"] == first.events[-1]["turn"]
    assert all(event["seq"] > 5 for event in rest.events)
    assert rest.events[-1]["type"] == "turn.completed"


@pytest.mark.parametrize("after", ["-1", str(10**15), str(10**22)])
async def test_a_number_that_no_event_has_is_refused(gateway: Gateway, after: str) -> None:
    turn = (await gateway.api.say("Hello")).json

    reply = await gateway.api.get(f"/v1/turns/{turn['id']}/events?after={after}")

    assert (reply.status, reply.code) == (422, "validation_failed")
    assert reply.json["errors"][0]["pointer"] == "?after"


async def test_a_turn_that_was_not_streamed_can_be_read_as_events(gateway: Gateway) -> None:
    turn = (await gateway.api.say("Hello")).json

    reply = await gateway.api.get(f"/v1/turns/{turn['id']}/events")

    assert [e["type"] for e in reply.events if e["type"].startswith("turn")] == [
        "turn.created",
        "turn.in_progress",
        "turn.completed",
    ]
    assert reply.events[-1]["turn"]["output_text"] == turn["output_text"]


async def test_a_reader_who_comes_back_misses_nothing_and_hears_nothing_twice(
    gateway: Gateway,
) -> None:
    async with gateway.api.open("POST", "/v1/chat", {"input": "count", "stream": True}) as stream:
        start = await read_until(stream, b"message.delta")
    seen = list(events(start))
    turn = seen[0]["turn"]["id"]

    rest = await gateway.api.get(f"/v1/turns/{turn}/events", Last_Event_ID=str(seen[-1]["seq"]))

    told = [*seen, *rest.events]
    assert [e["seq"] for e in told] == sorted({e["seq"] for e in told})
    assert told[-1]["turn"]["output_text"] == "one two three four five"


async def test_leaving_does_not_stop_the_turn(gateway: Gateway) -> None:
    async with gateway.api.open("POST", "/v1/chat", {"input": "count", "stream": True}) as stream:
        start = await read_until(stream, b"turn.created")
        stream.close()
    turn = next(events(start))["turn"]["id"]

    done = await gateway.api.get(f"/v1/turns/{turn}?wait=10")

    assert done.json["output_text"] == "one two three four five"


async def test_silence_is_filled_with_pings(start: Start) -> None:
    async with start(ping_s=0.05) as gateway:
        reply = await gateway.api.say("wait a moment", stream=True)

    pings = [event for event in reply.events if event["type"] == "ping"]
    assert len(pings) >= 2
    assert reply.events[-1]["type"] == "turn.completed"


async def test_a_stream_ends_when_its_key_is_revoked(start: Start) -> None:
    async with start(ping_s=0.05) as gateway:
        client = await gateway.client(name="leaver")
        body = {"input": "slow", "stream": True}
        async with asyncio.timeout(10), client.open("POST", "/v1/chat", body) as stream:
            await read_until(stream, b"turn.created")
            [key] = [k for k in await gateway.services.keys.keys(None) if k.name == "leaver"]
            await gateway.services.keys.revoke(None, key.id)
            rest = await stream.read()

    assert b"turn.completed" not in rest


async def test_a_stream_that_is_never_quiet_ends_too_when_its_key_is_revoked(start: Start) -> None:
    busy = CONFIG.replace("one two three four five", "word " * 400)
    async with start(config=busy, ping_s=0.2) as gateway:
        client = await gateway.client(name="leaver")
        body = {"input": "count", "stream": True}
        async with asyncio.timeout(20), client.open("POST", "/v1/chat", body) as stream:
            await read_until(stream, b"turn.created")
            [key] = [k for k in await gateway.services.keys.keys(None) if k.name == "leaver"]
            await gateway.services.keys.revoke(None, key.id)
            rest = await stream.read()

    assert b"message.delta" in rest
    assert b"turn.completed" not in rest


async def test_a_reader_who_stops_reading_is_cut_off_and_can_come_back(start: Start) -> None:
    long = "word " * 400_000
    async with start(config=CONFIG.replace("LONG", long), stall_s=0.3) as gateway:
        turn = (await gateway.api.say("long")).json["id"]
        with socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", int(gateway.url.rpartition(":")[2])))
            reader.sendall(
                f"GET /v1/turns/{turn}/events HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {gateway.api.key}\r\n\r\n".encode()
            )
            await closed_by_peer(reader)

        whole = await gateway.api.get(f"/v1/turns/{turn}/events")

    assert whole.events[-1]["turn"]["output_text"].split() == long.split()


async def read_until(stream: aiohttp.ClientResponse, mark: bytes) -> bytes:
    """What comes until an event with that mark is complete."""
    read = b""
    async with asyncio.timeout(10):
        while mark not in read or not read.endswith(b"\n\n"):
            read += await stream.content.readany()
    return read


async def closed_by_peer(reader: socket.socket) -> None:
    """Wait, without reading, until the other side has closed the connection."""
    loop = asyncio.get_running_loop()
    closed: asyncio.Future[None] = loop.create_future()

    def look() -> None:
        state = reader.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state != TCP_ESTABLISHED:
            closed.set_result(None)
        else:
            timers.append(loop.call_later(0.02, look))

    timers: list[asyncio.TimerHandle] = []
    look()
    try:
        async with asyncio.timeout(10):
            await closed
    finally:
        for timer in timers:
            timer.cancel()
