"""What a form of Twilio means."""

from datetime import UTC, datetime
from typing import Any

import pytest

from channels.twilio.api import Listed, Medium
from channels.twilio.forms import Form
from channels.twilio.parse import Ignored, form_of, inbound
from channels.twilio.settings import Line, Platform, SmsSettings
from gateway.contract import (
    ActionPressed,
    Address,
    Attachment,
    ConsentChanged,
    InboundMessage,
    Sender,
)
from gateway.testing.twilio.endpoint import FAKE_ACCOUNT, FAKE_SERVICE, NUMBER

PERSON = "+15557654321"
SID = "SM" + "a" * 32
MEDIA = "ME" + "b" * 32
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STOP = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]
START = ["START", "YES", "UNSTOP"]
HELP = ["HELP", "INFO"]


def line(platform: Platform = "sms", **settings: Any) -> Line:
    values = {"account_sid": FAKE_ACCOUNT, "auth_token": "t", **(settings or {"from": NUMBER})}
    return Line.of(SmsSettings.model_validate(values), channel="sms", platform=platform)


def form(platform: Platform = "sms", **fields: str) -> Form:
    prefix = "" if platform == "sms" else "whatsapp:"
    usual = {
        "MessageSid": SID,
        "AccountSid": FAKE_ACCOUNT,
        "From": prefix + PERSON,
        "To": prefix + NUMBER,
        "Body": "Hello",
        "NumMedia": "0",
        "ApiVersion": "2010-04-01",
    }
    return Form({**usual, **fields})


def read(platform: Platform = "sms", **fields: str) -> Any:
    return inbound(form(platform, **fields), line(platform), received_at=NOW)


@pytest.mark.proves("TW-1")
def test_tw_1_a_message_tells_who_wrote_what_where() -> None:
    message = read(FromCountry="US", SomethingNew="1")

    assert message == InboundMessage(
        account=FAKE_ACCOUNT,
        external_id=SID,
        digest=message.digest,
        received_at=NOW,
        address=Address("sms", PERSON),
        sender=Sender("sms", PERSON),
        text="Hello",
        message_ref=SID,
    )
    assert len(message.digest) == 32


@pytest.mark.proves("TW-1")
def test_tw_1_a_person_on_whatsapp_has_a_name() -> None:
    message = read("whatsapp", ProfileName="Ada", WaId=PERSON[1:])

    assert message.sender == Sender("whatsapp", PERSON, "Ada")


@pytest.mark.proves("TW-1")
def test_tw_1_files_are_told_and_not_fetched() -> None:
    url = f"https://api.twilio.com/2010-04-01/Accounts/{FAKE_ACCOUNT}/Messages/{SID}/Media/{MEDIA}"
    message = read(
        Body="", NumMedia="2", MediaUrl0=url, MediaContentType0="image/JPEG", MediaUrl1="https://x/"
    )

    assert message.text == ""
    assert message.attachments == (Attachment("image", f"{SID}/{MEDIA}", mime="image/jpeg"),)


@pytest.mark.proves("TW-1")
def test_tw_1_a_button_with_a_payload_is_pressed_and_one_without_is_text() -> None:
    pressed = read("whatsapp", ButtonPayload="yes-7", ButtonText="Of course", Body="Of course")
    said = read("whatsapp", ButtonText="Of course", Body="")

    assert isinstance(pressed, ActionPressed)
    assert pressed.value == "yes-7"
    assert said.text == "Of course"


@pytest.mark.proves("TW-1")
def test_tw_1_a_shared_location_is_text() -> None:
    message = read("whatsapp", Body="", Latitude="59.91", Longitude="10.75", Label="Oslo")

    assert message.text == "Location: 59.91, 10.75 (Oslo)"


@pytest.mark.proves("TW-11")
def test_tw_11_sms_and_whatsapp_of_one_number_are_two_chats_of_two_people() -> None:
    sms, whatsapp = read(), read("whatsapp")

    assert sms.address == Address("sms", PERSON)
    assert whatsapp.address.chat == f"whatsapp:{PERSON}"
    assert (sms.sender.platform, whatsapp.sender.platform) == ("sms", "whatsapp")


