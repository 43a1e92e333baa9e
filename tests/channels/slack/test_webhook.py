"""The request URLs over real sockets: proven first, stored second, answered last."""

import asyncio
import json
import time
from io import BytesIO

import aiohttp
import pytest
from slack_sdk.signature import SignatureVerifier

from channels.slack.webhook import is_signed
from gateway.contract import Unreadable
from gateway.contract.raw_body import MAX_BODY_BYTES
from gateway.errors import StoreError, Unavailable
from gateway.testing.host import FakeHost
from gateway.testing.slack.deliveries import EventRetry
from gateway.testing.slack.endpoint import FAKE_SECRET, SlackServer
from gateway.testing.slack.faults import SlackError
from gateway.testing.slack.signature import signed_headers
from gateway.testing.slack.webhook import Forgery
from tests.channels.slack.running import Running, channel_for, hooked, served

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
STAMP = "1531420618"
BODY = '{"type":"event_callback","event":{"type":"message","text":"hé"}}'.encode()
SIGNATURE = "v0=a5f634fdf169020a65d21124332afcc6baf52951418aeb6a6dc6b2627e6e7b27"
HELLO = {"type": "message", "channel": "D1", "user": "U1", "text": "hello", "ts": "5.000001"}

WRONG = {
    "another secret": Forgery(secret="another"),
    "too old": Forgery(age_s=301),
    "from the future": Forgery(age_s=-302),
    "no signature": Forgery(headers={"X-Slack-Signature": None}),
    "no timestamp": Forgery(headers={"X-Slack-Request-Timestamp": None}),
    "a timestamp in words": Forgery(headers={"X-Slack-Request-Timestamp": "yesterday"}),
    "a timestamp with a sign": Forgery(headers={"X-Slack-Request-Timestamp": "-5"}),
    "other digits": Forgery(headers={"X-Slack-Request-Timestamp": "١٢٣"}),
    "a huge timestamp": Forgery(headers={"X-Slack-Request-Timestamp": "9" * 5000}),
    "an empty signature": Forgery(headers={"X-Slack-Signature": ""}),
    "a cut signature": Forgery(headers={"X-Slack-Signature": "v0=ab"}),
    "a signature of no ASCII": Forgery(headers={"X-Slack-Signature": "v0=é"}),
    "another body": Forgery(body=b'{"type": "event_callback"}'),
}


def event_of(slack: SlackServer, number: int = 1) -> dict[str, object]:
    outer = {"type": "event_callback", "team_id": slack.workspace.id, "event_id": f"Ev{number}"}
    return {**outer, "event": {**HELLO, "channel_type": "im"}}


async def post(
    running: Running, body: bytes, *, path: str = "events", kind: str = "application/json"
) -> tuple[int, dict[str, str], str]:
    """A rightly signed call; gives status, headers and text."""
    headers = {**signed_headers(body, secret=FAKE_SECRET), "Content-Type": kind}
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{running.url}/{path}", data=BytesIO(body), headers=headers) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.text()


@pytest.mark.proves("SL-1")
def test_sl_1_the_signature_is_that_of_slacks_own_library():
    def signed(**changed):
        values = {"secret": SECRET, "timestamp": STAMP, "signature": SIGNATURE, **changed}
        return is_signed(values.pop("body", BODY), now=float(STAMP), **values)

    assert SignatureVerifier(SECRET).generate_signature(timestamp=STAMP, body=BODY) == SIGNATURE
    assert signed()
    assert not signed(body=BODY + b" ")
    assert not signed(signature=SIGNATURE[:-1] + "8")
    assert not signed(secret=SECRET[:-1])


@pytest.mark.proves("SL-1")
@pytest.mark.parametrize(("age_s", "holds"), [(0, True), (300, True), (301, False), (-301, False)])
def test_sl_1_a_call_is_good_for_five_minutes(age_s, holds):
    now = float(STAMP) + age_s
    assert is_signed(BODY, secret=SECRET, timestamp=STAMP, signature=SIGNATURE, now=now) is holds


@pytest.mark.proves("SL-1", "C-2")
@pytest.mark.parametrize("kind", ["events_api", "interactive", "slash_commands"])
@pytest.mark.parametrize("forgery", WRONG.values(), ids=WRONG)
async def test_sl_1_c_2_a_call_that_is_not_slacks_is_refused_and_stores_nothing(forgery, kind):
    async with hooked() as running:
        payload = event_of(running.slack) if kind == "events_api" else {"command": "/new"}
        [attempt] = await running.slack.post_to_webhook(payload, kind=kind, forgery=forgery)

        assert attempt.status == 401
        assert attempt.body == ""
        assert running.host.batches == []


