"""What the fake Telegram does with the bot's calls: effects, refusals, files."""

import aiohttp
import pytest

from gateway.testing import (
    TelegramServer,
)
from tests.testing.telegram.client import client_of

BUTTON = {"inline_keyboard": [[{"text": "Yes", "callback_data": "yes"}]]}


def bold(offset, length):
    return {"type": "bold", "offset": offset, "length": length}


async def test_a_message_is_recorded_and_answered_as_a_message():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        answer = await client.result("sendMessage", chat_id=7, text="hi", entities=[bold(0, 2)])
        [sent] = await telegram.wait_for_sent(1, chat=7)

    assert (sent.text, sent.message_id) == ("hi", answer["message_id"])
    assert sent.entities == (bold(0, 2),)
    assert answer["from"]["is_bot"] is True
    assert answer["chat"]["type"] == "private"
    assert telegram.sent(8) == []


async def test_waiting_for_messages_that_never_come_says_how_many_came():
    async with TelegramServer() as telegram:
        with pytest.raises(TimeoutError, match="0 of 1 messages were sent"):
            await telegram.wait_for_sent(1, timeout_s=0.01)


async def test_edits_and_deletions_change_what_people_see():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        one = await client.result("sendMessage", chat_id=7, text="one")
        two = await client.result("sendMessage", chat_id=7, text="two")
        await client.result("editMessageText", chat_id=7, message_id=one["message_id"], text="ONE")
        await client.result("deleteMessage", chat_id=7, message_id=two["message_id"])

    [seen] = telegram.sent(7)
    assert (seen.text, seen.edits) == ("ONE", ("one",))


async def test_calls_on_messages_that_are_not_there_are_refused():
    missing = {"chat_id": 7, "message_id": 99}

    async with TelegramServer() as telegram, client_of(telegram) as client:
        edit = await client.error("editMessageText", **missing, text="x")
        delete = await client.error("deleteMessage", **missing)
        reply = await client.error(
            "sendMessage", chat_id=7, text="x", reply_parameters={"message_id": 99}
        )

    assert edit == "Bad Request: message to edit not found"
    assert delete == "Bad Request: message to delete not found"
    assert reply == "Bad Request: message to be replied not found"
    assert telegram.problems == []


async def test_a_reply_is_sent_to_a_message_that_exists_or_without_it_if_allowed():
    lenient = {"message_id": 99, "allow_sending_without_reply": True}

    async with TelegramServer() as telegram, client_of(telegram) as client:
        asked = telegram.post_text(7, 7, "question")["message"]["message_id"]
        exact = {"message_id": asked}
        await client.result("sendMessage", chat_id=7, text="a", reply_parameters=exact)
        await client.result("sendMessage", chat_id=7, text="b", reply_parameters=lenient)

    assert [sent.reply_to for sent in telegram.sent(7)] == [asked, 99]


async def test_an_edit_that_changes_nothing_is_refused():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        sent = await client.result("sendMessage", chat_id=7, text="same")
        description = await client.error(
            "editMessageText", chat_id=7, message_id=sent["message_id"], text="same"
        )

    assert description.startswith("Bad Request: message is not modified")


async def test_drafts_are_shown_and_never_count_as_sent():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        for text in ("", "Good", "Good morning"):
            await client.result("sendMessageDraft", chat_id=7, draft_id=3, text=text)

    assert [draft.text for draft in telegram.drafts] == ["", "Good", "Good morning"]
    assert telegram.sent() == []


async def test_a_button_press_is_answered_once():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        await client.result("sendMessage", chat_id=7, text="Sure?", reply_markup=BUTTON)
        query = telegram.press(telegram.sent(7)[0], 7, "yes")["callback_query"]
        await client.result("answerCallbackQuery", callback_query_id=query["id"])
        late = await client.error("answerCallbackQuery", callback_query_id=query["id"])

    assert query["message"]["reply_markup"] == BUTTON
    assert "query is too old" in late


async def test_a_person_who_blocked_the_bot_cannot_be_reached_until_it_is_let_in_again():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        telegram.block(7)
        refused = await client.call("sendMessage", chat_id=7, text="hi")
        telegram.unblock(7)
        await client.result("sendMessage", chat_id=7, text="hi")

    assert refused["error_code"] == 403
    assert len(telegram.sent(7)) == 1


