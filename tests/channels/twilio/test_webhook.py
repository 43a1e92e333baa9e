"""Calls of the webhook: proven, stored, and only then answered."""

import asyncio
from io import BytesIO

import pytest

from channels.twilio.webhook import EMPTY_TWIML
from gateway.contract import DeliveryReport
from gateway.errors import Unavailable
from gateway.testing.twilio.signing import SIGNATURE_HEADER, SharedKey, url_with_body_hash
from gateway.testing.twilio.signing import signature as sign
from tests.channels.twilio.running import PERSON, Running, clean, connected, fake

BUSY = Unavailable("the store is away", retry_after_s=7)


async def call(running: Running, url: str, fields, **headers: str) -> tuple[int, str, str]:
    """Post a form to a hook; gives status, content type and body."""
    async with running.client.post(url, data=fields, headers=headers) as answer:
        return answer.status, answer.content_type, await answer.text()


def signed(running: Running, url: str, fields) -> dict[str, str]:
    made = sign(running.twilio.auth_token, url, fields.items(), algorithm="HMAC_SHA1")
    return {SIGNATURE_HEADER: made}


@pytest.mark.proves("TW-10", "C-1", "C-6")
async def test_tw_10_a_message_is_stored_then_answered_by_an_empty_document() -> None:
    async with connected() as running:
        with clean(running):
            message = running.twilio.post_sms(PERSON, "Hello")
            await running.twilio.wait_until_quiet()

        [attempt] = running.twilio.attempts_of(message)
        assert (attempt.status, attempt.says) == (200, ())
        assert running.host.texts == ["Hello"]
        assert running.twilio.calls_of("CreateMessage") == []


async def test_the_answer_is_twiml() -> None:
    async with connected() as running:
        fields = {"MessageSid": "SM" + "1" * 32, "From": PERSON, "To": running.twilio.number}
        answer = await call(running, running.hook, fields, **signed(running, running.hook, fields))

    assert answer == (200, "text/xml", EMPTY_TWIML)


@pytest.mark.proves("TW-2", "C-2")
@pytest.mark.parametrize("how", ["wrong", "missing"])
async def test_tw_2_a_forged_message_is_refused_and_nothing_is_stored(how) -> None:
    async with connected() as running:
        running.twilio.set_webhook(None)
        message = running.twilio.post_sms(PERSON, "Hello")
        running.twilio.set_webhook(running.hook)

        [attempt] = await running.twilio.post_to_webhook(message, signed=how)

    assert attempt.status == 403
    assert running.host.batches == []


@pytest.mark.proves("TW-4")
async def test_tw_4_the_public_address_counts_and_not_what_a_proxy_says() -> None:
    async with connected() as running:
        real = running.public_url
        running.channel.public_url = "https://bot.example/gw"
        running.twilio.set_route("https://bot.example/gw", real)
        running.twilio.set_webhook("https://bot.example/gw/hooks/sms?a=%7E%2f&b=")
        running.twilio.post_sms(PERSON, " Hello ")
        await running.twilio.wait_until_quiet()

        fields = {"MessageSid": "SM" + "1" * 32, "From": PERSON, "To": running.twilio.number}
        as_seen = signed(running, running.hook, fields)
        status, _, _ = await call(
            running, running.hook, fields, **as_seen, **{"X-Forwarded-Host": "bot.example"}
        )

    assert running.host.texts == [" Hello "]
    assert status == 403


@pytest.mark.proves("TW-7", "TW-9", "C-3")
async def test_tw_7_the_fallback_address_is_heard_and_the_message_stays_one() -> None:
    backup = "https://backup.example"
    async with connected(fallback_url=backup + "/") as running:
        running.twilio.set_route(backup, running.public_url)
        running.host.failures += [BUSY, BUSY]
        running.twilio.set_webhook(running.hook, fallback=f"{backup}/hooks/sms?b=%2f")
        message = running.twilio.post_sms(PERSON, "Hello")
        await running.twilio.wait_until_quiet()
        running.twilio.post_again(message)
        await running.twilio.wait_until_quiet()
        running.twilio.set_webhook("http://127.0.0.1:9/x", fallback=f"{backup}/hooks/sms")
        running.twilio.post_again(message)
        await running.twilio.wait_until_quiet()

        by_way = [(one.url.startswith(backup), one.status) for one in running.twilio.attempts]
        nowhere = [(False, None), (False, None)]
        assert by_way == [(False, 503), (True, 503), (False, 200), *nowhere, (True, 200)]
        assert {event.external_id for event in running.host.inbound} == {message.sid}
        assert len({event.digest for event in running.host.inbound}) == 1
        assert running.twilio.unaccepted == []


@pytest.mark.proves("TW-3")
async def test_tw_3_calls_signed_by_a_shared_key_are_heard() -> None:
    key = SharedKey("webhooks_sharedkey_1", "the secret of that key")
    shared = {key.id: key.secret}
    async with connected(fake(shared_key=key), shared_keys=shared) as running:
        running.twilio.post_sms(PERSON, "Hello")
        await running.twilio.wait_until_quiet()
        assert running.host.texts == ["Hello"]


@pytest.mark.proves("TW-6")
async def test_tw_6_a_token_that_is_being_changed_loses_nothing() -> None:
    twilio = fake()
    async with connected(twilio, old_auth_tokens=["the token of tomorrow"]) as running:
        running.twilio.post_sms(PERSON, "before")
        await running.twilio.wait_until_quiet()
        running.twilio.rotate_key("the token of tomorrow")
        running.twilio.post_sms(PERSON, "after")
        await running.twilio.wait_until_quiet()

        assert running.host.texts == ["before", "after"]


