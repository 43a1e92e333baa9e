"""What an error of the platform means; the rest is shown over sockets in test_deliver.py."""

import pytest

from channels.telegram.failures import Throttles, connect_error, delivery_error, weaker
from channels.telegram.outgoing import Outgoing
from channels.telegram.transport import NoAnswer, Refused
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown

MESSAGE = Outgoing(
    chat="-5",
    text="b",
    entities=[{"type": "bold", "offset": 0, "length": 1}],
    thread=12,
    reply_to=11,
)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (NoAnswer("timed out", was_written=True), DeliveryUnknown),
        (NoAnswer("no route", was_written=False), DeliveryLater),
        (Refused(301, "Moved Permanently"), DeliveryLater),
        (Refused(409, "Conflict"), DeliveryLater),
        (Refused(429, "Too Many Requests", retry_after_s=3), DeliveryLater),
        (Refused(503, "Service Unavailable"), DeliveryUnknown),
        (Refused(400, "Bad Request: something new"), DeliveryRefused),
        (Refused(418, "I'm a teapot"), DeliveryRefused),
    ],
)
def test_an_error_has_one_meaning(error, meaning):
    assert type(delivery_error(error)) is meaning


def test_a_message_loses_one_thing_after_the_other_until_it_is_plain():
    steps = [
        Refused(400, "Bad Request: can't parse entities: byte 3"),
        Refused(400, "Bad Request: message to be replied not found"),
        Refused(400, "Bad Request: message thread not found"),
    ]
    message = MESSAGE
    for refusal in steps:
        [message] = weaker(message, refusal)

    plain = Outgoing(chat="-5", text="b")
    assert message == plain
    assert [weaker(plain, refusal) for refusal in steps] == [(), (), ()]


@pytest.mark.parametrize(
    "refusal",
    [
        Refused(403, "Forbidden: entity of evil"),
        Refused(413, "Request Entity Too Large"),
        Refused(400, "Bad Request: chat not found"),
    ],
)
def test_other_refusals_are_not_sent_again(refusal):
    assert weaker(MESSAGE, refusal) == ()


def test_slow_chats_are_forgotten_after_ten_seconds():
    throttles = Throttles()

    scopes = [throttles.scope(chat, now_s=at) for chat, at in [("1", 0), ("2", 5), ("3", 10.5)]]

    assert scopes == ["address", "address", "address"]
    assert throttles.scope("4", now_s=11) == "account"


def test_a_connection_is_refused_only_for_the_account():
    assert type(connect_error(Refused(401, "Unauthorized"))) is DeliveryRefused
    assert type(connect_error(Refused(403, "Forbidden"))) is DeliveryLater
    assert type(connect_error(NoAnswer("?", was_written=True))) is DeliveryLater


def test_connecting_too_often_waits_as_long_as_telegram_says():
    later = connect_error(Refused(429, "Too Many Requests", retry_after_s=9))

    assert isinstance(later, DeliveryLater)
    assert later.retry_after_s == 9