async def test_a_send_without_a_chat_it_can_find_is_refused():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        nowhere = await client.error("sendMessage", text="hi")
        by_name = await client.error("sendMessage", chat_id="@somebody", text="hi")

    assert nowhere == "Bad Request: chat_id is empty"
    assert by_name == "Bad Request: chat not found"


async def test_drafts_are_refused_in_groups():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        description = await client.error("sendMessageDraft", chat_id=-5, draft_id=1, text="a")

    assert "only in private chats" in description


async def test_an_edit_may_bring_rich_text_only():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        sent = await client.result("sendMessage", chat_id=7, text="hi")
        rich = {"markdown": "# Hi"}
        await client.result(
            "editMessageText", chat_id=7, message_id=sent["message_id"], rich_message=rich
        )

    assert telegram.sent(7)[0].text == "# Hi"


@pytest.mark.parametrize("body", [b"{", b"[]"])
async def test_a_json_body_that_is_no_object_is_refused(body):
    headers = {"Content-Type": "application/json"}

    async with (
        TelegramServer() as telegram,
        client_of(telegram) as client,
        client.session.post(client.url("getMe"), data=body, headers=headers) as response,
    ):
        answer = await response.json()

    assert answer["description"] == "Bad Request: can't parse request JSON object"


async def test_objects_inside_a_json_body_may_be_text():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        entities = '[{"type": "bold", "offset": 0, "length": 2}]'
        await client.result("sendMessage", chat_id=7, text="[1]", entities=entities)

    [sent] = telegram.sent(7)
    assert (sent.text, sent.entities) == ("[1]", (bold(0, 2),))


async def test_commands_are_kept():
    commands = [{"command": "new", "description": "Start over"}]

    async with TelegramServer() as telegram, client_of(telegram) as client:
        await client.result("setMyCommands", commands=commands)

        assert await client.result("getMyCommands") == telegram.commands == commands


async def test_wrong_tokens_and_unknown_methods_are_refused():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        statuses = []
        for url in (
            client.url("getMe", "123:wrong"),
            client.url("getMe", "nonsense"),
            client.url("getAnswer"),
            f"{telegram.api_url}/somewhere",
        ):
            async with client.session.get(url) as response:
                statuses.append(response.status)

    assert statuses == [401, 404, 404, 404]


async def test_methods_can_be_called_by_get_by_form_and_in_any_case():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        async with client.session.get(
            client.url("sendmessage"), params={"chat_id": "7", "text": "by get"}
        ) as response:
            assert response.status == 200
        form = {"chat_id": "7", "text": "12", "reply_parameters": '{"message_id": 1}'}
        async with client.session.post(client.url("SendMessage"), data=form) as response:
            assert response.status == 200

    assert [sent.text for sent in telegram.sent(7)] == ["by get", "12"]
    assert telegram.sent(7)[1].reply_to == 1


async def test_an_uploaded_file_is_kept_with_the_call():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        form = aiohttp.FormData({"chat_id": "7", "caption": "the bill"})
        form.add_field("document", b"%PDF", filename="bill.pdf")
        async with client.session.post(client.url("sendDocument"), data=form) as response:
            assert response.status == 200

    [sent] = telegram.sent(7)
    assert sent.text == "the bill"
    assert sent.uploads["document"].content == b"%PDF"


async def test_a_stored_file_is_found_by_get_file_and_downloaded():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        file_id = telegram.add_file(b"OggS", name="voice.oga")
        found = await client.result("getFile", file_id=file_id)
        url = f"{telegram.api_url}/file/bot{telegram.token}/{found['file_path']}"
        async with client.session.get(url) as response:
            content = await response.read()
        async with client.session.get(f"{url}.gone") as response:
            gone = response.status

    assert (found["file_size"], content, gone) == (4, b"OggS", 404)


async def test_a_file_that_claims_to_be_larger_than_20_mb_is_refused():
    async with TelegramServer() as telegram, client_of(telegram) as client:
        file_id = telegram.add_file(b"x", size_bytes=21 * 1024 * 1024)

        assert await client.error("getFile", file_id=file_id) == "Bad Request: file is too big"
        assert await client.error("getFile", file_id="other") == "Bad Request: invalid file_id"
