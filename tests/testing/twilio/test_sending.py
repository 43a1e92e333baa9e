"""What becomes of sent messages: statuses, callbacks, consent, lists, faults."""

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from gateway.testing import (
    Drop,
    Garbled,
    Hang,
    HtmlError,
    Journey,
    Slow,
    TwilioError,
    TwilioServer,
    not_delivered,
    not_sent,
    too_many_concurrent,
)
from tests.testing.twilio.client import ADA, hook, plain

WHATSAPP_ADA = f"whatsapp:{ADA}"


@pytest.fixture
async def twilio():
    async with TwilioServer() as server:
        yield server


@pytest.fixture
async def client(twilio):
    async with plain(twilio) as found:
        yield found


# --- statuses


async def test_every_status_but_the_first_is_told(twilio, client):
    async with hook() as door:
        service = {"From": None, "MessagingServiceSid": twilio.service_sid}
        await client.create(StatusCallback=f"{door.url}/status", **service)
        await twilio.wait_until_quiet()

    assert door.statuses == ["queued", "sending", "sent", "delivered"]
    assert twilio.sent()[0].statuses == ["accepted", *door.statuses]
    assert door.forms[0]["MessagingServiceSid"] == twilio.service_sid


async def test_a_whatsapp_message_is_read_at_the_end(twilio, client):
    twilio.post_whatsapp(ADA, "hello")
    async with hook() as door:
        await client.create(
            To=WHATSAPP_ADA, From=twilio.whatsapp, StatusCallback=f"{door.url}/status"
        )
        await twilio.wait_until_quiet()

    assert door.statuses == ["sent", "delivered", "read"]


@pytest.mark.parametrize(
    ("journey", "last", "code"),
    [(not_delivered(30003), "undelivered", 30003), (not_sent(30001), "failed", 30001)],
    ids=["not delivered", "not sent"],
)
async def test_a_failure_is_told_with_its_code(twilio, client, journey, last, code):
    twilio.plan(journey)
    async with hook() as door:
        _, made = await client.create(StatusCallback=f"{door.url}/status")
        await twilio.wait_until_quiet()
    _, found = await client.ask("GET", f"/Messages/{made['sid']}.json")

    assert (door.forms[-1]["MessageStatus"], door.forms[-1]["ErrorCode"]) == (last, str(code))
    assert (found["status"], found["error_code"]) == (last, code)
    assert found["error_message"]


async def test_callbacks_can_come_out_of_order_twice_and_not_at_all(twilio, client):
    twilio.plan(Journey(("sent", "delivered"), told=("delivered", "sent", "delivered")))
    twilio.plan(Journey(("sent", "delivered"), told=()))
    async with hook() as door:
        await client.create(StatusCallback=f"{door.url}/status")
        await twilio.wait_until_quiet()
        await client.create(StatusCallback=f"{door.url}/status")
        await twilio.wait_until_quiet()

    assert door.statuses == ["delivered", "sent", "delivered"]
    assert [message.status for message in twilio.sent()] == ["delivered"] * 2


async def test_a_plan_chooses_among_messages(twilio, client):
    twilio.plan(not_delivered(30007), times=None, when=lambda message: "casino" in message.text)
    for body in ("hello", "casino!", "more casino"):
        await client.create(Body=body)
    await twilio.wait_until_quiet()

    assert [message.error_code for message in twilio.sent()] == [None, 30007, 30007]


async def test_a_status_can_be_told_at_will_and_forged(twilio, client):
    async with hook() as door:
        await client.create(StatusCallback=f"{door.url}/status?part=1")
        await twilio.wait_until_quiet()
        [message] = twilio.sent()
        await twilio.post_status(message, "failed", 2, error_code=30008, signed="missing")

    assert door.statuses[3:] == ["failed", "failed"]
    assert door.signature(0) is not None
    assert door.signature(3) is None
    assert len(twilio.attempts_of(message)) == 5


async def test_a_message_without_callback_has_no_status_to_tell(twilio, client):
    await client.create()

    with pytest.raises(RuntimeError, match="no StatusCallback"):
        await twilio.post_status(twilio.sent()[0], "read")


async def test_a_message_canceled_on_its_way_is_told_so(twilio, client):
    twilio.plan(Journey(("sending", "sent"), step_s=0.5))
    async with hook() as door:
        _, made = await client.create(StatusCallback=f"{door.url}/status")
        path = f"/Messages/{made['sid']}.json"
        status, canceled = await client.ask("POST", path, data={"Status": "canceled"})
        await twilio.wait_until_quiet()

    assert (status, canceled["status"]) == (200, "canceled")
    assert door.statuses == ["canceled"]


async def test_a_text_can_be_removed_and_an_update_must_say_something(twilio, client):
    _, made = await client.create(Body="secret")
    path = f"/Messages/{made['sid']}.json"
    _, redacted = await client.ask("POST", path, data={"Body": ""})
    _, refused = await client.ask("POST", path, data={"Body": "other"})

    assert (redacted["body"], refused["code"]) == ("", 30400)


