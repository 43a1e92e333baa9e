"""Sending: what a create says, the window of WhatsApp, and what goes out in a simpler form."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from structlog.testing import capture_logs

from channels.twilio import transport
from gateway.contract import Address, Attachment
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, StoreError
from gateway.testing import Drop, Hang, HtmlError
from gateway.testing.conformance.texts import AWKWARD
from gateway.testing.twilio.faults import TwilioError, wrong_credentials
from gateway.testing.twilio.pace import SegmentRate
from tests.channels.twilio.running import PERSON, POOL, clean, connected, fake

PICTURE = Attachment("image", "file_1", "cat.jpg", "image/jpeg")
TEMPLATE = "HX" + "d" * 32


@pytest.mark.proves("TW-30", "TW-32", "TW-36")
async def test_tw_30_a_create_says_all_that_twilio_needs_and_nothing_else() -> None:
    async with connected() as running:
        with clean(running):
            sid = await running.send("Hello", delivery_id="dlv_1/ä")

        [call] = running.twilio.calls_of("CreateMessage")
        callback = urlsplit(call.get("StatusCallback"))
        assert {name: call.get(name) for name in call.fields if name != "StatusCallback"} == {
            "To": PERSON,
            "From": running.twilio.number,
            "Body": "Hello",
            "ValidityPeriod": "3600",
        }
        assert callback._replace(query="").geturl() == f"{running.hook}/status"
        assert parse_qs(callback.query) == {"delivery": ["dlv_1/ä"]}
        assert sid == running.twilio.sent()[0].sid


@pytest.mark.proves("TW-30")
async def test_tw_30_a_messaging_service_sends_in_place_of_a_number() -> None:
    async with connected(**POOL) as running:
        with clean(running):
            await running.send("Hello")

        [call] = running.twilio.calls_of("CreateMessage")
        assert (call.get("MessagingServiceSid"), call.has("From")) == (
            POOL["messaging_service_sid"],
            False,
        )


@pytest.mark.proves("TW-30", "TW-11")
async def test_tw_30_whatsapp_puts_its_name_before_both_numbers() -> None:
    async with connected(kind="whatsapp") as running:
        running.hear_now()
        with clean(running):
            await running.send("**Hello**")

        [call] = running.twilio.calls_of("CreateMessage")
        assert (call.to, call.get("From")) == (f"whatsapp:{PERSON}", running.twilio.whatsapp)
        assert call.get("Body") == "*Hello*"


@pytest.mark.proves("TW-32")
async def test_tw_32_a_chat_reply_is_worth_an_hour_or_what_is_set() -> None:
    async with connected(validity_s=120) as running:
        await running.send("Hello")
        assert running.twilio.calls_of("CreateMessage")[0].get("ValidityPeriod") == "120"


@pytest.mark.proves("TW-32")
async def test_tw_32_a_number_has_the_pace_of_a_long_code() -> None:
    async with connected() as running:
        assert running.channel.capabilities.pace.account_per_s == 1


@pytest.mark.proves("TW-32")
async def test_tw_32_a_queue_that_is_full_waits_five_minutes() -> None:
    rate = SegmentRate(per_s=0.1, queue_s=15)
    async with connected(fake(rate=rate)) as running:
        await running.send("Hello", delivery_id="dlv_0")
        await running.send("Hello", delivery_id="dlv_1")
        with pytest.raises(DeliveryLater) as caught:
            await running.send("Hello", delivery_id="dlv_2")

    assert (caught.value.retry_after_s, caught.value.scope) == (300, "account")


@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
@pytest.mark.proves("TW-30", "C-11")
async def test_tw_30_everything_we_render_is_taken_by_the_platform(kind) -> None:
    async with connected(kind=kind) as running:
        running.hear_now()
        with clean(running):
            for text in AWKWARD.values():
                for part in running.parts(text):
                    await running.channel.deliver(running.address(), part, delivery_id="dlv_1")


@pytest.mark.parametrize(
    "chat", ["", "someone", "15557654321", "whatsapp:+15557654321", "+1555", "+15557654321\n"]
)
async def test_what_is_no_number_is_refused_here(chat) -> None:
    async with connected() as running:
        [part] = running.parts("Hello")
        with pytest.raises(DeliveryRefused) as caught:
            await running.channel.deliver(Address("sms", chat), part, delivery_id="dlv_1")

        assert caught.value.scope == "address"
        assert running.twilio.calls_of("CreateMessage") == []


# ---------------------------------------------------------------- the window of WhatsApp


@pytest.mark.proves("TW-37")
async def test_tw_37_free_text_goes_within_24_hours_of_the_last_message() -> None:
    async with connected(kind="whatsapp", template_sid=TEMPLATE) as running:
        running.host.heard[running.address()] = datetime.now(UTC) - timedelta(hours=23, minutes=59)
        await running.send("Hello")
        assert running.twilio.calls_of("CreateMessage")[0].get("Body") == "Hello"


@pytest.mark.proves("TW-37")
@pytest.mark.parametrize("ago_h", [24, 1000, None])
async def test_tw_37_later_it_is_refused_early_with_a_reason(ago_h) -> None:
    async with connected(kind="whatsapp") as running:
        if ago_h is not None:
            running.host.heard[running.address()] = datetime.now(UTC) - timedelta(hours=ago_h)
        with pytest.raises(DeliveryRefused) as caught:
            await running.send("Hello")

        assert (caught.value.code, caught.value.scope) == ("outside_window", "part")
        assert "24 hours" in str(caught.value)
        assert running.twilio.calls_of("CreateMessage") == []


@pytest.mark.proves("TW-37", "TW-30")
async def test_tw_37_or_it_goes_inside_the_approved_template() -> None:
    async with connected(kind="whatsapp", template_sid=TEMPLATE) as running:
        with clean(running):
            await running.send("Your parcel\n\nis **here**. " + "x " * 700)

        [call] = running.twilio.calls_of("CreateMessage")
        variables = json.loads(call.get("ContentVariables"))
        assert (call.get("ContentSid"), call.has("Body")) == (TEMPLATE, False)
        assert variables["1"].startswith("Your parcel is *here*. x")
        assert len(variables["1"]) <= 900


@pytest.mark.proves("TW-37")
async def test_tw_37_sms_knows_no_window() -> None:
    async with connected() as running:
        await running.send("Hello")
        assert len(running.twilio.sent()) == 1


async def test_a_store_that_cannot_tell_the_window_is_asked_again_later() -> None:
    async with connected(kind="whatsapp") as running:

        async def away(account: str, address: Address) -> None:
            raise StoreError("the store is away")

        running.host.heard_at = away  # type: ignore[method-assign]  # a store that is away
        with pytest.raises(DeliveryLater):
            await running.send("Hello")


# ---------------------------------------------------------------- simpler forms


async def test_a_text_that_is_too_long_goes_in_two_halves() -> None:
    async with connected() as running:
        running.twilio.fail("CreateMessage", TwilioError(21617))
        sid = await running.send("One two three. " * 10)

        bodies = [message.body for message in running.twilio.sent()]
        assert " ".join(bodies) == ("One two three. " * 10).strip()
        assert sid == running.twilio.sent()[-1].sid


async def test_a_second_half_that_fails_leaves_a_doubt_for_a_person() -> None:
    async with connected() as running:
        running.twilio.fail("CreateMessage", TwilioError(21617))
        running.twilio.fail(
            "CreateMessage", TwilioError(20429), when=lambda call: "second" in call.get("Body")
        )
        with pytest.raises(DeliveryUnknown):
            await running.send("This is the first half. And the second half.")


@pytest.mark.parametrize("code", [21620, 21623])
async def test_a_file_twilio_does_not_take_is_left_out(code) -> None:
    async with connected() as running:
        running.twilio.fail("CreateMessage", TwilioError(code))
        await running.send("Here it is", PICTURE)

        [message] = running.twilio.sent()
        assert (message.body, message.media_urls) == ("Here it is", ())


async def test_a_file_alone_that_is_not_taken_is_refused() -> None:
    async with connected() as running:
        running.twilio.fail("CreateMessage", TwilioError(21620))
        with pytest.raises(DeliveryRefused):
            await running.send("", PICTURE)


# ---------------------------------------------------------------- the connection


async def test_an_answer_that_takes_too_long_is_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_S", 0.1)
    async with connected() as running:
        running.twilio.fail("CreateMessage", Hang(accepted=True))
        with pytest.raises(DeliveryUnknown):
            await running.send("Hello")


async def test_an_account_that_is_suspended_refuses_the_account() -> None:
    twilio = fake()
    twilio._api._resources._account_document = lambda: {  # type: ignore[method-assign]  # a suspended one
        "sid": twilio.account_sid,
        "status": "suspended",
    }
    twilio._api.spec = None
    with pytest.raises(DeliveryRefused) as caught:
        async with connected(twilio):
            pass

    assert caught.value.scope == "account"


@pytest.mark.proves("C-10")
@pytest.mark.parametrize("kind", ["sms", "whatsapp"])
async def test_c_10_no_secret_stands_in_any_line_of_the_log(kind, caplog) -> None:
    twilio = fake()
    asyncio.get_running_loop().set_debug(True)
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        async with connected(twilio, kind=kind, hears=True, delete_media=True) as running:
            running.hear_now()
            post = twilio.post_sms if kind == "sms" else twilio.post_whatsapp
            post(PERSON, "Hello")
            post("+15550006666", "STOP")
            for fault in (wrong_credentials(), Drop(), HtmlError(), TwilioError(21610)):
                twilio.fail("CreateMessage", fault)
                with pytest.raises(Exception):  # noqa: B017 - whatever it is, it must hide secrets
                    await running.send("Hello")
            await running.send("Hello", PICTURE) if kind == "sms" else await running.send("Hello")
            await twilio.wait_until_quiet()
            await running.channel.probe()
            await running.channel.find_sent(running.query("Hello", since=datetime.now(UTC)))
            async with running.client.post(running.hook, data={"a": "b"}) as answer:
                assert answer.status == 403
            states = repr(running.host.states)

    ours = [record for record in caplog.records if not record.name.startswith("asyncio")]
    told = [record.getMessage() for record in ours] + [repr(logs), states]
    for secret in (twilio.auth_token, twilio.account_sid):
        assert [text for text in told if secret in text] == []


@pytest.mark.proves("C-10")
def test_c_10_the_library_is_kept_quiet() -> None:
    assert logging.getLogger("twilio").level == logging.WARNING