@pytest.mark.proves("SL-1", "C-2")
@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"[1]", b'"text"'], ids=repr
)
async def test_sl_1_an_unsigned_body_is_not_even_read(body):
    async with (
        hooked() as running,
        aiohttp.ClientSession() as stranger,
        stranger.post(f"{running.url}/events", data=BytesIO(body)) as answer,
    ):
        assert answer.status == 401


@pytest.mark.proves("SL-1", "SL-4")
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"[1]", b'"text"'],
    ids=["empty", "cut", "no utf-8", "deep", "null", "list", "text"],
)
async def test_sl_4_only_what_is_slacks_and_unusable_asks_for_no_other_try(body):
    async with hooked() as running:
        status, headers, _ = await post(running, body)

        assert (status, headers.get("X-Slack-No-Retry")) == (400, "1")
        assert running.host.batches == []


@pytest.mark.proves("SL-4")
async def test_sl_4_neither_a_refused_nor_a_postponed_call_forbids_another_try():
    async with hooked() as running:
        running.host.failures = [Unavailable("busy", retry_after_s=7.2)]
        status, headers, _ = await post(running, json.dumps(event_of(running.slack)).encode())
        async with (
            aiohttp.ClientSession() as stranger,
            stranger.post(f"{running.url}/events", json={}) as refused,
        ):
            assert "X-Slack-No-Retry" not in refused.headers

    assert (status, headers["Retry-After"]) == (503, "8")
    assert "X-Slack-No-Retry" not in headers


@pytest.mark.proves("SL-2")
async def test_sl_2_the_challenge_of_a_new_request_url_is_answered():
    async with hooked() as running:
        assert await running.slack.verify_url()


@pytest.mark.proves("SL-2")
async def test_sl_2_a_challenge_that_is_not_signed_is_refused():
    async with hooked() as running:
        challenge = {"type": "url_verification", "challenge": "abc"}
        [attempt] = await running.slack.post_to_webhook(challenge, forgery=Forgery(secret="x"))

        assert (attempt.status, attempt.body) == (401, "")


@pytest.mark.proves("SL-2")
async def test_sl_2_a_challenge_is_never_a_page():
    async with hooked() as running:
        body = b'{"type": "url_verification", "challenge": "<script>"}'
        _, headers, text = await post(running, body)

        assert (headers["Content-Type"].partition(";")[0], text) == ("text/plain", "<script>")


@pytest.mark.proves("SL-3", "C-1", "C-4")
async def test_sl_3_c_1_an_event_is_acknowledged_only_when_it_is_stored():
    async with hooked() as running:
        running.host.failures = [
            Unavailable("busy", retry_after_s=1),
            StoreError("disk full", code="store_full"),
        ]
        running.slack.post_message("D1", "U1", "hello")
        await running.slack.wait_until_acknowledged()

        statuses = [attempt.status for attempt in running.slack.attempts]
        assert statuses == [503, 503, 200]
        assert running.host.texts == ["hello"]


@pytest.mark.proves("SL-3")
async def test_sl_3_a_try_that_says_it_is_one_is_taken_like_the_first():
    """The first may never have reached us."""
    async with hooked() as running:
        running.host.failures = [Unavailable("busy", retry_after_s=1)]
        running.slack.post_message("D1", "U1", "hello")
        await running.slack.wait_until_acknowledged()

        assert [attempt.retry for attempt in running.slack.attempts] == [0, 1]
        assert running.host.texts == ["hello"]


@pytest.mark.proves("SL-3", "C-4")
async def test_sl_3_c_4_no_call_of_slack_is_made_before_the_acknowledgement():
    async with hooked() as running:
        before = len(running.slack.calls)
        for number in range(5):
            running.slack.post_message("D1", "U1", f"number {number}")
        await running.slack.wait_until_acknowledged()

        assert len(running.slack.calls) == before


@pytest.mark.proves("SL-3", "C-1")
async def test_sl_3_an_event_is_stored_also_when_slack_refuses_the_token():
    """A library would answer 200 with an apology and lose it."""
    async with hooked() as running:
        running.slack.fail("*", SlackError("invalid_auth"), times=None)
        running.slack.post_message("D1", "U1", "hello")
        await running.slack.wait_until_acknowledged()

        assert running.host.texts == ["hello"]


@pytest.mark.proves("SL-5")
async def test_sl_5_events_held_back_by_slack_are_an_alarm_and_acknowledged():
    async with hooked() as running:
        running.slack.limit_events()
        await running.slack.wait_until_acknowledged()

        await running.host.until_state("degraded", "over 30,000")
        assert running.host.batches == []


