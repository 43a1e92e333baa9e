"""The sending limits of the fake Telegram, switched on."""

from gateway.testing import Rates, TelegramServer, Window
from gateway.testing.telegram.faults import BotCall
from gateway.testing.telegram.pace import Pace
from tests.testing.telegram.client import client_of


def send(at, chat=7, method="sendMessage"):
    return BotCall(number=1, method=method, params={"chat_id": chat}, at=at)


def test_one_message_a_second_and_chat_passes():
    pace = Pace(Rates())

    assert pace.retry_after(send(0.0)) is None
    assert pace.retry_after(send(0.5)) == 1
    assert pace.retry_after(send(0.5, chat=8)) is None
    assert pace.retry_after(send(1.0)) is None


def test_edits_count_and_typing_does_not():
    pace = Pace(Rates())
    pace.retry_after(send(0.0))

    assert pace.retry_after(send(0.1, method="editMessageText")) == 1
    assert pace.retry_after(send(0.1, method="sendChatAction")) is None
    assert pace.retry_after(send(0.1, method="sendMessageDraft")) is None


def test_thirty_messages_a_second_pass_over_all_chats():
    pace = Pace(Rates())

    answers = [pace.retry_after(send(0.0, chat=chat)) for chat in range(1, 32)]

    assert answers == [None] * 30 + [1]


def test_a_group_gets_twenty_messages_a_minute():
    pace = Pace(Rates())

    answers = [pace.retry_after(send(float(second), chat=-5)) for second in range(21)]

    assert answers[:20] == [None] * 20
    assert answers[20] == 37


def test_bursts_can_be_tolerated():
    pace = Pace(Rates(per_chat=Window(3, 3.0)))

    assert [pace.retry_after(send(0.0)) for _ in range(4)] == [None, None, None, 3]


def test_without_rates_everything_passes():
    pace = Pace(None)

    assert {pace.retry_after(send(0.0)) for _ in range(100)} == {None}


async def test_a_bot_that_is_too_fast_is_answered_with_429_and_nothing_is_sent():
    async with TelegramServer(rates=Rates()) as telegram, client_of(telegram) as client:
        await client.result("sendMessage", chat_id=7, text="one")
        refused = await client.call("sendMessage", chat_id=7, text="two")

    assert refused["error_code"] == 429
    assert refused["parameters"] == {"retry_after": 1}
    assert [sent.text for sent in telegram.sent()] == ["one"]


async def test_set_webhook_twice_in_a_second_is_refused():
    async with TelegramServer(rates=Rates()) as telegram, client_of(telegram) as client:
        await client.result("setWebhook", url=f"{telegram.api_url}/nobody")
        refused = await client.call("setWebhook", url=f"{telegram.api_url}/nobody")

    assert refused["error_code"] == 429
