"""What a webhook missed is found in Twilio's list, once and in order."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from channels.twilio.catchup import CURSOR, CatchUp
from channels.twilio.files_in import Leftovers
from channels.twilio.transport import Refused
from gateway.contract import ConsentChanged
from gateway.errors import Unavailable
from gateway.testing import HtmlError
from gateway.testing.twilio.faults import wrong_credentials
from gateway.testing.twilio.messages import MediaFile
from tests.channels.twilio.running import PERSON, POOL, QUICK, Running, clean, connected, fake

BUSY = Unavailable("the store is away", retry_after_s=1)


def catch_up(running: Running) -> CatchUp:
    """One that is run by hand."""
    wire = running.channel._connected_wire()
    return CatchUp(
        api=wire.mailer.api,
        host=running.host,
        line=wire.desk.line,
        door=wire.desk.door,
        health=wire.desk.health,
        leftovers=Leftovers(running.host),
        times=QUICK,
    )


def was_here(running: Running, *, ago: timedelta = timedelta(minutes=1)) -> None:
    """As if the channel had last looked then."""
    running.host.cursors[CURSOR] = (datetime.now(UTC) - ago).isoformat()


@pytest.mark.proves("TW-8")
async def test_tw_8_lost_messages_are_taken_in_order_at_the_start() -> None:
    async with connected() as running:
        with clean(running):
            was_here(running)
            running.twilio.set_webhook(None)
            for number in range(3):
                running.twilio.post_sms(PERSON, f"number {number}")
            running.twilio.post_sms(PERSON, "STOP")
            async with running.channel.receiving():
                await running.host.until(lambda: len(running.host.inbound) == 4)

        assert running.host.texts == ["number 0", "number 1", "number 2", "STOP"]
        assert isinstance(running.host.inbound[-1], ConsentChanged)


@pytest.mark.proves("TW-8")
async def test_tw_8_the_place_in_the_list_stays_behind_what_was_not_looked_through() -> None:
    async with connected() as running:
        was_here(running, ago=timedelta(hours=3))
        began_at = datetime.fromisoformat(running.host.cursors[CURSOR])
        running.twilio.fail("ListMessage", HtmlError(503))
        with pytest.raises(Refused):
            await catch_up(running).look()
        assert datetime.fromisoformat(running.host.cursors[CURSOR]) == began_at

        calls = iter((False, True))
        running.twilio.fail("ListMessage", HtmlError(503), when=lambda _: next(calls, False))
        with pytest.raises(Refused):
            await catch_up(running).look()
        looked_to = datetime.fromisoformat(running.host.cursors[CURSOR])
        assert began_at < looked_to < began_at + timedelta(hours=1)


@pytest.mark.proves("TW-8", "C-3")
async def test_tw_8_a_message_that_came_by_webhook_is_not_taken_again() -> None:
    async with connected() as running:
        was_here(running)
        running.twilio.post_sms(PERSON, "Hello")
        await running.twilio.wait_until_quiet()

        await catch_up(running).look()

        assert running.host.texts == ["Hello"]


@pytest.mark.proves("TW-8", "C-3")
async def test_tw_8_after_a_start_it_is_the_same_event() -> None:
    async with connected() as running:
        was_here(running)
        running.twilio.post_sms(PERSON, "Hello", media=[MediaFile(b"x")])
        await running.twilio.wait_until_quiet()
        running.channel._connected_wire().desk.door._known.clear()

        await catch_up(running).look()

        first, second = running.host.inbound
        assert (first.external_id, first.digest) == (second.external_id, second.digest)
        assert first.attachments == second.attachments


@pytest.mark.proves("TW-8")
async def test_tw_8_the_first_start_answers_nothing_old() -> None:
    async with connected() as running:
        running.twilio.set_webhook(None)
        running.twilio.post_sms(PERSON, "before we were there")
        await catch_up(running).look()
        assert running.host.inbound == []
        assert CURSOR in running.host.cursors

        running.twilio.post_sms(PERSON, "after")
        await catch_up(running).look()
        assert "after" in running.host.texts


@pytest.mark.proves("TW-8")
async def test_tw_8_a_pool_hears_what_came_to_its_own_numbers() -> None:
    twilio = fake(services={"MG" + "9" * 32: ("+15550107777",)})
    async with connected(twilio, **POOL) as running:
        was_here(running)
        twilio.set_webhook(None)
        twilio.post_sms(PERSON, "mine")
        twilio.post_sms(PERSON, "another's", to="+15550107777")
        twilio.post_whatsapp(PERSON, "by WhatsApp")

        await catch_up(running).look()

        assert running.host.texts == ["mine"]


@pytest.mark.proves("TW-8")
async def test_tw_8_a_day_of_downtime_is_looked_through_hour_by_hour() -> None:
    twilio = fake()
    twilio.pass_time(timedelta(hours=-24))
    async with connected(twilio) as running:
        with clean(running):
            was_here(running, ago=timedelta(hours=24))
            twilio.set_webhook(None)
            for hour in range(24):
                twilio.post_sms(PERSON, f"hour {hour}")
                twilio.pass_time(timedelta(hours=1))

            await catch_up(running).look()

        assert running.host.texts == [f"hour {hour}" for hour in range(24)]
        assert len(twilio.calls_of("ListMessage")) >= 24
        cursor = datetime.fromisoformat(running.host.cursors[CURSOR])
        assert datetime.now(UTC) - cursor < timedelta(minutes=1)


async def test_more_messages_than_pages_make_the_window_smaller(monkeypatch) -> None:
    monkeypatch.setattr("channels.twilio.catchup.MAX_PAGES", 1)
    monkeypatch.setattr("channels.twilio.api.PAGE_SIZE", 2)
    twilio = fake()
    twilio.pass_time(timedelta(minutes=-40))
    async with connected(twilio) as running:
        was_here(running, ago=timedelta(minutes=45))
        twilio.set_webhook(None)
        for number in range(6):
            twilio.post_sms(PERSON, f"number {number}")
            twilio.pass_time(timedelta(minutes=6))

        await catch_up(running).look()

        assert running.host.texts == [f"number {number}" for number in range(6)]


async def test_what_is_not_stored_is_looked_up_again() -> None:
    async with connected() as running:
        was_here(running)
        running.twilio.set_webhook(None)
        running.twilio.post_sms(PERSON, "Hello")
        running.host.failures += [BUSY]
        async with running.channel.receiving():
            await running.host.until(lambda: running.host.texts == ["Hello"])

        assert running.host.refused == 1
        states = [state for state, _ in running.host.states]
        assert "degraded" in states


async def test_a_list_that_cannot_be_had_is_told_and_asked_for_again() -> None:
    async with connected() as running:
        was_here(running)
        running.twilio.fail("ListMessage", HtmlError(502), times=2)
        async with running.channel.receiving():
            await running.host.until_state("degraded", "cannot be looked up")
            await running.twilio.wait_for_calls("ListMessage", 3)
            await running.host.until(lambda: running.host.states[-1] == ("connected", None))


async def test_refused_credentials_stop_the_channel_and_right_ones_start_it() -> None:
    async with connected() as running:
        was_here(running)
        running.twilio.fail("ListMessage", wrong_credentials())
        async with running.channel.receiving():
            await running.host.until_state("stopped", "refuses the credentials")
            await running.host.until(lambda: running.host.states[-1] == ("connected", None))


async def test_our_own_messages_in_the_list_are_not_heard() -> None:
    async with connected() as running:
        was_here(running)
        await running.send("Hello")
        await running.twilio.wait_until_quiet()
        running.host.batches.clear()

        await catch_up(running).look()

        assert running.host.inbound == []


async def test_leaving_stops_looking() -> None:
    async with connected(hears=True) as running:
        await running.host.until(lambda: CURSOR in running.host.cursors)
    assert not [task for task in asyncio.all_tasks() if "catching up" in task.get_name()]
