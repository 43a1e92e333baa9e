"""The judge of F27 sees what was taken, answered out of shape, late, or at a price."""

import asyncio
from dataclasses import replace

import pytest

from gateway.testing.faults.props.oversized_requests import Door, Oversized, requests_to
from gateway.testing.faults.props.raw_http import Heard, send_raw
from gateway.testing.faults.rows.oversize import Sizes, Tried, judge_sizes

REST = Door("REST", "/v1/chat", "")
WEBHOOK = Door("webhook", "/telegram", "", speaks_problems=False)
LARGE = Oversized(REST, "an upload", frozenset({413}), list)
REFUSED = Heard(413, {"content-type": "application/problem+json; charset=utf-8"}, b"{}", 0.01)
HELD = Tried(LARGE, REFUSED, own_s=0.01, grown_kib=100)


def seen(*tried: Tried, kept_mib: float = 0.0) -> list[tuple[str, str]]:
    return [(v.promise, v.seen) for v in judge_sizes(Sizes(tried, kept_mib))]


def test_a_quick_and_cheap_refusal_in_shape_holds() -> None:
    assert seen(HELD, HELD) == []


def test_a_request_that_is_taken_is_seen() -> None:
    taken = replace(HELD, answer=replace(REFUSED, status=202))

    assert seen(HELD, taken) == [("what is too large is refused", "202 instead of [413]")]


def test_a_refusal_in_another_shape_is_seen() -> None:
    plain = replace(REFUSED, headers={"content-type": "text/plain"})

    assert seen(replace(HELD, answer=plain)) == [
        ("what is too large is refused", "413 answered as 'text/plain'")
    ]


def test_a_webhook_may_refuse_without_words() -> None:
    silent = Tried(replace(LARGE, door=WEBHOOK), replace(REFUSED, headers={}), 0.01, 100)

    assert seen(silent) == []


def test_one_quick_try_excuses_slow_ones() -> None:
    assert seen(replace(HELD, own_s=0.5), HELD) == []


def test_a_refusal_that_is_always_late_is_seen() -> None:
    assert seen(replace(HELD, own_s=0.5), replace(HELD, own_s=0.3)) == [
        ("refused within 100 ms", "300 ms at best")
    ]


def test_one_expensive_try_is_seen() -> None:
    assert seen(HELD, replace(HELD, grown_kib=30 * 1024)) == [
        ("it costs less than 20 MiB", "30.0 MiB")
    ]


def test_memory_that_stays_taken_is_seen() -> None:
    assert [promise for promise, _ in seen(HELD, kept_mib=25.0)] == ["memory is given back"]


@pytest.mark.parametrize("door", [REST, WEBHOOK], ids=["REST", "webhook"])
def test_every_door_is_tried_with_each_bound(door: Door) -> None:
    names = [request.name for request in requests_to(door)]

    assert len(set(names)) == len(names)
    assert {413, 431} <= {status for each in requests_to(door) for status in each.statuses}


async def test_an_answer_is_heard_while_the_request_still_goes_on() -> None:
    server = await asyncio.start_server(_refuse_at_once, "127.0.0.1", 0)
    endless = next(each for each in requests_to(REST) if each.name == "chunks without an end")

    async with server:
        heard = await send_raw(server.sockets[0].getsockname()[1], endless.pieces())

    assert (heard.status, heard.headers["x-why"], heard.body) == (413, "large", b"No")


async def _refuse_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 413 Too large\r\nX-Why: large\r\nContent-Length: 2\r\n\r\nNo")
    await writer.drain()
    while await reader.read(65536):
        pass
    writer.close()
