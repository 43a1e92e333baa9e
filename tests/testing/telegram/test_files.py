"""Files that people send, as a bot gets them, and what goes wrong while it does."""

import aiohttp
import pytest

from gateway.testing import TelegramServer, misbehaviour
from gateway.testing.telegram import faults
from gateway.testing.telegram.spec import Spec
from tests.testing.telegram.client import Client, client_of, spec_file


async def download(client: Client, file_id: str) -> bytes:
    file = await client.result("getFile", file_id=file_id)
    telegram = client.telegram
    url = f"{telegram.api_url}/file/bot{telegram.token}/{file['file_path']}"
    async with client.session.get(url) as response:
        response.raise_for_status()
        return await response.read()


@pytest.mark.parametrize("kind", ["voice", "audio", "video", "video_note", "animation", "document"])
async def test_a_file_somebody_sends_can_be_downloaded(kind):
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.post_file(7, 7, b"bytes", kind=kind, mime="x/y", caption="look")
        [update] = await client.result("getUpdates")
        message = update["message"]

        assert (message["caption"], message[kind]["mime_type"]) == ("look", "x/y")
        assert message[kind]["file_size"] == 5
        assert await download(client, message[kind]["file_id"]) == b"bytes"


@pytest.mark.parametrize("kind", ["voice", "audio", "video", "video_note", "animation", "document"])
async def test_what_somebody_sends_has_the_form_of_the_specification(kind):
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.post_file(7, 7, b"bytes", kind=kind)
        [update] = await client.result("getUpdates")

        assert Spec.load(spec_file()).problems("Update", update) == []


async def test_downloads_stand_in_the_log_of_calls():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        await download(client, telegram.add_file(b"bytes", name="a.bin"))

        [call] = telegram.calls_of("file")
        assert (call.params, call.status) == ({"file_path": "files/1/a.bin"}, 200)


async def test_a_download_that_breaks_off_gives_only_the_beginning():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        with pytest.raises(aiohttp.ClientPayloadError):
            await download(client, telegram.add_file(b"bytes", breaks_after=2))


async def test_a_file_that_is_gone_is_not_found():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("file", faults.ApiError(404, "Not Found"))
        with pytest.raises(aiohttp.ClientResponseError) as failed:
            await download(client, telegram.add_file(b"bytes"))

    assert failed.value.status == 404


async def test_a_download_may_be_slow():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.fail("file", misbehaviour.Slow(0.01))

        assert await download(client, telegram.add_file(b"bytes")) == b"bytes"


async def test_a_file_may_say_nothing_of_its_size():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        file = await client.result("getFile", file_id=telegram.add_file(b"bytes", size_bytes=0))

    assert "file_size" not in file


async def test_the_stop_button_names_the_draft_shown_last():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        for draft in (4, 9):
            await client.result("sendMessageDraft", chat_id=7, draft_id=draft, text="so far")
        telegram.press_stop(7, thread=3)
        [update] = await client.result("getUpdates")

    stopped = update["stopped_message_generation"]
    assert (stopped["chat"]["id"], stopped["draft_id"], stopped["message_thread_id"]) == (7, 9, 3)


async def test_a_bot_that_did_not_ask_for_the_stop_button_does_not_hear_of_it():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        await client.result("getUpdates", allowed_updates=["message"])
        telegram.press_stop(7)

        assert telegram.pending == []
