"""What Slack's refusals mean for a delivery, word by word, against the fake Slack."""

import pytest

from channels.slack.api import SlackRefused, SlackSilence
from channels.slack.failures import delivery_error
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, GatewayError
from gateway.testing import HtmlError
from gateway.testing.slack.faults import SlackError, SlackFault, rate_limited
from tests.channels.slack.sending_half import part_of, sending_half

LATER, UNKNOWN = "later", "unknown"
ADDRESS, ACCOUNT, PART = "refused: address", "refused: account", "refused: part"

TABLE: list[tuple[str, SlackFault, str]] = [
    ("429", rate_limited(3), "later, in 3 s"),
    ("ratelimited", SlackError("ratelimited"), "later, in 1 s"),
    *(
        (error, SlackError(error), ACCOUNT)
        for error in (
            *("invalid_auth", "not_authed", "account_inactive", "token_revoked"),
            *("token_expired", "app_uninstalled"),
        )
    ),
    ("missing_scope", SlackError("missing_scope", needed="chat:write"), PART),
    ("not_allowed_token_type", SlackError("not_allowed_token_type"), PART),
    *(
        (error, SlackError(error), ADDRESS)
        for error in (
            *("channel_not_found", "not_in_channel", "is_archived", "user_not_found"),
            *("cannot_dm_bot", "restricted_action", "restricted_action_read_only_channel"),
        )
    ),
    ("message_not_found", SlackError("message_not_found"), PART),
    ("something new", SlackError("slack_is_on_holiday"), PART),
    *(
        (error, SlackError(error), UNKNOWN)
        for error in ("internal_error", "fatal_error", "service_unavailable", "request_timeout")
    ),
    ("HTTP 500 with a word", SlackError("internal_error", status=500), UNKNOWN),
    ("HTTP 502", HtmlError(502), UNKNOWN),
    ("HTTP 403 of a proxy", HtmlError(403), LATER),
]
"""Section "Slack failures" of the platform rules; rows that are tried once more stand below."""


@pytest.mark.proves("C-7")
@pytest.mark.parametrize(
    ("fault", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
async def test_c_7_a_refused_post_means_what_the_table_says(
    fault: SlackFault, expected: str
) -> None:
    async with sending_half() as half:
        address = half.thread()
        half.slack.fail("chat.postMessage", fault)
        with pytest.raises(GatewayError) as caught:
            await half.deliver(address, part_of("Hello"))

        assert meaning(caught.value) == expected
        assert len(half.slack.calls_of("chat.postMessage")) == 1


@pytest.mark.proves("C-7")
@pytest.mark.parametrize("error", ["thread_not_found", "msg_too_long", "invalid_blocks", "no_text"])
async def test_what_may_be_said_otherwise_is_tried_once_more(error: str) -> None:
    async with sending_half() as half:
        address = half.thread()
        half.slack.fail("chat.postMessage", SlackError(error))
        await half.deliver(address, part_of("Hello"))

        assert [message.text for message in half.shown()] == ["Hello"]
        assert len(half.slack.calls_of("chat.postMessage")) == 2


@pytest.mark.parametrize("error", ["missing_scope", "not_allowed_token_type"])
async def test_an_operator_is_told_what_the_app_may_not_do(error: str) -> None:
    async with sending_half() as half:
        address = half.thread()
        half.slack.fail("chat.postMessage", SlackError(error, needed="chat:write"))
        with pytest.raises(DeliveryRefused):
            await half.deliver(address, part_of("Hello"))

        [(state, reason)] = half.host.states
        assert state == "degraded"
        assert reason is not None
        assert "chat:write" in reason


def test_a_refused_token_of_one_workspace_among_several_stops_that_one_only() -> None:
    error = delivery_error(SlackRefused("token_revoked"), workspace_scope="address")

    assert meaning(error) == ADDRESS


@pytest.mark.proves("C-7")
@pytest.mark.parametrize(("was_written", "expected"), [(False, LATER), (True, UNKNOWN)])
def test_c_7_silence_is_doubtful_only_where_something_was_written(
    was_written: bool, expected: str
) -> None:
    assert meaning(delivery_error(SlackSilence("?", was_written=was_written))) == expected


def meaning(error: GatewayError) -> str:
    """An error in words."""
    match error:
        case DeliveryLater():
            wait_s = error.retry_after_s
            return LATER if wait_s is None else f"later, in {wait_s:.0f} s"
        case DeliveryRefused():
            return f"refused: {error.scope}"
        case DeliveryUnknown():
            return UNKNOWN
        case _:
            return repr(error)
