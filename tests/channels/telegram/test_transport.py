"""How calls travel: against a plain HTTP server that answers anything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.telegram.transport import AiohttpRequest, NoAnswer, Refused

SECRET = "1:secret"


@asynccontextmanager
async def answering(
    status: int = 200, body: str = "{}", headers: dict[str, str] | None = None
) -> AsyncIterator[tuple[AiohttpRequest, str, list[str]]]:
    """A request object, an address that always answers so, and the paths that were asked for."""
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, text=body, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        requests = AiohttpRequest(connections=2, secret=SECRET)
        await requests.initialize()
        try:
            yield requests, str(server.make_url("/call")), paths
        finally:
            await requests.shutdown()


async def test_the_result_of_a_good_answer_is_given_back():
    async with answering(body='{"ok": true, "result": {"id": 1}}') as (requests, url, _):
        assert await requests.post(url) == {"id": 1}


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '{"ok": true}', "[" * 100_000])
async def test_a_good_status_with_another_document_is_no_answer(body):
    async with answering(body=body) as (requests, url, _):
        with pytest.raises(NoAnswer) as silence:
            await requests.post(url)

    assert silence.value.was_written


async def test_a_redirect_is_not_followed_with_the_secret_address():
    async with answering(302, headers={"Location": "/elsewhere"}) as (requests, url, paths):
        with pytest.raises(Refused) as refused:
            await requests.post(url)

    assert refused.value.status == 302
    assert paths == ["/call"]


@pytest.mark.parametrize(
    ("body", "header", "waits_s"),
    [
        ('{"parameters": {"retry_after": 7}}', "9", 7),
        ("{}", "9", 9),
        ("<html>", "9", 9),
        ("{}", "Wed, 21 Oct 2026 07:28:00 GMT", None),
        ('{"parameters": "none"}', "", None),
    ],
)
async def test_waiting_times_are_read_from_the_answer_or_its_header(body, header, waits_s):
    async with answering(429, body, {"Retry-After": header}) as (requests, url, _):
        with pytest.raises(Refused) as refused:
            await requests.post(url)

    assert refused.value.retry_after_s == waits_s


async def test_a_refusal_without_words_has_those_of_its_status():
    async with answering(502, "<html>") as (requests, url, _):
        with pytest.raises(Refused) as refused:
            await requests.post(url)

    assert refused.value.description == "Bad Gateway"


async def test_calls_before_the_connection_were_certainly_not_written():
    with pytest.raises(NoAnswer) as silence:
        await AiohttpRequest(connections=1, secret=SECRET).post("http://127.0.0.1:1/")

    assert not silence.value.was_written


async def test_opening_and_closing_twice_is_harmless():
    requests = AiohttpRequest(connections=1, secret=SECRET)
    for _ in range(2):
        await requests.initialize()
    for _ in range(2):
        await requests.shutdown()

    with pytest.raises(NoAnswer) as closed:
        await requests.post("http://127.0.0.1:1/")
    assert not closed.value.was_written


@pytest.mark.parametrize("url", ["http://", "http://127.0.0.1:1/"])
async def test_an_address_that_cannot_be_called_was_certainly_not_written_to(url):
    requests = AiohttpRequest(connections=1, secret=SECRET)
    await requests.initialize()
    try:
        with pytest.raises(NoAnswer) as silence:
            await requests.post(url)
    finally:
        await requests.shutdown()

    assert not silence.value.was_written
