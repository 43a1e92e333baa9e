"""What a person on Telegram sees while the answer is being written, through the whole daemon."""

from itertools import pairwise
from pathlib import Path

import pytest

from gateway.testing import OpenAIServer, TelegramServer
from gateway.testing.openai.replies import Reply
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, on_telegram, over_endpoint
from gateway.testing.telegram import faults

CHAT = 7
TEXT = "**One** " + " ".join(f"word{number}" for number in range(24))
ANSWER = TEXT.replace("*", "")


@pytest.mark.proves("TG-50", "TG-52")
async def test_tg_50_tg_52_an_answer_grows_as_a_draft_and_then_is_one_message(
    tmp_path: Path,
) -> None:
    slowly = Reply(TEXT, between_s=0.1)
    async with OpenAIServer(lambda _: slowly) as model, TelegramServer() as telegram:
        config = over_endpoint(model) + DESK + on_telegram(telegram, receive="polling")
        async with GatewayProcess(tmp_path, config=config) as gateway:
            await gateway.start()
            telegram.post_text(CHAT, CHAT, "hello")
            [sent] = await telegram.wait_for_sent(1, chat=CHAT, timeout_s=PATIENCE_S)

    drafts = telegram.drafts
    assert sent.text == ANSWER
    assert len(drafts) >= 2
    assert all(ANSWER.startswith(draft.text.strip("*")) for draft in drafts)
    assert len({draft.draft_id for draft in drafts}) == 1
    assert min(later.at - one.at for one, later in pairwise(drafts)) > 0.4
    assert drafts[-1].at < sent.at
    assert telegram.problems == []


@pytest.mark.proves("TG-52")
async def test_tg_52_being_too_fast_with_drafts_costs_the_drafts_and_not_the_answer(
    tmp_path: Path,
) -> None:
    slowly = Reply(TEXT, between_s=0.08)
    async with OpenAIServer(lambda _: slowly) as model, TelegramServer() as telegram:
        telegram.fail("sendMessageDraft", faults.flood(1), times=None)
        config = over_endpoint(model) + DESK + on_telegram(telegram, receive="polling")
        async with GatewayProcess(tmp_path, config=config) as gateway:
            await gateway.start()
            telegram.post_text(CHAT, CHAT, "hello")
            [sent] = await telegram.wait_for_sent(1, chat=CHAT, timeout_s=PATIENCE_S)

    assert sent.text == ANSWER
    assert len(telegram.calls_of("sendMessageDraft")) == 1


@pytest.mark.proves("TG-51")
async def test_tg_51_a_pressed_stop_button_leaves_what_there_is_as_a_message(
    tmp_path: Path,
) -> None:
    slowly = Reply(TEXT, between_s=0.4)
    async with OpenAIServer(lambda _: slowly) as model, TelegramServer() as telegram:
        config = over_endpoint(model) + DESK + on_telegram(telegram, receive="polling")
        async with GatewayProcess(tmp_path, config=config) as gateway:
            await gateway.start()
            telegram.post_text(CHAT, CHAT, "hello")
            await telegram.wait_for_calls("sendMessageDraft", 2, timeout_s=PATIENCE_S)
            telegram.press_stop(CHAT)
            [sent] = await telegram.wait_for_sent(1, chat=CHAT, timeout_s=PATIENCE_S)

    assert sent.text.split()[:1] == ["One"]
    assert "word23" not in sent.text
