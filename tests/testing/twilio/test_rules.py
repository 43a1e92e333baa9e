"""What the fake Twilio refuses, in Twilio's words, and how it counts segments."""

import pytest

from gateway.testing import SegmentRate, TwilioServer
from gateway.testing.twilio.pace import SegmentPace
from gateway.testing.twilio.segments import segment_count
from tests.testing.twilio.client import ADA, plain

WHATSAPP_ADA = f"whatsapp:{ADA}"
TEMPLATE = "HX" + "a" * 32


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": None}, 21604),
        ({"To": "5551234567"}, 21211),
        ({"To": "+0123456789"}, 21211),
        ({"To": WHATSAPP_ADA}, 21910),
        ({"To": "whatsapp:5551234567"}, 21211),
        ({"From": None}, 21603),
        ({"From": "nobody"}, 21212),
        ({"From": "+15559999999"}, 21606),
        ({"To": WHATSAPP_ADA, "From": "whatsapp:+15559999999"}, 63007),
        ({"From": None, "MessagingServiceSid": "MG" + "b" * 32}, 21701),
        ({"Body": None}, 21602),
        ({"Body": "a" * 1601}, 21617),
        ({"ContentSid": TEMPLATE}, 20001),
        ({"ContentSid": "HX1", "Body": None}, 21655),
        ({"ContentVariables": "{}"}, 21656),
        ({"ContentSid": TEMPLATE, "Body": None, "ContentVariables": "[1]"}, 21656),
        ({"MediaUrl": "/cat.png"}, 21620),
        ({"MediaUrl": ["https://a.example/cat.png"] * 11}, 21623),
        ({"StatusCallback": "/status"}, 21609),
        ({"StatusCallback": "https://my_bot.example/status"}, 21609),
        ({"ValidityPeriod": "0"}, 20001),
        ({"ValidityPeriod": "36001"}, 20001),
        ({"SendAt": "2026-11-22T00:00:00Z"}, 20001),
        ({"SendAt": "2026-11-22T00:00:00Z", "ScheduleType": "fixed"}, 20001),
    ],
)
async def test_a_call_that_breaks_a_rule_is_refused(fields, code):
    async with TwilioServer() as twilio, plain(twilio) as client:
        status, answer = await client.create(**fields)

    assert (answer["code"], answer["status"]) == (code, status)
    assert answer["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert set(answer) == {"code", "message", "more_info", "status"}
    assert twilio.sent() == []
    assert twilio.calls[0].error_code == code


async def test_broken_rules_are_problems_and_the_state_of_the_account_is_none():
    async with TwilioServer() as twilio, plain(twilio) as client:
        await client.create(Body="a" * 1601)
        await client.create(From="+15559999999")

    assert twilio.problems == [
        "CreateMessage: 21617 The concatenated message body exceeds the 1600 character limit"
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"Body": "a" * 1600, "ValidityPeriod": "3600"},
        {"MediaUrl": ["https://a.example/1.png", "https://a.example/2.png"], "Body": None},
        {"ContentSid": TEMPLATE, "Body": None, "ContentVariables": '{"1":"Ada"}'},
        {"StatusCallback": "https://bot.example:8443/twilio/status?part=out-1"},
    ],
)
async def test_calls_that_keep_the_rules_are_taken(fields):
    async with TwilioServer() as twilio, plain(twilio) as client:
        status, answer = await client.create(**fields)

    assert status == 201
    assert twilio.sent(ADA)[0].sid == answer["sid"]
    assert twilio.problems == []


async def test_a_message_with_files_is_an_mms():
    async with TwilioServer() as twilio, plain(twilio) as client:
        _, answer = await client.create(MediaUrl=["https://a.example/1.png"])

    assert (answer["sid"][:2], answer["num_media"]) == ("MM", "1")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("[" * 80, 1),
        ("[" * 81, 2),
        ("a" * 152 + "[" + "a" * 152, 3),
        ("ł" * 70, 1),
        ("ł" * 134, 2),
        ("ł" * 135, 3),
        ("😀" * 36, 2),
        ("ł" * 66 + "😀" + "ł" * 66, 3),
    ],
)
async def test_segments_are_counted_as_a_carrier_does(text, count):
    assert segment_count(text) == count


async def test_num_segments_is_told_for_a_number_and_withheld_for_a_service():
    async with TwilioServer() as twilio, plain(twilio) as client:
        _, by_number = await client.create(Body="ł" * 71)
        service = {"From": None, "MessagingServiceSid": twilio.service_sid}
        _, by_service = await client.create(Body="ł" * 71, **service)
        await twilio.wait_until_quiet()
        _, later = await client.ask("GET", f"/Messages/{by_service['sid']}.json")

    assert (by_number["num_segments"], by_number["status"]) == ("2", "queued")
    assert (by_service["num_segments"], by_service["status"]) == ("0", "accepted")
    assert (later["num_segments"], later["from"]) == ("2", twilio.number)


