"""What may be set for a Slack channel, and what is said about what may not."""

import pytest
from pydantic import ValidationError

from channels.slack.settings import NEEDED_SCOPES, SlackSettings

BOT = {"bot_token": "xoxb-1-a", "signing_secret": "0123456789abcdef"}
APP = {"client_id": "1.2", "client_secret": "abcdef", "signing_secret": "0123456789abcdef"}


def made(**values):
    return SlackSettings.model_validate(values)


def test_one_workspace_over_http_needs_a_token_and_the_signing_secret():
    settings = made(**BOT)

    assert settings.receive == "events"
    assert settings.base_url == "https://slack.com/api/"
    assert (settings.dm_sessions, settings.allow_bots, settings.unfurl) == ("channel", (), False)


def test_socket_mode_needs_no_signing_secret():
    assert made(bot_token="xoxb-1", app_token="xapp-1", receive="socket").receive == "socket"


def test_all_secrets_may_stand_there_whatever_is_used():
    assert made(**BOT, app_token="xapp-1").receive == "events"


def test_an_install_page_asks_for_what_we_need_or_for_what_is_set():
    assert made(**APP).asked_scopes == NEEDED_SCOPES
    assert made(**APP, scopes=["chat:write"]).asked_scopes == ("chat:write",)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api/", "http://127.0.0.1:9/api"])
def test_the_address_ends_in_one_slash(url):
    assert made(**BOT, api_url=url).base_url == "http://127.0.0.1:9/api/"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "bot_token is needed"),
        ({"bot_token": "xoxb-1"}, "needs a signing_secret"),
        ({"bot_token": "xoxb-1", "receive": "socket"}, "needs an app_token"),
        ({**BOT, **APP}, "leave one of them out"),
        ({"client_id": "1.2", "signing_secret": "abcd"}, "both client_id and client_secret"),
        ({**BOT, "scopes": ["chat:write"]}, "scopes belong to an install page"),
        ({**APP, "scopes": ["chat write"]}, "no scope 'chat write'"),
        ({**BOT, "bot_token": "xapp-1"}, "belongs in app_token"),
        ({**BOT, "app_token": "xoxb-1"}, "belongs in bot_token"),
        ({**BOT, "bot_token": ""}, "bot_token is empty"),
        ({**BOT, "bot_token": "xoxb-1\r\nX: y"}, "bot_token is empty or holds"),
        ({**BOT, "api_url": "https://slack.com/"}, "api_url"),
        ({**BOT, "api_url": "ftp://slack.com/api/"}, "api_url"),
        ({**BOT, "dm_sessions": "user"}, "dm_sessions"),
        ({**BOT, "tokn": "x"}, "tokn"),
    ],
)
def test_what_cannot_work_is_told_in_a_sentence(values, words):
    with pytest.raises(ValidationError, match=words.replace("(", r"\(")):
        made(**values)


@pytest.mark.proves("C-10")
def test_c_10_neither_settings_nor_their_errors_show_a_secret():
    with pytest.raises(ValidationError) as caught:
        made(**BOT, receive="socket", dm_sessions="user")

    assert "xoxb-1-a" not in f"{caught.value} {made(**BOT)!r}"