async def test_a_message_on_its_way_cannot_be_deleted(twilio, client):
    twilio.plan(Journey(("delivered",), step_s=60))
    _, made = await client.create()
    status, answer = await client.ask("DELETE", f"/Messages/{made['sid']}.json")

    assert (status, answer["code"]) == (409, 20009)


# --- consent


async def test_stop_is_answered_by_twilio_and_blocks_what_follows(twilio, client):
    async with hook() as door:
        twilio.set_webhook(f"{door.url}/sms")
        twilio.post_sms(ADA, "Stop")
        await twilio.wait_until_quiet()
    status, answer = await client.create()
    other, _ = await client.create(To="+15550009999")

    assert (status, answer["code"], other) == (400, 21610, 201)
    assert door.forms[0]["Body"] == "Stop"
    assert "OptOutType" not in door.forms[0]
    assert "unsubscribed" in twilio.auto_replies[0].text
    assert twilio.sent(ADA) == []


async def test_start_lets_messages_through_again(twilio, client):
    for word in ("STOP", "unstop"):
        twilio.post_sms(ADA, word)
    status, _ = await client.create()

    assert status == 201
    assert "re-subscribed" in twilio.auto_replies[1].text


@pytest.mark.parametrize("text", ["please stop", "yes", "hello"])
async def test_other_texts_change_nothing(twilio, client, text):
    twilio.post_sms(ADA, text)
    status, _ = await client.create()

    assert (status, twilio.auto_replies) == (201, [])


async def test_advanced_opt_out_is_told_to_the_webhook_on_whatsapp_too():
    async with TwilioServer(advanced_opt_out=True) as twilio, hook() as door:
        twilio.set_webhook(f"{door.url}/sms")
        twilio.post_whatsapp(ADA, "STOP")
        await twilio.wait_until_quiet()

    assert door.forms[0]["OptOutType"] == "STOP"


async def test_free_text_by_whatsapp_fails_a_day_after_the_last_message(twilio, client):
    channel = {"To": WHATSAPP_ADA, "From": twilio.whatsapp}
    twilio.post_whatsapp(ADA, "hello")
    async with hook() as door:
        await client.create(**channel)
        await twilio.wait_until_quiet()
        twilio.pass_time(timedelta(hours=25))
        status, _ = await client.create(StatusCallback=f"{door.url}/status", **channel)
        await twilio.wait_until_quiet()
        template = {"ContentSid": "HX" + "a" * 32, "Body": None}
        await client.create(**template, **channel)
        await twilio.wait_until_quiet()

    assert status == 201
    assert [message.error_code for message in twilio.sent()] == [None, 63016, None]
    assert (door.statuses, door.forms[0]["ErrorCode"]) == (["failed"], "63016")


# --- lists


async def test_a_list_is_filtered_by_people_and_days(twilio, client):
    twilio.post_sms(ADA, "yesterday")
    twilio.pass_time(timedelta(days=1))
    twilio.post_sms(ADA, "today")
    await client.create(Body="an answer")
    today = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()

    async def texts(**query) -> list[str]:
        query = {name.replace("_since", ">").replace("_until", "<"): v for name, v in query.items()}
        _, page = await client.ask("GET", "/Messages.json", params=query)
        return [message["body"] for message in page["messages"]]

    assert await texts() == ["an answer", "today", "yesterday"]
    assert await texts(To=ADA) == ["an answer"]
    assert await texts(From=ADA, DateSent_since=today) == ["today"]
    assert await texts(From=ADA, DateSent=today) == ["today"]
    assert await texts(DateSent_until=today, From=ADA) == ["today", "yesterday"]
    assert await texts(DateSent_since=f"{today}T23:59:59Z") in ([], ["an answer", "today"])


async def test_a_page_that_was_begun_is_not_shifted_by_new_messages(twilio, client):
    for number in range(4):
        twilio.post_sms(ADA, str(number))
    _, first = await client.ask("GET", "/Messages.json", params={"PageSize": "2"})
    twilio.post_sms(ADA, "new")
    async with client.session.get(twilio.api_url + first["next_page_uri"]) as response:
        second = await response.json()

    assert [message["body"] for message in first["messages"]] == ["3", "2"]
    assert [message["body"] for message in second["messages"]] == ["1", "0"]
    assert second["next_page_uri"] is None


@pytest.mark.parametrize(
    "query", [{"DateSent": "yesterday"}, {"PageSize": "many"}, {"PageToken": "PAnone"}]
)
async def test_a_query_that_cannot_be_read_is_refused(client, query):
    status, answer = await client.ask("GET", "/Messages.json", params=query)

    assert (status, answer["code"]) == (400, 20001)


# --- faults


async def test_a_dropped_connection_may_have_sent_or_not(twilio, client):
    twilio.fail("CreateMessage", Drop())
    twilio.fail("CreateMessage", Drop(accepted=False))
    for body in ("sent", "lost"):
        with pytest.raises(aiohttp.ClientError):
            await client.create(Body=body)

    assert [message.text for message in twilio.sent()] == ["sent"]
    assert [call.status for call in twilio.calls] == [None, None]