@pytest.mark.proves("TW-5")
async def test_tw_5_a_call_without_signature_is_refused_whatever_it_holds() -> None:
    async with connected() as running:
        for body in (b"", b"\xff\xff", b"{", b"a=1", b"x" * 100_000):
            async with running.client.post(running.hook, data=body) as answer:
                assert answer.status == 403
                assert await answer.read() == b""


async def test_a_body_over_the_limit_is_not_read() -> None:
    body = BytesIO(b"x" * 1_100_000)
    async with connected() as running, running.client.post(running.hook, data=body) as answer:
        assert answer.status == 413


@pytest.mark.proves("TW-2", "C-9")
async def test_tw_2_a_json_event_is_acknowledged_and_counted() -> None:
    async with connected() as running:
        body = b'{"type": "com.twilio.something.new"}'
        url = url_with_body_hash(running.hook, body)
        headers = {"Content-Type": "application/json", **signed(running, url, {})}

        assert (await call(running, url, body, **headers))[0] == 200
        assert (await call(running, url, body + b" ", **headers))[0] == 403
        assert running.host.ignored_kinds == {"json": 1}


@pytest.mark.proves("TW-7", "TW-8", "C-4")
async def test_tw_7_what_cannot_be_stored_is_asked_for_again() -> None:
    async with connected() as running:
        running.host.failures += [BUSY, BUSY]
        message = running.twilio.post_sms(PERSON, "Hello")
        await running.twilio.wait_until_quiet()

        attempts = running.twilio.attempts_of(message)
        assert [attempt.status for attempt in attempts] == [503, 503, 200]
        assert len({attempt.token for attempt in attempts}) == 1
        assert running.host.texts == ["Hello"]
        assert running.twilio.unaccepted == []


@pytest.mark.proves("TW-8")
async def test_tw_8_without_the_fragment_one_failure_loses_the_call() -> None:
    async with connected() as running:
        running.twilio.set_webhook(running.hook)
        running.host.failures += [BUSY]
        message = running.twilio.post_sms(PERSON, "Hello")
        await running.twilio.wait_until_quiet()

        assert running.twilio.unaccepted == [message]


async def test_a_channel_that_is_not_connected_asks_for_another_try() -> None:
    async with connected() as running:
        running.twilio.set_webhook(None)
        message = running.twilio.post_sms(PERSON, "Hello")
        running.twilio.set_webhook(running.hook)
        running.channel._wire = None

        [attempt] = await running.twilio.post_to_webhook(message)

    assert attempt.status == 503


@pytest.mark.proves("TW-9", "C-3")
async def test_tw_9_a_message_posted_again_is_the_same_event() -> None:
    async with connected() as running:
        message = running.twilio.post_sms(PERSON, "Hello")
        await running.twilio.wait_until_quiet()
        running.twilio.post_again(message, 2)
        await running.twilio.wait_until_quiet()

        assert len({(one.external_id, one.digest) for one in running.host.inbound}) == 1
        assert running.host.inbound[0].external_id == message.sid


@pytest.mark.proves("TW-35", "C-3")
async def test_tw_35_the_same_status_told_twice_is_one_event() -> None:
    async with connected() as running:
        await running.send("Hello")
        await running.twilio.wait_until_quiet()
        [message] = running.twilio.sent()

        await running.twilio.post_status(message, "delivered", 3)

        told = [one for one in running.host.inbound if isinstance(one, DeliveryReport)]
        assert [one.status for one in told if one.external_id.endswith(":delivered")] == [
            "delivered"
        ]


@pytest.mark.proves("TW-35", "C-2")
@pytest.mark.parametrize("how", ["wrong", "missing"])
async def test_tw_35_a_forged_status_is_refused(how) -> None:
    async with connected() as running:
        await running.send("Hello")
        await running.twilio.wait_until_quiet()
        [message] = running.twilio.sent()
        heard = len(running.host.batches)

        [attempt] = await running.twilio.post_status(message, "failed", signed=how)

        assert attempt.status == 403
        assert len(running.host.batches) == heard


async def test_an_event_that_nothing_can_store_is_kept_raw_and_holds_up_nobody() -> None:
    async with connected() as running:
        running.host.poison = lambda event: getattr(event, "text", "") == "poison"
        running.twilio.post_sms(PERSON, "poison")
        await running.twilio.wait_until_quiet()
        running.twilio.post_sms(PERSON, "Hello")
        await running.twilio.wait_until_quiet()

        kept, heard = running.host.inbound
        assert kept.reason == "could not be stored"
        assert heard.text == "Hello"
        assert running.twilio.unaccepted == []


async def test_calls_are_not_answered_before_the_store_has_them() -> None:
    async with connected() as running:
        stored = asyncio.Event()
        accept = running.host.accept

        async def slow_accept(batch, *, cursor=None) -> None:
            await stored.wait()
            await accept(batch, cursor=cursor)

        running.host.accept = slow_accept  # type: ignore[method-assign]  # a slow store
        message = running.twilio.post_sms(PERSON, "Hello")
        with pytest.raises(TimeoutError):
            await running.twilio.wait_until_quiet(timeout_s=0.2)
        assert running.twilio.attempts_of(message) == []
        stored.set()
        await running.twilio.wait_until_quiet()
        assert running.host.texts == ["Hello"]
