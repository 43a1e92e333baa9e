"""Twilio's own package takes the fake for the real service.

Where Twilio's OpenAPI description is at hand, it judges the package's calls and the fake's answers.
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator, get_signature_algorithm
from twilio.rest import Client

from gateway.testing import (
    Drop,
    HtmlError,
    MediaFile,
    SharedKey,
    TwilioError,
    TwilioServer,
    opted_out,
    too_many_concurrent,
    wrong_credentials,
)
from tests.testing.twilio.client import ADA, hook, sdk_of, spec_file_if_any


@pytest.fixture
async def twilio():
    async with TwilioServer(spec=spec_file_if_any()) as server:
        yield server


async def test_a_message_is_created_fetched_and_deleted(twilio):
    async with sdk_of(twilio) as client:
        made = await client.messages.create_async(to=ADA, from_=twilio.number, body="Hi")
        await twilio.wait_until_quiet()
        fetched = await client.messages(made.sid).fetch_async()
        deleted = await client.messages(made.sid).delete_async()

    assert (made.status, made.num_segments, made.direction) == ("queued", "1", "outbound-api")
    assert (fetched.status, fetched.body, fetched.from_) == ("delivered", "Hi", twilio.number)
    assert deleted
    assert twilio.sent() == twilio.problems == []


async def test_a_message_of_a_service_is_accepted_without_sender_and_segments(twilio):
    async with sdk_of(twilio) as client:
        made = await client.messages.create_async(
            to=ADA, messaging_service_sid=twilio.service_sid, body="Hi", validity_period=3600
        )

    assert (made.status, made.num_segments, made.from_) == ("accepted", "0", None)
    assert twilio.sent(ADA)[0].sender == twilio.number
    assert twilio.problems == []


async def test_lists_are_read_page_by_page(twilio):
    async with sdk_of(twilio) as client:
        for number in range(5):
            await client.messages.create_async(to=ADA, from_=twilio.number, body=str(number))
        await client.messages.create_async(to="+15550009999", from_=twilio.number, body="other")
        yesterday = datetime.now(UTC) - timedelta(days=1)
        found = await client.messages.list_async(to=ADA, page_size=2, date_sent_after=yesterday)
        before = await client.messages.list_async(to=ADA, date_sent_before=yesterday)

    assert [message.body for message in found] == ["4", "3", "2", "1", "0"]
    assert before == []
    assert len(twilio.calls_of("ListMessage")) == 4
    assert twilio.problems == []


async def test_inbound_messages_and_their_media_can_be_read(twilio):
    posted = twilio.post_sms(ADA, "my cat", media=[MediaFile(b"\x89PNG", "image/png")])

    async with sdk_of(twilio) as client:
        [found] = await client.messages.list_async(to=twilio.number)
        [media] = await client.messages(found.sid).media.list_async()
        await client.messages(found.sid).media(media.sid).delete_async()
        rest = await client.messages(found.sid).media.list_async()
        account = await client.api.accounts(twilio.account_sid).fetch_async()

    assert (found.sid, found.direction, found.status) == (posted.sid, "inbound", "received")
    assert (media.content_type, rest) == ("image/png", [])
    assert account.status == "active"
    assert twilio.problems == []


async def test_a_message_in_the_queue_can_be_canceled_once(twilio):
    send_at = datetime.now(UTC) + timedelta(hours=1)

    async with sdk_of(twilio) as client:
        made = await client.messages.create_async(
            to=ADA,
            messaging_service_sid=twilio.service_sid,
            body="later",
            schedule_type="fixed",
            send_at=send_at,
        )
        canceled = await client.messages(made.sid).update_async(status="canceled")
        with pytest.raises(TwilioRestException) as refusal:
            await client.messages(made.sid).update_async(status="canceled")

    assert (made.status, canceled.status) == ("scheduled", "canceled")
    assert refusal.value.code == 30409


async def test_an_api_key_opens_the_account():
    keys = {"SK" + "1" * 32: "its secret"}

    async with (
        TwilioServer(api_keys=keys) as twilio,
        sdk_of(twilio, user="SK" + "1" * 32, password="its secret") as client,
    ):
        account = await client.api.accounts(twilio.account_sid).fetch_async()

    assert account.sid == twilio.account_sid


async def test_a_wrong_token_is_refused(twilio):
    async with sdk_of(twilio, password="wrong") as client:
        with pytest.raises(TwilioRestException) as refusal:
            await client.messages.create_async(to=ADA, from_=twilio.number, body="Hi")

    assert (refusal.value.status, refusal.value.code) == (401, 20003)
    assert twilio.sent() == []


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (opted_out(), 400, 21610),
        (too_many_concurrent(), 429, 20429),
        (wrong_credentials(), 401, 20003),
        (TwilioError(21211), 400, 21211),
        (TwilioError(20500), 500, 20500),
        (HtmlError(503), 503, 503),
    ],
)
async def test_faults_raise_the_errors_of_the_package(twilio, fault, status, code):
    async with sdk_of(twilio) as client:
        twilio.fail("CreateMessage", fault)
        with pytest.raises(TwilioRestException) as refusal:
            await client.messages.create_async(to=ADA, from_=twilio.number, body="Hi")

    assert (refusal.value.status, refusal.value.code) == (status, code)
    assert twilio.sent() == []


async def test_an_answer_can_get_lost_after_the_message_was_created(twilio):
    async with sdk_of(twilio) as client:
        twilio.fail("CreateMessage", Drop())
        with pytest.raises(aiohttp.ClientError):
            await client.messages.create_async(to=ADA, from_=twilio.number, body="Hi")

    assert [message.text for message in twilio.sent(ADA)] == ["Hi"]


async def test_the_synchronous_client_works_too(twilio):
    def send() -> str:
        http = TwilioHttpClient(pool_connections=False)
        client = Client(twilio.account_sid, twilio.auth_token, http_client=http)
        client.api.base_url = twilio.api_url
        return client.messages.create(to=ADA, from_=twilio.number, body="Hi").sid

    sid = await asyncio.to_thread(send)

    assert [message.sid for message in twilio.sent()] == [sid]
    assert twilio.problems == []


@pytest.mark.parametrize("path", ["/sms", "/sms?bot=support&q=a%20b%2Fc&empty="])
async def test_webhooks_pass_the_validator_of_the_package(twilio, path):
    public = "https://bot.example.com:8443" + path
    async with hook() as door:
        twilio.set_route("https://bot.example.com:8443", door.url)
        twilio.set_webhook(f"{public}#rc=2&rp=all")
        twilio.post_sms(ADA, " blanks stay, ünïcode & = + too ", extra={"FromZip": ""})
        await twilio.wait_until_quiet()

    validator = RequestValidator(twilio.auth_token)
    assert validator.validate(public, door.forms[0], door.signature())
    assert not validator.validate(public, door.forms[0] | {"Body": "x"}, door.signature())
    assert door.requests[0].raw_path == path
    assert twilio.problems == []


async def test_webhooks_signed_by_a_shared_key_pass_the_validator():
    key = SharedKey("webhooks_sharedkey_1", "a secret of its own")
    async with TwilioServer(shared_key=key) as twilio, hook() as door:
        twilio.set_webhook(f"{door.url}/sms")
        twilio.post_whatsapp(ADA, "Hi")
        await twilio.wait_until_quiet()
    settings = door.requests[0].headers["X-Twilio-Webhooks-Signature-Settings"]

    algorithm = get_signature_algorithm(settings)
    validator = RequestValidator(key.secret)
    assert settings == "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    assert validator.validate(f"{door.url}/sms", door.forms[0], door.signature(), algorithm)


async def test_a_status_callback_is_signed_with_its_query(twilio):
    async with hook() as door, sdk_of(twilio) as client:
        url = f"{door.url}/status?part=out-1"
        await client.messages.create_async(
            to=ADA, from_=twilio.number, body="Hi", status_callback=url
        )
        await twilio.wait_until_quiet()

    validator = RequestValidator(twilio.auth_token)
    assert door.statuses == ["sending", "sent", "delivered"]
    assert validator.validate(url, door.forms[0], door.signature())
    assert door.requests[0].query["part"] == "out-1"


async def test_as_a_process_it_posts_lines_and_prints_what_is_sent():
    async with hook() as door:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "error", "-m", "gateway.testing.twilio.server"),
            *("--webhook", f"{door.url}/sms", "--person", ADA),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        process.stdin.write("Grüße\n".encode())
        await door.wait_for(1)
        async with TwilioServer() as twilio, sdk_of(twilio) as client:
            client.api.base_url = url
            await client.messages.create_async(to=ADA, from_=twilio.number, body="Selber Grüße")
        printed = (await asyncio.wait_for(process.stdout.readline(), 5)).decode()
        process.terminate()

        assert door.forms[0]["Body"] == "Grüße"
        assert '"text": "Selber Grüße"' in printed
        assert await asyncio.wait_for(process.wait(), 10) == 0
