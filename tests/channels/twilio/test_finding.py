"""A send without an answer is looked up, never simply repeated."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import DeliveryLater, DeliveryUnknown
from gateway.testing import Drop, HtmlError
from gateway.testing.twilio.journey import Journey, not_delivered
from tests.channels.twilio.running import PERSON, Running, clean, connected, fake

TEMPLATE = "HX" + "d" * 32


async def lose(running: Running, text: str, *, accepted: bool, delivery_id: str = "dlv_1"):
    """Send with the answer lost; the question that follows."""
    since = datetime.now(UTC)
    running.twilio.fail("CreateMessage", Drop(accepted=accepted))
    with pytest.raises(DeliveryUnknown):
        await running.send(text, delivery_id=delivery_id)
    return running.query(text, since=since, delivery_id=delivery_id)


@pytest.mark.proves("TW-36")
async def test_tw_36_a_callback_finds_the_message_without_a_question() -> None:
    async with connected() as running:
        query = await lose(running, "Hello", accepted=True)
        await running.twilio.wait_until_quiet()

        found = await running.channel.find_sent(query)

        assert found is not None
        assert found.provider_id == running.twilio.sent()[0].sid
        assert {one.delivery_id for one in running.host.inbound} == {"dlv_1"}
        assert running.twilio.calls_of("ListMessage") == []


@pytest.mark.proves("TW-36", "C-7")
async def test_tw_36_without_a_callback_the_list_is_asked() -> None:
    async with connected() as running:
        with clean(running):
            running.twilio.plan(Journey(("sent",), told=()))
            query = await lose(running, "“Hello” …", accepted=True)
            await running.twilio.wait_until_quiet()

            found = await running.channel.find_sent(query)

        assert found is not None
        assert found.provider_id == running.twilio.sent()[0].sid
        [call] = running.twilio.calls_of("ListMessage")
        assert call.to == PERSON
        assert call.has("DateSent>")


async def test_what_never_arrived_is_not_found() -> None:
    async with connected() as running:
        query = await lose(running, "Hello", accepted=False)

        assert await running.channel.find_sent(query) is None
        assert len(running.twilio.calls_of("CreateMessage")) == 1


async def test_the_same_words_of_another_delivery_are_not_taken_for_it() -> None:
    async with connected() as running:
        await running.send("OK", delivery_id="dlv_0")
        query = await lose(running, "OK", accepted=False)

        assert await running.channel.find_sent(query) is None


async def test_the_same_words_of_long_ago_are_not_taken_for_it() -> None:
    twilio = fake()
    async with connected(twilio) as running:
        twilio.plan(Journey(("sent",), told=()))
        await lose(running, "OK", accepted=True, delivery_id="dlv_0")
        await twilio.wait_until_quiet()
        query = running.query("OK", since=datetime.now(UTC) + timedelta(seconds=10))

        assert await running.channel.find_sent(query) is None


async def test_words_to_another_person_are_not_taken_for_it() -> None:
    async with connected() as running:
        running.twilio.plan(Journey(("sent",), told=()), times=None)
        since = datetime.now(UTC)
        running.twilio.fail("CreateMessage", Drop(accepted=True))
        [part] = running.parts("OK")
        with pytest.raises(DeliveryUnknown):
            await running.channel.deliver(
                running.address("+15550008888"), part, delivery_id="dlv_0"
            )

        assert await running.channel.find_sent(running.query("OK", since=since)) is None


async def test_a_message_that_failed_at_once_is_still_found() -> None:
    async with connected() as running:
        running.twilio.plan(not_delivered(30003))
        query = await lose(running, "Hello", accepted=True)
        await running.twilio.wait_until_quiet()

        assert await running.channel.find_sent(query) is not None


async def test_a_template_is_found_by_its_variable() -> None:
    async with connected(kind="whatsapp", template_sid=TEMPLATE) as running:
        query = await lose(running, "Your parcel\nis here", accepted=True)
        [message] = running.twilio.sent()
        message.body = "Dear customer: Your parcel is here"
        message.status_callback = None
        running.channel._wire.desk.memory._sid_of.clear()  # type: ignore[union-attr]  # as after a start

        found = await running.channel.find_sent(query)

        assert found is not None


async def test_a_platform_that_does_not_answer_is_asked_again() -> None:
    async with connected() as running:
        query = await lose(running, "Hello", accepted=False)
        running.twilio.fail("ListMessage", HtmlError(502))

        with pytest.raises(DeliveryLater):
            await running.channel.find_sent(query)


async def test_a_doubtful_message_is_held_by_default() -> None:
    async with connected() as running:
        assert running.channel.capabilities.on_ambiguous == "hold"
        assert running.channel.capabilities.can_ask
