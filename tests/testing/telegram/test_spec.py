"""Calls and answers judged by the published specification of the Bot API, where it is at hand."""

import pytest

from gateway.testing import Person, TelegramServer
from gateway.testing.telegram.spec import Spec
from tests.testing.telegram.client import client_of, spec_file


@pytest.fixture(scope="module")
def spec():
    return Spec.load(spec_file())


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("sendMessage", {"chat_id": 7, "text": "a", "loudness": 3}, "there is no field loudness"),
        ("sendMessage", {"text": "a"}, "chat_id is missing"),
        ("sendMessage", {"chat_id": 7.5, "text": "a"}, "chat_id: 7.5 is not of type"),
        ("sendMessage", {"chat_id": True, "text": "a"}, "True is not of type"),
        ("sendMessage", {"chat_id": 7, "text": 5}, "5 is not of type String"),
        ("sendMessage", {"chat_id": 7, "text": "a", "entities": {}}, "is not an array"),
        (
            "sendMessage",
            {"chat_id": 7, "text": "a", "entities": [{"type": "bold", "offset": 0}]},
            "length is missing",
        ),
        (
            "sendMessage",
            {"chat_id": 7, "text": "a", "link_preview_options": {"disabled": True}},
            "there is no field disabled",
        ),
        ("sendMessage", {"chat_id": 7, "text": "a", "reply_parameters": 3}, "not an object"),
        ("sendMessageDraft", {"chat_id": "7", "draft_id": 1}, "'7' is not of type Integer"),
        ("getUpdates", {"allowed_updates": "message"}, "is not an array"),
    ],
)
async def test_calls_that_do_not_fit_are_refused_and_recorded(method, params, says):
    async with TelegramServer(spec=spec_file()) as telegram, client_of(telegram) as client:
        answer = await client.call(method, **params)

    assert answer["error_code"] == 400
    assert says in answer["description"]
    assert len(telegram.problems) == 1


async def test_calls_that_fit_have_no_problems():
    full = {
        "chat_id": 7,
        "text": "hello",
        "entities": [{"type": "text_link", "offset": 0, "length": 5, "url": "https://example.com"}],
        "link_preview_options": {"is_disabled": True},
        "reply_parameters": {"message_id": 9, "allow_sending_without_reply": True},
        "reply_markup": {"inline_keyboard": [[{"text": "Yes", "callback_data": "yes"}]]},
    }

    async with TelegramServer(spec=spec_file()) as telegram, client_of(telegram) as client:
        await client.result("sendMessage", **full)
        await client.result("sendRichMessage", chat_id=7, rich_message={"markdown": "# Hello"})
        await client.result("pinChatMessage", chat_id=7, message_id=1)

    assert telegram.problems == []
    assert [sent.text for sent in telegram.sent(7)] == ["hello", "# Hello"]


async def test_a_real_method_the_fake_cannot_answer_is_refused():
    async with TelegramServer(spec=spec_file()) as telegram, client_of(telegram) as client:
        assert "the fake has no getChat" in await client.error("getChat", chat_id=7)


async def test_newer_fields_and_methods_can_be_allowed():
    newer = {"sendMessageDraft": ["can_stop"], "sendThought": []}

    async with (
        TelegramServer(spec=spec_file(), newer=newer) as telegram,
        client_of(telegram) as client,
    ):
        await client.result("sendMessageDraft", chat_id=7, draft_id=1, text="a", can_stop=True)
        await client.result("sendThought", chat_id=7, text="hm")

    assert telegram.problems == []


async def test_every_update_the_fake_builds_fits(spec):
    async with TelegramServer() as telegram, client_of(telegram) as client:
        ada = Person(7, "Ada", username="ada")
        first = telegram.post_text(7, ada, "/start")
        telegram.post_edit(first, "/stop")
        telegram.post_text(-5, ada, "in a group")
        telegram.post_photo(-1001234567890, ada, "in a supergroup")
        await client.result("sendMessage", chat_id=7, text="Sure?")
        telegram.press(telegram.sent(7)[0], ada, "yes")
        telegram.block(ada)
        telegram.unblock(ada)

    problems = [
        problem for update in telegram.pending for problem in spec.problems("Update", update)
    ]
    assert len(telegram.pending) == 7
    assert problems == []


async def test_every_answer_of_the_fake_fits(spec):
    entity = {"type": "bold", "offset": 0, "length": 1}

    async with TelegramServer() as telegram, client_of(telegram) as client:
        sent = await client.result("sendMessage", chat_id=-5, text="a", entities=[entity])
        number = sent["message_id"]
        answers = {
            "User": await client.result("getMe"),
            "Message": sent,
            "WebhookInfo": await client.result("getWebhookInfo"),
            "File": await client.result("getFile", file_id=telegram.add_file(b"x")),
            "Array of Update": await client.result("getUpdates"),
        }
        edited = await client.result("editMessageText", chat_id=-5, message_id=number, text="b")

    assert [p for kind, answer in answers.items() for p in spec.problems(kind, answer)] == []
    assert spec.problems("Message", edited) == []


async def test_the_file_named_by_the_environment_judges_too(monkeypatch):
    monkeypatch.setenv("BOT_GATEWAY_TELEGRAM_SPEC", str(spec_file()))

    assert TelegramServer().is_judged_by_spec


def test_without_a_file_only_the_limits_are_judged(monkeypatch):
    monkeypatch.delenv("BOT_GATEWAY_TELEGRAM_SPEC", raising=False)

    assert not TelegramServer().is_judged_by_spec


def test_a_file_that_is_no_specification_is_refused(tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]")

    with pytest.raises(ValueError, match="no Telegram Bot API specification"):
        Spec.load(wrong)