async def test_no_token_another_token_and_another_account_are_refused():
    async with TwilioServer() as twilio:
        async with plain(twilio, password="wrong") as stranger:
            wrong = await stranger.ask("GET", ".json")
            stranger.session.headers.pop("Authorization")
            missing = await stranger.ask("GET", ".json")
        async with plain(twilio) as client:
            client.base = client.base.replace(twilio.account_sid, "AC" + "1" * 32)
            other = await client.ask("GET", "/Messages.json")

    assert [(status, answer["code"]) for status, answer in (wrong, missing, other)] == [
        (401, 20003),
        (401, 20003),
        (404, 20404),
    ]


async def test_a_service_without_a_sender_of_that_kind_is_refused():
    services = {"MG" + "c" * 32: ("+15550100009",)}
    by_service = {"From": None, "MessagingServiceSid": "MG" + "c" * 32}

    async with TwilioServer(services=services) as twilio, plain(twilio) as client:
        sms, _ = await client.create(**by_service)
        status, answer = await client.create(To=WHATSAPP_ADA, **by_service)

    assert (sms, status, answer["code"]) == (201, 400, 21703)


@pytest.mark.parametrize(
    "header", ["Bearer abc", "Basic abc", "Basic !", ""], ids=["bearer", "half", "odd", "empty"]
)
async def test_what_is_no_basic_authorization_is_refused(header):
    async with TwilioServer() as twilio, plain(twilio) as client:
        client.session.headers["Authorization"] = header
        status, answer = await client.ask("GET", ".json")

    assert (status, answer["code"]) == (401, 20003)


@pytest.mark.parametrize("path", ["/Messages/SM{}.json", "/Messages/SM{}/Media.json"])
async def test_a_message_that_does_not_exist_is_not_found(path):
    async with TwilioServer() as twilio, plain(twilio) as client:
        status, answer = await client.ask("GET", path.format("1" * 32))

    assert (status, answer["code"]) == (404, 20404)


async def test_a_file_that_does_not_exist_is_not_found():
    async with TwilioServer() as twilio, plain(twilio) as client:
        message = twilio.post_sms(ADA, "no cat")
        path = f"/Messages/{message.sid}/Media/ME{'1' * 32}.json"
        status, answer = await client.ask("GET", path)

    assert (status, answer["code"]) == (404, 20404)


async def test_a_body_that_is_no_form_lacks_everything():
    async with TwilioServer() as twilio, plain(twilio) as client:
        status, answer = await client.ask("POST", "/Messages.json", json={"To": ADA})

    assert (status, answer["code"]) == (400, 21604)


@pytest.mark.parametrize(
    ("method", "path", "fields"),
    [
        ("POST", "/Messages.json", {"To": ADA, "From": "+15550100001", "Body": "a", "body": "a"}),
        ("GET", "/Messages.json", {"DateSentAfter": "2026-11-21"}),
        ("GET", ".json", {"Details": "all"}),
    ],
    ids=["create", "list", "account"],
)
async def test_a_field_the_operation_does_not_have_is_refused(method, path, fields):
    place = "data" if method == "POST" else "params"

    async with TwilioServer() as twilio, plain(twilio) as client:
        status, answer = await client.ask(method, path, **{place: fields})

    assert (status, answer["code"]) == (400, 20001)
    assert "there is no field" in twilio.problems[0]


async def test_an_address_that_does_not_exist_is_a_problem():
    async with TwilioServer() as twilio, plain(twilio) as client:
        unknown = await client.ask("GET", "/Mesages.json")
        method = await client.ask("DELETE", "/Messages.json")

    assert [answer["code"] for _, answer in (unknown, method)] == [20404, 20004]
    assert len(twilio.problems) == 2


async def test_what_comes_faster_than_a_segment_a_second_is_early():
    async with TwilioServer(rate=SegmentRate()) as twilio, plain(twilio) as client:
        await client.create(Body="a" * 161)
        await client.create()

    assert len(twilio.sent()) == 2
    assert twilio.early[0].startswith(f"a message from {twilio.number} came 1.")


async def test_a_full_queue_is_refused():
    async with TwilioServer(rate=SegmentRate(queue_s=1.5)) as twilio, plain(twilio) as client:
        first, _ = await client.create(Body="a" * 400)
        second, answer = await client.create()

    assert (first, second, answer["code"]) == (201, 429, 21611)


def test_a_sender_that_keeps_the_pace_is_never_early():
    pace = SegmentPace(SegmentRate())

    for at, segments in ((0.0, 2), (2.0, 1), (3.0, 3), (6.0, 1)):
        pace.take("+1", segments, at=at)

    assert pace.early == []
