"""Settings that cannot work are refused at start, in words that name no secret."""

import pytest
from pydantic import ValidationError

from channels.telegram.settings import TelegramSettings

TOKEN = "123:abc"


def test_a_token_is_enough():
    settings = TelegramSettings.model_validate({"token": TOKEN})

    assert settings.receive == "polling"
    assert settings.groups == "mention"
    assert settings.base_url == "https://api.telegram.org"
    assert not settings.link_previews
    assert not settings.rich_messages


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"token": ""},
        {"token": "12/../34"},
        {"token": TOKEN, "receive": "webhook"},
        {"token": TOKEN, "receive": "webhook", "webhook_secret": ""},
        {"token": TOKEN, "webhook_secret": "with space"},
        {"token": TOKEN, "webhook_secret": "x" * 257},
        {"token": TOKEN, "receive": "carrier pigeon"},
        {"token": TOKEN, "api_url": "api.telegram.org"},
        {"token": TOKEN, "api_url": "https://x.example/?a=b"},
        {"token": TOKEN, "groups": "some"},
        {"token": TOKEN, "tokem": "x"},
    ],
)
def test_what_cannot_work_is_refused(values):
    with pytest.raises(ValidationError):
        TelegramSettings.model_validate(values)


def test_a_refusal_names_no_secret():
    with pytest.raises(ValidationError) as refused:
        TelegramSettings.model_validate({"token": "se cret", "webhook_secret": "also secret"})

    assert "secret'" not in str(refused.value)
    assert "se cret" not in str(refused.value)


def test_an_address_may_end_in_a_slash():
    settings = TelegramSettings.model_validate({"token": TOKEN, "api_url": "http://127.0.0.1:81/"})

    assert settings.base_url == "http://127.0.0.1:81"