@pytest.mark.proves("SL-6", "C-3")
async def test_sl_6_c_3_a_mention_and_its_message_are_one_by_channel_and_ts():
    async with hooked() as running:
        running.slack.mention("C1", "U1", "help me")
        await running.slack.wait_until_acknowledged()

        message, mention = running.host.inbound
        assert message.external_id != mention.external_id
        assert message.second_id == mention.second_id == f"C1:{message.message_ref}"
        assert message.address == mention.address
        assert (message.text, mention.text) == ("help me", "help me")


@pytest.mark.proves("SL-6", "C-3")
async def test_sl_6_c_3_an_event_keeps_its_id_and_digest_however_often_it_comes():
    async with hooked() as running:
        event = running.slack.post_message("D1", "U1", "hello")
        await running.slack.wait_until_acknowledged()
        again = {**event, "event_context": "another one"}
        await running.slack.post_to_webhook(again, 3)

        known = {(one.account, one.external_id, one.digest) for one in running.host.inbound}
        assert len(running.host.inbound) == 4
        assert len(known) == 1


@pytest.mark.proves("SL-7", "C-5")
async def test_sl_7_c_5_messages_that_come_out_of_order_tell_their_order():
    async with hooked() as running:
        running.slack.hold_events()
        for number in range(4):
            running.slack.post_message("D1", "U1", f"number {number}")
        running.slack.release_events(reverse=True)
        heard = await running.heard()

        in_order = sorted(heard, key=lambda one: one.source_order)
        assert [one.text for one in in_order] == [f"number {number}" for number in range(4)]


@pytest.mark.proves("C-9")
@pytest.mark.parametrize(
    "event",
    [
        {"type": "invention_of_tomorrow"},
        {"type": "reaction_added", "item": {}},
        {"type": "message", "subtype": "channel_join", "channel": "C1", "ts": "5.000001"},
        {"type": "assistant_thread_context_changed"},
    ],
    ids=lambda event: event["type"],
)
async def test_c_9_what_means_nothing_to_us_is_acknowledged_and_counted(event):
    async with hooked() as running:
        running.slack.post_event(event)
        await running.slack.wait_until_acknowledged()

        assert running.host.batches == []
        assert sum(running.host.ignored_kinds.values()) == 1


@pytest.mark.proves("C-9")
@pytest.mark.parametrize(
    "event",
    [
        {"type": "message"},
        {**HELLO, "channel_type": "im", "ts": "soon"},
        {**HELLO, "channel_type": "im", "user": 7},
        {**HELLO, "channel_type": "im", "text": ["a"]},
        {**HELLO, "channel_type": "im", "files": 7},
        {"type": "message", "subtype": "message_changed", "channel": "D1"},
        {"type": 7},
        [],
    ],
    ids=range(8),
)
async def test_c_9_an_event_that_cannot_be_read_is_kept_and_acknowledged(event):
    async with hooked() as running:
        running.slack.post_event(event)
        await running.slack.wait_until_acknowledged()

        [kept] = running.host.inbound
        assert isinstance(kept, Unreadable)


async def test_a_body_over_the_limit_is_refused():
    async with hooked() as running:
        status, _, _ = await post(running, b" " * (MAX_BODY_BYTES + 1))

        assert status == 413


async def test_a_call_before_the_channel_is_connected_is_put_off():
    async with SlackServer() as slack:
        channel = channel_for(slack)
        async with served(channel) as url:
            running = Running(channel, FakeHost(), slack, url)
            status, _, _ = await post(running, json.dumps(event_of(slack)).encode())

    assert status == 503


async def test_an_error_nobody_expected_is_never_answered_500():
    async with hooked() as running:
        running.host.failures = [RuntimeError("a bug")] * 3
        body = json.dumps(event_of(running.slack)).encode()

        assert (await post(running, body))[0] == 503


async def test_an_event_that_cannot_be_stored_as_it_is_is_kept_raw():
    async with hooked() as running:
        running.host.poison = lambda one: not isinstance(one, Unreadable)
        running.slack.post_message("D1", "U1", "hello")
        await running.slack.wait_until_acknowledged()

        [kept] = running.host.inbound
        assert isinstance(kept, Unreadable)


async def test_slack_checks_certificates_of_commands_with_an_empty_call():
    async with hooked() as running:
        form = "application/x-www-form-urlencoded"
        status, _, _ = await post(running, b"ssl_check=1&token=x", path="commands", kind=form)

        assert status == 200


@pytest.mark.proves("C-4")
async def test_c_4_two_hundred_events_at_once_are_acknowledged_in_time():
    async with hooked(SlackServer(retry=EventRetry(enabled=False))) as running:
        began = time.monotonic()
        events = [event_of(running.slack, number) for number in range(200)]
        posts = (running.slack.post_to_webhook(event) for event in events)
        attempts = [attempt for [attempt] in await asyncio.gather(*posts)]

        assert {attempt.status for attempt in attempts} == {200}
        assert time.monotonic() - began < 10
