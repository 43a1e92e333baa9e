"""Files and answers to interactions: the addresses the fake Slack hands out."""

import aiohttp
import pytest

from gateway.testing import SlackServer
from tests.testing.slack.app import client_of, post_menu


@pytest.fixture
async def slack():
    async with SlackServer(echo=False) as server:
        yield server


@pytest.fixture
async def client(slack):
    async with client_of(slack) as opened:
        yield opened


async def download(client, url: str, **headers) -> tuple[int, bytes]:
    async with client.session.get(url, headers=headers, allow_redirects=False) as response:
        return response.status, await response.read()


async def test_a_shared_file_is_downloaded_with_the_bot_token(slack, client):
    [file] = slack.post_file("D1", "U1", content=b"meow")["event"]["files"]

    assert await download(client, file["url_private"], **client.headers) == (200, b"meow")
    assert slack.problems == []


async def test_without_the_token_there_is_only_a_sign_in_page(slack, client):
    [file] = slack.post_file("D1", "U1", content=b"meow")["event"]["files"]
    status, body = await download(client, file["url_private"])

    assert (status, b"Sign in" in body) == (200, True)
    assert slack.problems == ["download: a download without the bot token of its workspace"]


async def test_the_token_of_another_workspace_opens_nothing(slack, client):
    other = slack.add_workspace("T2")
    [file] = slack.post_file("D1", "U1", content=b"meow")["event"]["files"]
    _, body = await download(client, file["url_private"], Authorization=f"Bearer {other.bot_token}")

    assert b"meow" not in body


async def test_a_file_can_lead_elsewhere(slack, client):
    told = slack.post_file("D1", "U1", redirect_to="http://elsewhere.example/")
    [file] = told["event"]["files"]

    assert (await download(client, file["url_private"], **client.headers))[0] == 302


async def test_a_file_that_is_not_there_is_not_found(slack, client):
    url = slack.api_url.replace("/api/", "/files-pri/T1-F1/cat.png")

    assert (await download(client, url, **client.headers))[0] == 404


async def upload(client, url: str, content: bytes) -> int:
    async with client.session.post(url, data=content) as response:
        return response.status


async def test_an_upload_of_another_length_than_announced_is_refused(slack, client):
    address = await client.ok("files.getUploadURLExternal", filename="a.txt", length=3)

    assert await upload(client, address["upload_url"], b"four") == 404
    assert slack.problems == ["upload: file_size_mismatch"]


async def test_an_upload_may_come_as_a_form(slack, client):
    slack.post_message("D1", "U1", "send it")
    address = await client.ok("files.getUploadURLExternal", filename="a.txt", length=3)
    form = aiohttp.FormData()
    form.add_field("filename", b"abc", filename="a.txt")
    async with client.session.post(address["upload_url"], data=form) as response:
        assert (response.status, await response.text()) == (200, "OK - 3")

    await client.ok(
        "files.completeUploadExternal", files=[{"id": address["file_id"]}], channel_id="D1"
    )
    assert slack.sent("D1")[0].files[0]["title"] == "a.txt"


async def test_what_is_no_list_of_files_is_not_shared(client):
    error = await client.error("files.completeUploadExternal", files="F1", channel_id="D1")

    assert error == "invalid_arguments"


async def test_only_what_was_uploaded_is_shared_and_once(slack, client):
    slack.post_message("D1", "U1", "send it")
    address = await client.ok("files.getUploadURLExternal", filename="a.txt", length=3)
    files = [{"id": address["file_id"], "title": "A"}]
    share = {"files": files, "channel_id": "D1"}
    assert await client.error("files.completeUploadExternal", **share) == "file_not_found"

    await upload(client, address["upload_url"], b"abc")
    await client.ok("files.completeUploadExternal", **share)

    assert slack.sent("D1")[0].files[0]["title"] == "A"
    error = await client.error("files.completeUploadExternal", **share)
    assert error == "file_already_shared"


@pytest.mark.parametrize("length", ["0", "many"])
async def test_the_length_of_an_upload_is_a_positive_number(client, length):
    error = await client.error("files.getUploadURLExternal", filename="a", length=length)

    assert error == "invalid_arguments"


async def respond(client, url: str, **document) -> tuple[int, str]:
    async with client.session.post(url, json=document) as response:
        return response.status, await response.text()


async def test_an_interaction_can_be_answered_five_times(slack, client):
    url = slack.command("C1", "U1", "/ask")["response_url"]
    answers = [await respond(client, url, text=str(number)) for number in range(6)]

    assert answers == [(200, "ok")] * 5 + [(404, "used_url")]
    assert [shown.text for shown in slack.ephemerals] == ["0", "1", "2", "3", "4"]


async def test_an_answer_can_be_for_all(slack, client):
    url = slack.command("C1", "U1", "/ask")["response_url"]
    await respond(client, url, text="for all", response_type="in_channel")

    assert [message.text for message in slack.sent("C1")] == ["for all"]


async def test_an_answer_can_replace_or_delete_what_was_pressed(slack, client):
    await post_menu(slack)
    url = slack.press(slack.sent("C1")[0], "U1", action_id="yes")["response_url"]
    await respond(client, url, text="chosen", replace_original=True)
    replaced = [message.text for message in slack.sent("C1")]
    await respond(client, url, delete_original=True)

    assert (replaced, slack.sent("C1")) == (["chosen"], [])


async def test_an_answer_to_nothing_is_refused(slack, client):
    url = slack.command("C1", "U1", "/ask")["response_url"]

    assert await respond(client, url + "x", text="a") == (404, "invalid_url")
    async with client.session.post(url, data=b"text=a") as response:
        assert await response.text() == "invalid_payload"
    assert len(slack.problems) == 2
