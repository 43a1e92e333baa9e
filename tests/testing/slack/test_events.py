"""Events of the fake Slack over HTTP: signed, tried again, forged."""

import asyncio

import pytest
from aiohttp import web

from gateway.testing import EventRetry, Forgery, SlackServer
from tests.testing.slack.app import hooked, post_menu

FAST = EventRetry(scale=0.0001)


@pytest.fixture
async def slack():
    async with SlackServer(retry=FAST, echo=False) as server:
        yield server


async def test_a_direct_message_arrives_signed_and_complete(slack):
    async with hooked(slack) as hook:
        told = slack.post_message("D1", "U1", "hé")
        await slack.wait_until_acknowledged()

    assert hook.got == [told]
    assert hook.verdicts == [True]
    assert told["event"] | {"ts": "", "event_ts": "", "client_msg_id": ""} == {
        "type": "message",
        "user": "U1",
        "text": "hé",
        "ts": "",
        "team": "T0FAKETEAM",
        "client_msg_id": "",
        "channel": "D1",
        "event_ts": "",
        "channel_type": "im",
    }


async def test_a_mention_is_told_twice_with_one_timestamp(slack):
    async with hooked(slack) as hook:
        message, mention = slack.mention("C1", "U1", "hello")
        await slack.wait_until_acknowledged()

    assert {told["event_id"] for told in hook.got} == {message["event_id"], mention["event_id"]}
    assert message["event_id"] != mention["event_id"]
    assert (message["event"]["type"], mention["event"]["type"]) == ("message", "app_mention")
    assert message["event"]["ts"] == mention["event"]["ts"]
    assert mention["event"]["text"] == f"<@{slack.workspace.bot_user}> hello"


async def test_of_a_channel_it_is_not_in_the_app_gets_the_mention_alone(slack):
    slack.channel("C1").has_bot = False

    told = slack.mention("C1", "U1", "hello")

    assert [each["event"]["type"] for each in told] == ["app_mention"]


async def test_the_request_url_is_verified_by_a_challenge(slack):
    async with hooked(slack) as hook:
        assert await slack.verify_url()

    assert hook.got[0]["type"] == "url_verification"
    assert hook.verdicts == [True]


async def test_a_url_that_does_not_echo_the_challenge_is_not_verified(slack):
    slack.deliver_to("http://127.0.0.1:9/events")

    assert not await slack.verify_url()


async def test_a_failed_event_is_tried_four_times_in_all(slack):
    async with hooked(slack) as hook:
        hook.answers = [web.Response(status=500) for _ in range(4)]
        told = slack.post_message("D1", "U1", "hello")
        await slack.wait_until_acknowledged()

    assert hook.got == [told] * 4
    assert [attempt.retry for attempt in slack.attempts] == [0, 1, 2, 3]
    assert [delivery.payload for delivery in slack.given_up] == [told]


async def test_a_retry_says_so_and_is_signed_anew(slack):
    async with hooked(slack) as hook:
        hook.answers = [web.Response(status=503)]
        slack.post_message("D1", "U1", "hello")
        await slack.wait_until_acknowledged()

    first, second = hook.headers
    assert "x-slack-retry-num" not in first
    assert (second["x-slack-retry-num"], second["x-slack-retry-reason"]) == ("1", "http_error")
    assert hook.verdicts == [True, True]


async def test_the_pauses_between_tries_are_those_of_slack():
    assert EventRetry().waits_s("events_api") == (0, 0, 60, 300)
    assert EventRetry(scale=0.1).waits_s("events_api") == (0, 0, 6, 30)
    assert EventRetry(enabled=False).waits_s("events_api") == (0,)
    assert EventRetry().waits_s("interactive") == (0,)


async def test_an_answer_that_takes_too_long_is_a_timeout():
    retry = EventRetry(scale=0.0001, answer_within_s=0.1)
    async with SlackServer(retry=retry) as slack, hooked(slack) as hook:
        hook.gate.clear()
        slack.post_message("D1", "U1", "hello")
        await hook.wait_for(2)
        hook.gate.set()
        await slack.wait_until_acknowledged()

    assert slack.attempts[0].failure == "http_timeout"
    assert hook.headers[1]["x-slack-retry-reason"] == "http_timeout"


async def test_no_retry_in_a_refusal_ends_the_tries(slack):
    async with hooked(slack) as hook:
        hook.answers = [web.Response(status=400, headers={"X-Slack-No-Retry": "1"})]
        slack.post_message("D1", "U1", "hello")
        await slack.wait_until_acknowledged()

    assert [attempt.status for attempt in slack.attempts] == [400]
    assert len(slack.given_up) == 1


