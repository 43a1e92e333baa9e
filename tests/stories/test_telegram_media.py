"""What people send on Telegram beside words, through the whole gateway to the model."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import OpenAIServer, Reply, Silence, TelegramServer
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, logged, on_telegram, over_endpoint
from tests.stories.checks import findings

CHAT = 7
PHOTO = b"\xff\xd8\xff\xe0 a photo"


class Chatting:
    """A person on Telegram, the gateway, and its model."""

    def __init__(
        self, gateway: GatewayProcess, telegram: TelegramServer, model: OpenAIServer
    ) -> None:
        self.gateway = gateway
        self.telegram = telegram
        self.model = model

    async def replies(self, count: int) -> list[str]:
        sent = await self.telegram.wait_for_sent(count, chat=CHAT, timeout_s=PATIENCE_S)
        return [message.text for message in sent]

    def shown(self, call: int = -1) -> list[dict[str, Any]]:
        """The pieces of the newest message of a model call."""
        content = self.model.calls[call].messages[-1]["content"]
        return [{"type": "text", "text": content}] if isinstance(content, str) else content


@asynccontextmanager
async def chatting(folder: Path, *, receive: str = "polling") -> AsyncIterator[Chatting]:
    async with OpenAIServer() as model, TelegramServer() as telegram:
        config = over_endpoint(model) + "images = true\n" + DESK
        config += on_telegram(telegram, receive=receive)
        async with GatewayProcess(folder, config=config) as gateway:
            await gateway.start()
            yield Chatting(gateway, telegram, model)


@pytest.mark.proves("TG-27", "TG-31")
async def test_tg_27_tg_31_a_photo_and_its_caption_reach_the_model_and_no_address_does(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path) as chat:
        chat.model.enqueue("A cat.")
        chat.telegram.post_photo(CHAT, CHAT, "what is this?")
        assert await chat.replies(1) == ["A cat."]

        shown = chat.shown()
        [image] = [piece for piece in shown if piece["type"] == "image_url"]
        assert image["image_url"]["url"].endswith(base64.b64encode(PHOTO).decode())
        assert any("what is this?" in piece.get("text", "") for piece in shown)
        everything = f"{[call.body for call in chat.model.calls]}{chat.gateway.log}"
        assert chat.telegram.token not in everything
        assert "/file/bot" not in everything
        assert await findings(chat.gateway) == []


@pytest.mark.proves("TG-26")
async def test_tg_26_an_album_is_one_turn_with_all_its_photos(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        chat.model.enqueue("Three cats.")
        for caption in ("", "and these?", ""):
            chat.telegram.post_photo(CHAT, CHAT, caption, extra={"media_group_id": "g1"})
        assert await chat.replies(1) == ["Three cats."]

        [call] = chat.model.calls
        pieces = [piece for message in call.messages for piece in message["content"]]
        images = [p for p in pieces if isinstance(p, dict) and p["type"] == "image_url"]
        assert len(images) == 3


@pytest.mark.proves("TG-31")
async def test_tg_31_a_file_over_the_limit_is_refused_in_words(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        size = 21 * 1024 * 1024
        chat.telegram.post_file(
            CHAT,
            CHAT,
            b"x",
            name="all.txt",
            mime="text/plain",
            extra={"document": {"file_id": "file-1", "file_unique_id": "u", "file_size": size}},
        )
        [reply] = await chat.replies(1)

        assert "larger than bots may fetch" in reply
        assert chat.telegram.calls_of("getFile") == []


@pytest.mark.proves("TG-25")
async def test_tg_25_an_edit_changes_what_the_model_reads_next_and_is_not_answered(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path) as chat:
        chat.model.enqueue("One.", "Two.")
        update = chat.telegram.post_text(CHAT, CHAT, "my name is Adda")
        await chat.replies(1)
        chat.telegram.post_edit(update, "my name is Adda")
        chat.telegram.post_edit(update, "my name is Ada")
        await chat.telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
        chat.telegram.post_text(CHAT, CHAT, "what is my name?")

        assert await chat.replies(2) == ["One.", "Two."]
        assert len(chat.model.calls) == 2
        said = [m["content"] for m in chat.model.calls[1].messages if m["role"] == "user"]
        assert said == ["my name is Ada", "what is my name?"]


@pytest.mark.proves("TG-51")
async def test_tg_51_the_stop_button_ends_the_turn_and_keeps_what_was_shown(
    tmp_path: Path,
) -> None:
    endless = Silence(Reply(pieces=("This is going ", "well ", "so far.")), after=2)
    async with chatting(tmp_path) as chat:
        chat.model.enqueue(endless, "Next.")
        chat.telegram.post_text(CHAT, CHAT, "tell me a lot")
        await chat.telegram.wait_until(
            lambda: any(draft.text for draft in chat.telegram.drafts), timeout_s=PATIENCE_S
        )
        chat.telegram.press_stop(CHAT)
        await chat.model.wait_for_abandoned(1, timeout_s=PATIENCE_S)
        [shown] = await chat.replies(1)
        chat.telegram.post_text(CHAT, CHAT, "go on")

        assert "This is going well".startswith(shown.removesuffix("…").strip())
        assert await chat.replies(2) == [shown, "Next."]
        outcomes = [line["outcome"] for line in logged(chat.gateway, "turn_finished")]
        assert outcomes == ["cancelled", "done"]
        assert await findings(chat.gateway) == []
