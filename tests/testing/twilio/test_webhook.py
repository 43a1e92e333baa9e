"""Webhook deliveries of the fake Twilio: forms, retries, fallback, forgeries, answers."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from gateway.testing import MediaFile, TwilioServer
from gateway.testing.twilio.courier import Overrides
from gateway.testing.twilio.twiml import twiml_problem
from tests.testing.twilio.client import ADA, hook, plain


def failing(*statuses):
    return [web.Response(status=status) for status in statuses]


async def test_an_sms_arrives_with_twilios_fields():
    async with TwilioServer() as twilio, hook() as door:
        twilio.set_webhook(f"{door.url}/sms")
        message = twilio.post_sms(ADA, "Grüße", extra={"NewField": "x"})
        await twilio.wait_until_quiet()
    [form] = door.forms

    assert form["MessageSid"] == form["SmsSid"] == message.sid
    assert (form["From"], form["To"], form["Body"]) == (ADA, twilio.number, "Grüße")
    assert (form["NumMedia"], form["NumSegments"], form["FromZip"]) == ("0", "1", "")
    assert form["AccountSid"] == twilio.account_sid
    assert form["MessagingServiceSid"] == twilio.service_sid
    assert form["NewField"] == "x"
    assert door.requests[0].content_type == "application/x-www-form-urlencoded"
    assert twilio.unaccepted == []
    assert twilio.problems == []


async def test_a_whatsapp_message_tells_who_wrote_it():
    async with TwilioServer() as twilio, hook() as door:
        twilio.set_webhook(f"{door.url}/whatsapp")
        twilio.post_whatsapp(ADA, "hello", extra={"ButtonPayload": "yes"})
        await twilio.wait_until_quiet()
    [form] = door.forms

    assert (form["From"], form["To"]) == (f"whatsapp:{ADA}", twilio.whatsapp)
    assert (form["WaId"], form["ProfileName"]) == ("15557654321", "Ada")
    assert form["ButtonPayload"] == "yes"
    assert "FromCountry" not in form


async def test_a_failure_is_not_tried_again_unless_the_url_says_so():
    async with TwilioServer() as twilio, hook() as door:
        door.answers = failing(500, 200)
        twilio.set_webhook(f"{door.url}/sms")
        message = twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()

    assert [attempt.failure for attempt in twilio.attempts] == ["5xx"]
    assert twilio.unaccepted == [message]


async def test_retries_carry_the_same_message_and_token():
    async with TwilioServer() as twilio, hook() as door:
        door.answers = failing(500, 502, 204)
        twilio.set_webhook(f"{door.url}/sms#rc=3&rp=5xx,ct,rt")
        twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()

    assert [attempt.status for attempt in twilio.attempts] == [500, 502, 204]
    assert door.forms[0] == door.forms[1] == door.forms[2]
    assert len(set(door.tokens)) == 1
    assert {request.raw_path for request in door.requests} == {"/sms"}
    assert twilio.unaccepted == []


@pytest.mark.parametrize(
    ("fragment", "statuses", "tries"),
    [
        ("#rp=5xx", (500, 500, 500), 2),
        ("#rc=0&rp=all", (500,), 1),
        ("#rc=2&rp=4xx", (404, 404, 404), 3),
        ("#rc=2&rp=4xx", (500,), 1),
        ("#rc=9&rp=all", (500,) * 6, 6),
        ("#rc=2", (500,), 1),
    ],
)
async def test_the_fragment_tells_how_often_and_after_what(fragment, statuses, tries):
    async with TwilioServer() as twilio, hook() as door:
        door.answers = failing(*statuses)
        twilio.set_webhook(f"{door.url}/sms{fragment}")
        twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()

    assert [attempt.status for attempt in twilio.attempts] == list(statuses[:tries])


async def test_a_refused_connection_is_tried_once_more():
    async with TwilioServer() as twilio:
        twilio.set_webhook(f"http://127.0.0.1:{unused_port()}/sms")
        twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()

    assert [attempt.failure for attempt in twilio.attempts] == ["ct", "ct"]


async def test_an_answer_that_takes_too_long_is_a_failure():
    async with TwilioServer() as twilio, hook() as door:
        door.gate.clear()
        twilio.set_webhook(f"{door.url}/sms#rt=100&rp=ct")
        twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()

    assert [(attempt.failure, attempt.status) for attempt in twilio.attempts] == [("rt", None)]


async def test_no_try_begins_after_the_total_time():
    async with TwilioServer(scale=0.01) as twilio, hook() as door:
        door.gate.clear()
        twilio.set_webhook(f"{door.url}/sms#rc=5&rp=all&tt=10000")
        twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()

    assert [attempt.failure for attempt in twilio.attempts] == ["rt"]


async def test_a_connection_that_is_cut_is_a_missing_answer():
    async with TwilioServer() as twilio, hook() as door:
        door.cuts = 1
        twilio.set_webhook(f"{door.url}/sms#rc=1&rp=rt")
        twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()

    assert [attempt.failure for attempt in twilio.attempts] == ["rt", None]
    assert twilio.unaccepted == []


async def test_the_fallback_url_is_called_with_the_reason():
    async with TwilioServer() as twilio, hook() as door:
        door.answers = failing(500)
        twilio.set_webhook(f"{door.url}/sms", fallback=f"{door.url}/again?x=1")
        message = twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()

    assert [request.raw_path for request in door.requests] == ["/sms", "/again?x=1"]
    assert door.forms[1]["MessageSid"] == message.sid
    assert door.forms[1]["ErrorCode"] == "11200"
    assert door.forms[1]["ErrorUrl"] == f"{door.url}/sms"
    assert twilio.unaccepted == []


async def test_copies_have_the_same_sid():
    async with TwilioServer() as twilio, hook() as door:
        twilio.set_webhook(f"{door.url}/sms")
        message = twilio.post_sms(ADA, "hello")
        twilio.post_again(message, times=2)
        await twilio.wait_until_quiet()
        attempts = await twilio.post_to_webhook(message, times=3)

    assert {form["MessageSid"] for form in door.forms} == {message.sid}
    assert len(door.forms) == 6
    assert all(attempt.is_success for attempt in attempts)


@pytest.mark.parametrize("signed", ["wrong", "missing"])
async def test_forgeries_carry_a_wrong_signature_or_none(signed):
    async with TwilioServer() as twilio, hook() as door:
        twilio.set_webhook(f"{door.url}/sms")
        message = twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()
        await twilio.post_to_webhook(message, signed=signed)

    right, forged = door.signature(0), door.signature(1)
    assert right is not None
    assert forged != right
    assert (forged is None) == (signed == "missing")


async def test_a_rotated_key_signs_and_the_old_token_still_opens_the_api():
    async with TwilioServer() as twilio, hook() as door, plain(twilio) as client:
        twilio.set_webhook(f"{door.url}/sms")
        message = twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()
        twilio.rotate_key("the next token")
        await twilio.post_to_webhook(message)
        status, _ = await client.create()

    assert door.signature(0) != door.signature(1)
    assert status == 201


async def test_a_message_without_a_webhook_is_only_listed():
    async with TwilioServer() as twilio, plain(twilio) as client:
        message = twilio.post_sms(ADA, "nobody listens")
        await twilio.wait_until_quiet()
        _, page = await client.ask("GET", "/Messages.json", params={"To": twilio.number})

    assert [found["sid"] for found in page["messages"]] == [message.sid]
    assert page["messages"][0]["date_sent"] is not None
    assert twilio.unaccepted == [message]


async def test_posting_to_no_webhook_is_a_mistake_of_the_test():
    async with TwilioServer() as twilio:
        message = twilio.post_sms(ADA, "hello")
        with pytest.raises(RuntimeError, match="no webhook"):
            await twilio.post_to_webhook(message)


async def test_an_invalid_retry_policy_is_refused():
    with pytest.raises(ValueError, match="11243"):
        TwilioServer().set_webhook("https://bot.example/sms#rp=always")


def test_time_limits_of_a_fragment_are_milliseconds_within_twilios_bounds():
    given = Overrides.of("https://bot.example/sms#ct=1&rt=99999&tt=2000")

    assert (given.connect_s, given.read_s, given.total_s) == (0.1, 15.0, 2.0)


@pytest.mark.parametrize(
    ("status", "content_type", "body", "says"),
    [
        (200, "text/xml", b"<Response></Response>", None),
        (200, "application/xml", b'<?xml version="1.0"?><Response/>', None),
        (204, "application/octet-stream", b"", None),
        (201, "text/xml", b"<Response/>", "201"),
        (200, "application/json", b"{}", "12300"),
        (200, "text/xml", b"", "12100"),
        (200, "text/xml", b"<Response>", "12100"),
        (200, "text/xml", b"<html/>", "12102"),
    ],
)
def test_answers_are_judged_as_twiml(status, content_type, body, says):
    problem = twiml_problem(status, content_type, body)

    assert (problem is None) if says is None else says in str(problem)


async def test_a_wrong_answer_is_a_problem_and_one_that_speaks_is_noted():
    async with TwilioServer() as twilio, hook() as door:
        door.answers = [
            web.Response(text="OK"),
            web.Response(
                text="<Response><Message>Hi</Message></Response>", content_type="text/xml"
            ),
        ]
        twilio.set_webhook(f"{door.url}/sms")
        message = twilio.post_sms(ADA, "hello")
        await twilio.wait_until_quiet()
        await twilio.post_to_webhook(message)

    assert len(twilio.problems) == 1
    assert "12300" in twilio.problems[0]
    assert [attempt.says for attempt in twilio.attempts] == [(), ("Message: Hi",)]


async def test_media_is_downloaded_with_the_token_and_from_another_host_without():
    async with TwilioServer() as twilio, hook() as door, plain(twilio) as client:
        twilio.set_webhook(f"{door.url}/sms")
        twilio.post_sms(ADA, "my cat", media=[MediaFile(b"\x89PNG", "image/png")])
        await twilio.wait_until_quiet()
        url = door.forms[0]["MediaUrl0"]
        async with client.session.get(url) as response:
            content, origin = await response.read(), response.url.origin()
        api_url = twilio.api_url
        async with aiohttp.ClientSession() as stranger, stranger.get(url) as refused:
            status = refused.status

    assert (content, door.forms[0]["MediaContentType0"]) == (b"\x89PNG", "image/png")
    assert door.forms[0]["MessageSid"].startswith("MM")
    assert str(origin) != api_url
    assert status == 401
    assert twilio.problems == []


async def test_credentials_that_reach_the_storage_host_are_a_problem():
    async with TwilioServer() as twilio, plain(twilio) as client:
        message = twilio.post_sms(ADA, "my cat", media=[MediaFile(b"\x89PNG")])
        path = f"/Messages/{message.sid}/Media/{message.media[0].sid}"
        async with client.session.get(client.base + path, allow_redirects=False) as response:
            target = response.headers["Location"]
        async with client.session.get(target) as response:
            await response.read()

    assert len(twilio.problems) == 1
    assert "credentials were sent on" in twilio.problems[0]