async def test_a_lost_answer_can_be_found_by_the_list(twilio, client):
    twilio.fail("CreateMessage", Drop())
    with pytest.raises(aiohttp.ClientError):
        await client.create(Body="did it go?")
    _, page = await client.ask("GET", "/Messages.json", params={"To": ADA})

    assert [message["body"] for message in page["messages"]] == ["did it go?"]


async def test_a_lost_answer_does_not_stop_its_callbacks(twilio, client):
    twilio.fail("CreateMessage", Drop())
    async with hook() as door:
        with pytest.raises(aiohttp.ClientError):
            await client.create(StatusCallback=f"{door.url}/status?part=out-1")
        await door.wait_for(3)

    assert {request.query["part"] for request in door.requests} == {"out-1"}


@pytest.mark.parametrize("accepted", [True, False])
async def test_an_answer_may_never_come(twilio, client, accepted):
    twilio.fail("CreateMessage", Hang(accepted=accepted))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.create(), 0.2)

    assert len(twilio.sent()) == int(accepted)


async def test_a_slow_answer_is_slower_than_its_callback(twilio, client):
    twilio.fail("CreateMessage", Slow(0.3))
    async with hook() as door:
        asked = asyncio.create_task(client.create(StatusCallback=f"{door.url}/status"))
        await door.wait_for(3)
        was_open = not asked.done()
        status, _ = await asked

    assert (was_open, status) == (True, 201)


async def test_an_answer_that_cannot_be_read_has_sent(twilio, client):
    twilio.fail("CreateMessage", Garbled())
    with pytest.raises(ValueError):
        async with client.session.post(
            f"{client.base}/Messages.json",
            data={"To": ADA, "From": twilio.number, "Body": "hello"},
        ) as response:
            await response.json(content_type=None)

    assert len(twilio.sent()) == 1


async def test_an_error_page_has_not_sent(twilio, client):
    twilio.fail("CreateMessage", HtmlError(500))
    form = {"To": ADA, "From": twilio.number, "Body": "hello"}
    async with client.session.post(f"{client.base}/Messages.json", data=form) as response:
        status, kind = response.status, response.content_type

    assert (status, kind, twilio.sent()) == (500, "text/html", [])


async def test_who_does_not_wait_after_429_is_early(twilio, client):
    twilio.fail("CreateMessage", too_many_concurrent(retry_after_s=5))
    status, answer = await client.create()
    await client.create()

    assert (status, answer["code"]) == (429, 20429)
    assert twilio.early[0].startswith("CreateMessage came 4.")


async def test_a_fault_can_choose_its_calls_and_be_stopped(twilio, client):
    rule = twilio.fail("*", TwilioError(21211), times=None, when=lambda call: call.to == ADA)
    refused, _ = await client.create()
    other, _ = await client.create(To="+15550009999")
    rule.stop()
    again, _ = await client.create()

    assert (refused, other, again, rule.used) == (400, 201, 201, 1)


async def test_faults_can_be_forgotten(twilio, client):
    twilio.fail("CreateMessage", TwilioError(20500), times=None)
    twilio.forget_faults()

    assert (await client.create())[0] == 201


async def test_a_refused_call_may_lose_its_answer_too(twilio, client):
    twilio.post_sms(ADA, "STOP")
    twilio.fail("CreateMessage", Drop())
    with pytest.raises(aiohttp.ClientError):
        await client.create()

    assert twilio.sent(ADA) == []


async def test_stop_by_whatsapp_is_an_ordinary_text_without_advanced_opt_out(twilio, client):
    twilio.post_whatsapp(ADA, "STOP")
    status, _ = await client.create(To=WHATSAPP_ADA, From=twilio.whatsapp)

    assert (status, twilio.auto_replies) == (201, [])


async def test_a_deleted_message_is_gone(twilio, client):
    _, made = await client.create()
    await twilio.wait_until_quiet()
    path = f"/Messages/{made['sid']}.json"
    deleted, _ = await client.ask("DELETE", path)
    again, _ = await client.ask("GET", path)

    assert (deleted, again) == (204, 404)
    with pytest.raises(TimeoutError, match="0 of 1"):
        await twilio.wait_for_sent(1, timeout_s=0.01)


async def test_what_does_not_come_is_said(twilio):
    with pytest.raises(TimeoutError, match="0 of 1 messages were sent"):
        await twilio.wait_for_sent(1, timeout_s=0.01)
    with pytest.raises(TimeoutError, match="0 of 1 calls of ListMessage came"):
        await twilio.wait_for_calls("ListMessage", timeout_s=0.01)
    twilio.plan(Journey(("sent",), step_s=60))
    async with plain(twilio) as client:
        await client.create()
    with pytest.raises(TimeoutError, match="still on their way"):
        await twilio.wait_until_quiet(timeout_s=0.01)
    with pytest.raises(TimeoutError, match="did not come true"):
        await twilio.wait_until(lambda: False, timeout_s=0.01)
