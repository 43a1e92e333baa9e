"""Files over the whole daemon: from a person to the model, and from the team to the person."""

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.testing import HttpError, OpenAIServer, Reply
from gateway.testing.plain.files import CutOff, Trickle
from gateway.testing.plain.installed import installed, on_plain
from gateway.testing.plain.server import FILE_MARK, PlainServer
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, Caller, over_endpoint, serving
from tests.stories.checks import findings

LONG_S = 30.0
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 2000
OGG = b"OggS" + bytes(range(256)) * 300
KEY = "sk-canary-of-the-files"


@dataclass
class Scene:
    """A platform, a model's endpoint that also listens, and the gateway between them."""

    plain: PlainServer
    model: OpenAIServer
    gateway: GatewayProcess
    caller: Caller

    async def replies(self, count: int, *, chat: str = "7") -> list[str]:
        """What the person was sent, as soon as it is that much."""
        sent = await self.plain.wait_for_sent(count, chat=chat, timeout_s=LONG_S)
        return [message.text for message in sent]

    async def restart(self) -> None:
        """Kill it, and start it again."""
        await self.gateway.kill()
        await self.gateway.start()


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with PlainServer() as plain, OpenAIServer(api_key=KEY) as model:
        endpoint = over_endpoint(model, key=KEY) + "images = true\n"
        listening = (
            f'[transcription]\nbase_url = "{model.base_url}"\nmodel = "whisper-1"\n'
            f'api_key = "{KEY}"\n'
        )
        logging = '[log]\nlevel = "debug"\n'
        config = endpoint + listening + logging + DESK + on_plain(plain, shows="none")
        async with serving(folder, config, environment=installed(folder)) as (gateway, caller):
            yield Scene(plain, model, gateway, caller)


def last_content(model: OpenAIServer) -> list[dict[str, Any]]:
    """The pieces of the person's last message, as the model saw it."""
    content = model.calls[-1].messages[-1]["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


@pytest.mark.proves("C-10")
async def test_c_10_a_picture_a_voice_note_and_a_text_reach_the_model_and_no_log(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as it:
        it.model.ear.enqueue("Is this my cat?")
        it.model.enqueue(Reply("It is."))
        picture = it.plain.put_file(PNG, kind="image", name="cat.png", mime="image/png")
        voice = it.plain.put_file(OGG, kind="audio", mime="audio/ogg")
        words = it.plain.put_file("Her name is Möhre.".encode(), name="cat.txt")
        it.plain.post_files("7", picture, voice, words, text="Look:")

        assert await it.replies(1) == ["It is."]

        pieces = last_content(it.model)
        urls = [piece["image_url"]["url"] for piece in pieces if piece["type"] == "image_url"]
        assert [base64.b64decode(url.partition(",")[2]) for url in urls] == [PNG]
        text = "\n".join(piece["text"] for piece in pieces if piece["type"] == "text")
        for said in ("Look:", "cat.png", "Is this my cat?", "cat.txt", "Her name is Möhre."):
            assert said in text
        assert [call.data for call in it.model.ear.calls] == [OGG]
        assert it.model.problems == []
        assert "file_settled" in it.gateway.log
        for secret in (FILE_MARK, KEY, it.plain.token, "Möhre", "my cat"):
            assert secret not in it.gateway.log


async def test_a_kill_amid_fetching_leaves_nothing_and_the_message_is_answered_once(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as it:
        it.model.enqueue("Nice.")
        it.plain.fail("fetch", Trickle(bytes_at_once=100_000, pause_s=0.4))
        it.plain.post_file("7", PNG, kind="image", name="cat.png")
        await it.plain.wait_for_calls("fetch", timeout_s=LONG_S)
        # Long enough for the first piece, not for the last.
        await wait_for_piece(it.gateway)
        await it.restart()

        assert await it.replies(1) == ["Nice."]

        assert len(it.plain.calls_of("fetch")) == 2
        assert len(it.model.calls) == 1
        assert await findings(it.gateway) == []


async def test_a_kill_amid_thinking_neither_fetches_nor_listens_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        it.model.ear.enqueue("Call me.")
        it.model.enqueue(Reply("Lost.", delay_s=60), "I will.")
        it.plain.post_file("7", OGG, kind="audio")
        await it.model.wait_for_calls(1, timeout_s=LONG_S)
        await it.restart()

        assert await it.replies(1) == ["I will."]

        assert len(it.plain.calls_of("fetch")) == 1
        assert len(it.model.ear.calls) == 1
        assert "Call me." in str(last_content(it.model))


async def test_a_download_that_breaks_off_is_begun_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        it.model.enqueue("Read.")
        it.plain.fail("fetch", CutOff(after_bytes=300_000))
        it.plain.post_file("7", b"a" * 500_000, name="long.txt")

        assert await it.replies(1) == ["Read."]

        assert len(it.plain.calls_of("fetch")) == 2


async def test_what_cannot_be_used_is_answered_in_words(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        it.model.ear.enqueue(HttpError(400))
        it.plain.post_file("7", b"PK\x03\x04" + b"\xff" * 100, name="x.zip")
        it.plain.post_file("7", PNG + b"x" * 10_485_760, kind="image", told_bytes=100)
        it.plain.post_file("7", OGG, kind="audio")

        not_heard = "it could not be turned into text just now. Please send it again."
        assert await it.replies(3) == [
            "I could not read “x.zip”: I can take pictures, voice notes and text documents.",
            "I could not read the picture: it is larger than 10 MB.",
            f"I could not read the voice note: {not_heard}",
        ]
        assert it.model.calls == []
        assert await findings(it.gateway) == []


async def test_a_file_of_the_team_reaches_the_person_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        it.model.enqueue("Hello.")
        it.plain.post_text("7", "Hi")
        await it.replies(1)
        file_id = await uploaded(it, PNG)
        session = (await it.caller.get("/v1/sessions"))["data"][0]["id"]
        content = [{"type": "text", "text": "Here:"}, {"type": "file", "file_id": file_id}]

        path = f"/v1/sessions/{session}/send"
        answers = [
            await it.caller.call("POST", path, {"content": content}, repeat_key="k")
            for _ in range(2)
        ]

        assert [answer.status for answer in answers] == [202, 202]
        assert answers[0].json["delivery"]["status"] in ("pending", "sent")
        messages = await it.plain.wait_for_sent(3, chat="7", timeout_s=LONG_S)
        assert [message.text for message in messages] == ["Hello.", "Here:", ""]
        assert messages[2].file is not None
        assert messages[2].file.data == PNG
        assert len(it.model.calls) == 1


async def uploaded(it: Scene, data: bytes) -> str:
    """The id of a file that the team brought."""
    form = aiohttp.FormData()
    form.add_field("file", data, filename="cat.png", content_type="image/png")
    headers = {"Authorization": f"Bearer {it.caller.key}"}
    async with it.caller.client.post(
        f"{it.caller.url}/v1/files", data=form, headers=headers
    ) as answer:
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["id"])


async def wait_for_piece(gateway: GatewayProcess) -> None:
    """Wait until a piece of a file is in the store."""
    path = gateway.folder / "data" / "gateway.db"
    async with asyncio.timeout(LONG_S):
        while True:
            with closing(sqlite3.connect(path)) as connection:
                if connection.execute("SELECT count(*) FROM file_piece").fetchone()[0]:
                    return
            await asyncio.sleep(0.02)