@pytest.mark.proves("TW-11")
@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"From": f"whatsapp:{PERSON}"}, "other_address"),
        ({"From": "72345"}, "other_address"),
        ({"From": "AMZN"}, "other_address"),
        ({"From": ""}, "other_address"),
        ({"To": "+15550109999"}, "other_number"),
        ({"To": f"whatsapp:{NUMBER}"}, "other_number"),
        ({"AccountSid": "AC" + "9" * 32}, "other_account"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_tw_11_only_numbers_that_write_to_our_own_sender_are_heard(fields, kind) -> None:
    assert read(**fields) == Ignored(kind)


@pytest.mark.proves("TW-11")
def test_tw_11_a_messaging_service_is_one_end_whatever_its_number() -> None:
    pool = line(messaging_service_sid=FAKE_SERVICE)

    mine = form(To="+15550107777", MessagingServiceSid=FAKE_SERVICE)
    other = form(MessagingServiceSid="MG" + "9" * 32)

    assert isinstance(inbound(mine, pool, received_at=NOW), InboundMessage)
    assert inbound(other, pool, received_at=NOW) == Ignored("other_number")


@pytest.mark.proves("C-8")
def test_c_8_one_of_our_own_senders_is_never_answered() -> None:
    assert read(From=NUMBER) == Ignored("own_message")
    assert read("whatsapp", From=f"whatsapp:{NUMBER}") == Ignored("own_message")


@pytest.mark.proves("C-9")
@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"Body": "", "MessageType": "reaction"}, "empty_message"),
        ({"MessageSid": ""}, "no_message"),
        ({"MessageSid": "CA' OR 1=1"}, "no_message"),
        ({"Body": "", "NumMedia": "many"}, "empty_message"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_c_9_what_nobody_knows_is_ignored_by_its_kind(fields, kind) -> None:
    assert read(**fields) == Ignored(kind)


@pytest.mark.proves("TW-20")
@pytest.mark.parametrize(
    ("platform", "word", "meaning"),
    [("sms", word, True) for word in STOP]
    + [("sms", word, False) for word in START]
    + [("sms", word, None) for word in HELP]
    + [("whatsapp", word, True) for word in STOP]
    + [("whatsapp", word, False) for word in ("START", "UNSTOP")],
)
@pytest.mark.parametrize("spelling", [str.upper, str.lower, str.title], ids=["A", "a", "Aa"])
def test_tw_20_the_words_of_consent_count_in_any_case(platform, word, meaning, spelling) -> None:
    change = read(platform, Body=spelling(word))

    assert isinstance(change, ConsentChanged)
    assert change.is_opted_out is meaning
    assert change.text == spelling(word)


@pytest.mark.proves("TW-20")
@pytest.mark.parametrize("text", ["yes", "HELP", "Info"])
def test_tw_20_on_whatsapp_nobody_else_answers_so_the_bot_does(text) -> None:
    assert isinstance(read("whatsapp", Body=text), InboundMessage)
    change = read("whatsapp", Body=text, OptOutType="HELP")
    assert isinstance(change, ConsentChanged)


@pytest.mark.proves("TW-20")
@pytest.mark.parametrize("text", ["Please stop", "stop!", "STOP ALL", "yes please", "no", "/stop"])
def test_tw_20_other_words_are_messages(text) -> None:
    assert isinstance(read(Body=text), InboundMessage)


@pytest.mark.proves("TW-21")
@pytest.mark.parametrize(
    ("kind", "meaning"), [("STOP", True), ("START", False), ("HELP", None), ("NEW", None)]
)
def test_tw_21_what_twilio_calls_an_opt_out_is_one_in_any_words(kind, meaning) -> None:
    change = read(Body="ARRET", OptOutType=kind)

    assert isinstance(change, ConsentChanged)
    assert change.is_opted_out is meaning


@pytest.mark.proves("C-3", "TW-9")
def test_c_3_a_message_is_the_same_event_by_webhook_and_by_list() -> None:
    listed = Listed(
        sid=SID,
        direction="inbound",
        created_at=NOW,
        sender=PERSON,
        to=NUMBER,
        text="Hello",
        media_count=1,
        service=None,
    )
    url = f"https://api.twilio.com/x/Messages/{SID}/Media/{MEDIA}"
    hooked = read(NumMedia="1", MediaUrl0=url, MediaContentType0="audio/ogg")

    found = inbound(
        form_of(listed, [Medium(MEDIA, "audio/ogg")], account=FAKE_ACCOUNT),
        line(),
        received_at=NOW,
    )

    assert found == hooked


@pytest.mark.proves("C-3")
def test_c_3_other_words_under_the_same_sid_are_noticed() -> None:
    assert read().digest != read(Body="Hallo").digest