async def test_an_app_that_is_away_is_a_failed_connection(slack):
    slack.deliver_to("http://127.0.0.1:9/events")
    slack.post_message("D1", "U1", "hello")
    await slack.wait_until_acknowledged()

    assert {attempt.failure for attempt in slack.attempts} == {"connection_failed"}


async def test_more_than_two_redirects_are_too_many(slack):
    async with hooked(slack) as hook:
        away = {"Location": hook.url}
        hook.answers = [web.Response(status=307, headers=away) for _ in range(20)]
        slack.post_message("D1", "U1", "hello")
        await slack.wait_until_acknowledged()

    assert slack.attempts[0].failure == "too_many_redirects"


async def test_an_event_can_be_delivered_again(slack):
    async with hooked(slack) as hook:
        told = slack.post_message("D1", "U1", "hello")
        await slack.wait_until_acknowledged()
        slack.redeliver(told, times=2)
        await slack.wait_until_acknowledged()

    assert hook.got == [told] * 3


async def test_ten_copies_are_posted_at_once(slack):
    async with hooked(slack) as hook:
        slack.hold_events()
        told = slack.post_message("D1", "U1", "hello")
        hook.gate.clear()
        posting = asyncio.create_task(slack.post_to_webhook(told, 10))
        await hook.wait_for(10)
        hook.gate.set()
        attempts = await posting

    assert [attempt.status for attempt in attempts] == [200] * 10


async def test_held_events_can_come_in_reverse(slack):
    async with hooked(slack) as hook:
        slack.hold_events()
        for text in ("one", "two", "three"):
            slack.post_message("D1", "U1", text)
        assert len(slack.pending) == 3
        slack.release_events(reverse=True)
        await slack.wait_until_acknowledged()

    assert hook.texts == ["three", "two", "one"]


@pytest.mark.parametrize(
    "forgery",
    [
        Forgery(secret="wrong"),
        Forgery(age_s=301),
        Forgery(age_s=-301),
        Forgery(headers={"X-Slack-Signature": "v0=00"}),
        Forgery(body=b'{"type":"event_callback"}'),
    ],
    ids=["wrong secret", "too old", "from the future", "cut signature", "other body"],
)
async def test_the_official_verifier_refuses_a_forgery(slack, forgery):
    async with hooked(slack) as hook:
        [attempt] = await slack.post_to_webhook({"type": "event_callback"}, forgery=forgery)

    assert hook.verdicts == [False]
    assert attempt.status == 200


async def test_a_signature_can_be_missing(slack):
    forgery = Forgery(headers={"X-Slack-Signature": None, "X-Slack-Request-Timestamp": "soon"})
    async with hooked(slack) as hook:
        await slack.post_to_webhook({}, forgery=forgery)

    assert "x-slack-signature" not in hook.headers[0]
    assert hook.headers[0]["x-slack-request-timestamp"] == "soon"


async def test_what_happened_before_the_start_is_told_after_it():
    slack = SlackServer()
    slack.post_message("D1", "U1", "early")
    async with slack, hooked(slack) as hook:
        await slack.wait_until_acknowledged()

    assert hook.texts == ["early"]


async def test_nothing_is_posted_to_an_app_without_a_url(slack):
    with pytest.raises(RuntimeError, match="no request URL is set"):
        await slack.verify_url()


async def test_what_waited_for_a_socket_goes_to_a_request_url_later(slack):
    slack.post_message("D1", "U1", "early")
    async with hooked(slack) as hook:
        await slack.wait_until_acknowledged()

    assert hook.texts == ["early"]


async def test_interactions_and_commands_have_their_own_urls_and_forms(slack):
    async with hooked(slack) as hook:
        slack.deliver_to(
            hook.url,
            interactivity=hook.url.replace("events", "clicks"),
            commands=hook.url.replace("events", "commands"),
        )
        told = slack.post_message("D1", "U1", "menu")
        command = slack.command("D1", "U1", "/ask", "a&b=c")
        await post_menu(slack, "D1")
        pressed = slack.press(slack.sent("D1")[0], "U1", action_id="yes")
        await slack.wait_until_acknowledged()

    assert sorted(hook.got, key=str) == sorted([told, command, pressed], key=str)
    assert sorted(header["content-type"] for header in hook.headers) == [
        "application/json",
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded",
    ]
    assert hook.verdicts == [True] * 3


async def test_a_command_nobody_took_is_not_tried_again(slack):
    async with hooked(slack) as hook:
        hook.answers = [web.Response(status=500)]
        slack.command("D1", "U1", "/ask")
        await slack.wait_until_acknowledged()

    assert len(slack.attempts) == len(slack.given_up) == 1
