"""Files that people shared: their bytes, for the token of their workspace, from Slack alone."""

import json
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from channels.slack import downloads
from gateway.contract import Attachment
from gateway.errors import DeliveryLater, DeliveryRefused, GatewayError
from gateway.testing.misbehaviour import Drop, HtmlError
from gateway.testing.slack.faults import rate_limited
from tests.channels.slack.running import Running, hooked

PHOTO = bytes(range(256)) * 2000


async def shared(running: Running, **more: Any) -> Attachment:
    """A file as it was heard of."""
    running.slack.post_file("D1", "U1", **{"content": PHOTO, **more})
    [*_, heard] = await running.heard()
    [attachment] = heard.attachments
    return attachment


async def fetched(running: Running, attachment: Attachment) -> bytes:
    return b"".join([piece async for piece in running.channel.fetch(attachment)])


@pytest.mark.proves("SL-27")
async def test_sl_27_a_file_comes_in_pieces_with_the_token_of_its_workspace():
    async with hooked() as running:
        attachment = await shared(running)
        pieces = [piece async for piece in running.channel.fetch(attachment)]

        assert b"".join(pieces) == PHOTO
        assert max(map(len, pieces)) <= 65_536
        [call] = running.slack.calls_of("download")
        assert call.token == running.slack.bot_token
        assert running.slack.problems == []


@pytest.mark.proves("SL-27")
async def test_sl_27_whoever_reads_stops_where_they_like():
    async with hooked() as running:
        pieces = running.channel.fetch(await shared(running))
        first = await anext(pieces)
        await pieces.aclose()

        assert PHOTO.startswith(first)


@pytest.mark.proves("SL-27", "C-10")
async def test_sl_27_c_10_the_token_is_never_sent_to_another_host():
    taken: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        taken.append(request.headers.get("Authorization", ""))
        return web.Response(body=b"yours")

    app = web.Application()
    app.add_routes([web.get("/{anything:.*}", answer)])
    async with TestServer(app) as stranger, hooked() as running:
        attachment = await shared(running, redirect_to=str(stranger.make_url("/a")))
        with pytest.raises(DeliveryRefused, match="away from Slack"):
            await fetched(running, attachment)

    assert taken == []


@pytest.mark.proves("SL-27")
async def test_sl_27_a_redirect_within_slack_is_followed():
    async with hooked() as running:
        target = await shared(running)
        url = json.loads(target.ref)[1]
        moved = await shared(running, name="moved.jpg", content=b"old", redirect_to=url)

        assert await fetched(running, moved) == PHOTO


@pytest.mark.proves("SL-27")
async def test_sl_27_redirects_in_a_circle_end():
    async with hooked() as running:
        attachment = await shared(running)
        [file] = running.slack._world.files.stored.values()
        file.redirect_to = json.loads(attachment.ref)[1]

        with pytest.raises(DeliveryRefused):
            await fetched(running, attachment)


@pytest.mark.proves("SL-27")
async def test_sl_27_a_file_ends_at_the_largest_size_there_is(monkeypatch):
    monkeypatch.setattr(downloads, "MAX_FILE_BYTES", 100_000)
    async with hooked() as running:
        attachment = await shared(running, size_bytes=10)

        with pytest.raises(DeliveryRefused):
            await fetched(running, attachment)


@pytest.mark.proves("SL-27")
async def test_sl_27_a_page_that_asks_to_sign_in_is_no_file():
    async with hooked() as running:
        attachment = await shared(running)
        running.slack.workspace.end_tokens("token_revoked")

        with pytest.raises(DeliveryRefused, match="files:read"):
            await fetched(running, attachment)


@pytest.mark.proves("SL-27")
async def test_sl_27_a_page_that_somebody_shared_is_a_file():
    async with hooked() as running:
        attachment = await shared(running, name="page.html", content=b"<html>")

        assert await fetched(running, attachment) == b"<html>"


@pytest.mark.proves("SL-27")
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (HtmlError(503), DeliveryLater),
        (HtmlError(403), DeliveryRefused),
        (Drop(accepted=False), DeliveryLater),
        (rate_limited(2), GatewayError),
    ],
    ids=["away", "forbidden", "cut", "gone"],
)
async def test_sl_27_failures_tell_whether_to_come_again(fault, error):
    async with hooked() as running:
        attachment = await shared(running)
        running.slack.fail("download", fault, times=None)

        with pytest.raises(error):
            await fetched(running, attachment)


@pytest.mark.parametrize(
    "ref",
    [
        "nonsense",
        '["T0FAKETEAM", "https://files.slack.com.evil.example/a"]',
        '["T0FAKETEAM", "https://evilslack.com/a"]',
        '["T0FAKETEAM", "http://files.slack.com/a"]',
        '["T0FAKETEAM", "https://files.slack.com@evil.example/a"]',
        '["T0FAKETEAM", "file:///etc/passwd"]',
        '["T0ELSEWHERE", "https://files.slack.com/a"]',
    ],
    ids=range(7),
)
async def test_nothing_is_asked_of_other_hosts_or_for_other_workspaces(ref):
    async with hooked() as running:
        attachment = replace(await shared(running), ref=ref)

        with pytest.raises(DeliveryRefused):
            await fetched(running, attachment)
        assert running.slack.calls_of("download") == []
