"""Calls and answers judged by Twilio's OpenAPI description, where it is at hand."""

import pytest

from gateway.testing import MediaFile, TwilioServer
from gateway.testing.twilio.faults import ASYNC_CODES
from gateway.testing.twilio.rules import FIELDS
from gateway.testing.twilio.spec import TwilioSpec
from tests.testing.twilio.client import ADA, plain, spec_file


@pytest.fixture(scope="module")
def spec():
    return TwilioSpec.load(spec_file())


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"Loudness": "3"}, "there is no field Loudness"),
        ({"ValidityPeriod": "1.5"}, "20001"),
        ({"SmartEncoded": "perhaps"}, "SmartEncoded: 'perhaps' is not of type boolean"),
        ({"Attempt": "first"}, "Attempt: 'first' is not of type integer"),
        ({"ApplicationSid": "AP1"}, "ApplicationSid: 'AP1' does not match"),
        ({"RiskCheck": "maybe"}, "RiskCheck: 'maybe' is none of enable, disable"),
        ({"Body": ["a", "b"]}, "Body was given 2 times"),
    ],
)
async def test_calls_that_do_not_fit_are_refused_and_recorded(fields, says):
    async with TwilioServer(spec=spec_file()) as twilio, plain(twilio) as client:
        status, answer = await client.create(**fields)

    assert (status, answer["code"]) == (400, 20001)
    assert says in twilio.problems[0]
    assert twilio.sent() == []


async def test_a_lenient_fake_only_records():
    async with TwilioServer(spec=spec_file(), strict=False) as twilio, plain(twilio) as client:
        status, _ = await client.create(Loudness="3")

    assert status == 201
    assert twilio.problems == ["CreateMessage: there is no field Loudness"]


async def test_sids_in_addresses_are_judged():
    async with TwilioServer(spec=spec_file()) as twilio, plain(twilio) as client:
        status, _ = await client.ask("GET", "/Messages/SM1.json")

    assert status == 400
    assert "Sid: 'SM1' does not match" in twilio.problems[0]


async def test_every_answer_of_the_fake_fits():
    async with TwilioServer(spec=spec_file()) as twilio, plain(twilio) as client:
        inbound = twilio.post_sms(ADA, "my cat", media=[MediaFile(b"x")])
        await client.create(
            Body="hello",
            MediaUrl=["https://a.example/1.png"],
            StatusCallback="http://127.0.0.1:1/status",
            ValidityPeriod="3600",
            SmartEncoded="true",
        )
        await client.ask("GET", ".json")
        await client.ask(
            "GET", "/Messages.json", params={"PageSize": "1", "DateSent>": "2020-01-01"}
        )
        media = f"/Messages/{inbound.sid}/Media"
        await client.ask("GET", f"{media}.json")
        await client.ask("GET", f"{media}/{inbound.media[0].sid}.json")
        status, _ = await client.ask("DELETE", f"{media}/{inbound.media[0].sid}.json")

    assert status == 204
    assert twilio.problems == []


def test_an_answer_that_does_not_fit_is_found(spec):
    document: dict = {"sid": "XX", "account_sid": None, "subresource_uris": {}}

    assert "ListMessage does not answer 201" in spec.answer_problems("ListMessage", 201, {})
    problems = spec.answer_problems("ListMedia", 200, {"media_list": [document], "page": "1"})
    assert any("media_list[0].sid: 'XX' does not match" in problem for problem in problems)
    assert any("there is no field subresource_uris" in problem for problem in problems)
    assert any("page: '1' is not of type integer" in problem for problem in problems)
    assert any("next_page_uri is missing" in problem for problem in problems)


@pytest.mark.parametrize("operation", sorted(FIELDS))
def test_the_fields_known_without_a_description_are_those_it_has(spec, operation):
    assert set(spec.operations[operation].fields) == FIELDS[operation]


def test_every_status_of_a_journey_is_one_of_twilio(spec):
    known = set(spec.schemas["message_enum_status"]["enum"])

    assert {"accepted", "scheduled", "queued", "sending", "sent", "read", "failed"} <= known
    assert {"undelivered", "delivered", "canceled", "received"} <= known
    assert all(30000 <= code < 70000 for code in ASYNC_CODES)


async def test_the_file_named_by_the_environment_judges_too(monkeypatch):
    monkeypatch.setenv("BOT_GATEWAY_TWILIO_SPEC", str(spec_file()))

    assert TwilioServer().is_judged_by_spec


def test_without_a_file_only_the_rules_judge(monkeypatch):
    monkeypatch.delenv("BOT_GATEWAY_TWILIO_SPEC", raising=False)

    assert not TwilioServer().is_judged_by_spec


def test_a_file_that_is_no_description_is_refused(tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text("[]")

    with pytest.raises(ValueError, match="no OpenAPI description"):
        TwilioSpec.load(wrong)
