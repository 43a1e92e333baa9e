"""What may be set for a channel of Twilio."""

from typing import Any

import pytest
from pydantic import ValidationError

from channels.twilio.settings import SmsSettings, WhatsAppSettings

SID = "AC" + "0" * 32
GOOD: dict[str, Any] = {"account_sid": SID, "auth_token": "a-secret", "from": "+15550001111"}


def test_an_account_and_a_number_are_enough() -> None:
    settings = SmsSettings.model_validate(GOOD)

    assert settings.base_url == "https://api.twilio.com"
    assert (settings.part_chars, settings.max_parts, settings.validity_s) == (480, 3, 3600)
    assert "a-secret" not in repr(settings)


@pytest.mark.parametrize(
    "changed",
    [
        {"account_sid": "AC1"},
        {"account_sid": "SK" + "0" * 32},
        {"auth_token": ""},
        {"from": "15550001111"},
        {"from": "whatsapp:+15550001111"},
        {"from": None},
        {"messaging_service_sid": "MG1"},
        {"api_url": "ftp://x"},
        {"validity_s": 0},
        {"validity_s": 36001},
        {"part_chars": 69},
        {"part_chars": 1601},
        {"max_parts": 0},
        {"sender": "+15550001111"},
        {"template_sid": "HX" + "0" * 32},
    ],
    ids=str,
)
def test_what_twilio_would_not_take_is_refused_at_once(changed) -> None:
    with pytest.raises(ValidationError) as caught:
        SmsSettings.model_validate({**GOOD, **changed})

    assert "a-secret" not in str(caught.value)


def test_whatsapp_knows_a_template_and_no_parts() -> None:
    template = "HX" + "0" * 32
    settings = WhatsAppSettings.model_validate({**GOOD, "template_sid": template})

    assert settings.template_sid == template
    with pytest.raises(ValidationError):
        WhatsAppSettings.model_validate({**GOOD, "max_parts": 3})
