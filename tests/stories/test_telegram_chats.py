"""Groups that move, topics, other bots, people who block: who is answered, and where."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.testing import OpenAIServer, Person, TelegramServer, flood
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, on_telegram, over_endpoint
from tests.stories.checks import findings

GROUP, SUPERGROUP = -5, -1001234567890
Scene = tuple[GatewayProcess, TelegramServer, OpenAIServer]


@asynccontextmanager
async def scene(folder: Path, *, groups: str = "all") -> AsyncIterator[Scene]:
    async with OpenAIServer() as model, TelegramServer() as telegram:
        channel = on_telegram(telegram, receive="polling", more=f'groups = "{groups}"')
        config = over_endpoint(model) + DESK + channel
        async with GatewayProcess(folder, config=config) as gateway:
            await gateway.start()
            yield gateway, telegram, model


def heard(model: OpenAIServer) -> list[str]:
    """What people said, as the newest call of the model shows it."""
    messages = model.calls[-1].messages
    return [str(message["content"]) for message in messages if message["role"] == "user"]


@pytest.mark.proves("TG-28")
async def test_tg_28_a_group_that_became_a_supergroup_keeps_its_session(tmp_path: Path) -> None:
    async with scene(tmp_path) as (gateway, telegram, model):
        telegram.post_text(GROUP, 7, "before")
        await telegram.wait_for_sent(1, chat=GROUP, timeout_s=PATIENCE_S)
        telegram.post_text(GROUP, 7, "", extra={"migrate_to_chat_id": SUPERGROUP})
        telegram.post_text(SUPERGROUP, 7, "", extra={"migrate_from_chat_id": GROUP})
        telegram.post_text(SUPERGROUP, 7, "after")
        await telegram.wait_for_sent(1, chat=SUPERGROUP, timeout_s=PATIENCE_S)

        said = heard(model)
        assert ["before" in said[0], "after" in said[1], len(said)] == [True, True, 2]
        assert len(await gateway.run_json("sessions", "list")) == 1
        assert await findings(gateway) == []


@pytest.mark.proves("TG-21", "TG-20")
async def test_tg_21_tg_20_each_topic_is_a_session_and_is_answered_there(tmp_path: Path) -> None:
    async with scene(tmp_path) as (gateway, telegram, _):
        for thread in (12, 13, 12):
            topic = {"message_thread_id": thread, "is_topic_message": True}
            telegram.post_text(SUPERGROUP, 7, f"in {thread}", extra=topic)
        telegram.post_text(SUPERGROUP, 7, "in general")
        sent = await telegram.wait_for_sent(4, chat=SUPERGROUP, timeout_s=PATIENCE_S)

        assert sorted(str(message.thread) for message in sent) == ["12", "12", "13", "None"]
        assert len(await gateway.run_json("sessions", "list")) == 3


@pytest.mark.proves("TG-24", "C-8")
async def test_tg_24_c_8_two_bots_in_a_group_do_not_talk_to_each_other(tmp_path: Path) -> None:
    async with scene(tmp_path) as (_, telegram, model):
        other = Person(99, "Other", "other_bot", is_bot=True)
        for number in range(5):
            telegram.post_text(SUPERGROUP, other, f"@fake_bot beep {number}")
        telegram.post_text(SUPERGROUP, 7, "a person")
        await telegram.wait_for_sent(1, chat=SUPERGROUP, timeout_s=PATIENCE_S)

        assert len(model.calls) == 1
        assert len(telegram.sent()) == 1


@pytest.mark.proves("TG-29")
async def test_tg_29_nobody_who_blocked_the_bot_is_written_to_before_they_let_it_in(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as (gateway, telegram, model):
        model.enqueue("Too late.", "Here again.")
        telegram.fail("sendMessage", flood(2))
        telegram.post_text(7, 7, "hello")
        await telegram.wait_for_calls("sendMessage", timeout_s=PATIENCE_S)
        telegram.block(7)
        telegram.unblock(7)
        telegram.post_text(7, 7, "hello again")
        await telegram.wait_for_sent(1, chat=7, timeout_s=PATIENCE_S)

        assert [message.text for message in telegram.sent(7)] == ["Here again."]
        assert await findings(gateway) == []
