"""The table of Twilio's failures, row by row: as an answer to a create, and by callback later."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from channels.twilio.failures import FAILURES, delivery_error
from channels.twilio.transport import NoAnswer, Refused
from gateway.contract import Attachment, ConsentChanged, DeliveryReport, Reachability
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, GatewayError
from gateway.testing import Drop, Garbled, HtmlError
from gateway.testing.twilio.faults import TwilioError, too_many_concurrent
from gateway.testing.twilio.journey import not_delivered, not_sent
from tests.channels.twilio.running import Running, connected

TOO_LONG = 21617
MORNING = datetime(2026, 11, 21, 6, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A code as the answer to a create: the error, and what else comes of it."""

    code: int
    error: type[GatewayError]
    scope: str = "part"
    retry_after_s: float | None = None
    state: str | None = None
    error_code: str = ""
    status: int = 0
    waits_for_tomorrow: bool = False


ANSWERS = [
    Row(20003, DeliveryRefused, "account", state="stopped"),
    Row(20404, DeliveryRefused, "account", state="stopped"),
    Row(20429, DeliveryLater, "account", retry_after_s=1),
    Row(21211, DeliveryRefused, "address"),
    Row(21214, DeliveryRefused, "address"),
    Row(21217, DeliveryRefused, "address"),
    Row(21614, DeliveryRefused, "address"),
    Row(21408, DeliveryRefused, state="degraded"),
    Row(21612, DeliveryRefused, state="degraded"),
    Row(21610, DeliveryRefused, "address", error_code="opted_out"),
    Row(21611, DeliveryLater, "account", retry_after_s=300),
    Row(30001, DeliveryLater, "account", retry_after_s=60),
    Row(21617, DeliveryRefused),
    Row(21620, DeliveryRefused),
    Row(21621, DeliveryRefused),
    Row(21622, DeliveryRefused),
    Row(21623, DeliveryRefused),
    Row(30007, DeliveryRefused),
    Row(63016, DeliveryRefused),
    Row(63018, DeliveryLater, "account", retry_after_s=3600),
    Row(63038, DeliveryLater, "account", waits_for_tomorrow=True),
    Row(63003, DeliveryRefused, "address"),
    Row(63024, DeliveryRefused, "address"),
    Row(21999, DeliveryRefused),
    Row(20500, DeliveryUnknown, "", status=500),
    Row(20503, DeliveryUnknown, "", status=503),
]


@pytest.mark.proves("C-7", "TW-22")
@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: str(row.code))
async def test_each_code_of_a_refused_create_has_its_meaning(row: Row) -> None:
    async with connected() as running:
        fault = TwilioError(row.code, "No.", status=row.status)
        running.twilio.fail("CreateMessage", fault, times=None)

        with pytest.raises(row.error) as caught:
            await running.send("Hello")

        error = caught.value
        assert getattr(error, "scope", "") == row.scope
        waits = getattr(error, "retry_after_s", None)
        if row.waits_for_tomorrow:
            assert waits is not None
            assert 0 < waits <= 86_400
        else:
            assert waits == (row.retry_after_s and pytest.approx(row.retry_after_s, rel=0.3))
        assert [state for state, _ in running.host.states[1:]] == ([row.state] if row.state else [])
        assert getattr(error, "code", "") == (row.error_code or row.error.default_code)
        tries = 2 if row.code == TOO_LONG else 1
        assert len(running.twilio.calls_of("CreateMessage")) == tries


@dataclass(frozen=True)
class Later:
    """A code in a callback: what is told of the delivery, the person and the sender."""

    code: int
    again_in_s: float | None = None
    is_unreachable: bool = False
    opts_out: bool = False
    holds_s: float = 0
    state: str | None = None


CALLBACKS = [
    Later(30001, again_in_s=60, holds_s=60),
    Later(30022, again_in_s=60, holds_s=60),
    Later(30003, again_in_s=600),
    Later(30008, again_in_s=600),
    Later(30004, is_unreachable=True),
    Later(30005, is_unreachable=True),
    Later(30006, is_unreachable=True),
    Later(30034, is_unreachable=True, state="degraded"),
    Later(30007),
    Later(63016),
    Later(63018, again_in_s=3600, holds_s=3600),
    Later(63003, is_unreachable=True),
    Later(63024, is_unreachable=True),
    Later(21610, opts_out=True),
    Later(12345),
]


@pytest.mark.proves("C-7")
@pytest.mark.parametrize("row", CALLBACKS, ids=lambda row: str(row.code))
async def test_each_code_of_a_callback_has_its_meaning(row: Later) -> None:
    async with connected() as running:
        running.twilio.plan(not_delivered(row.code))
        sid = await running.send("Hello", delivery_id="dlv_7")
        await running.twilio.wait_until_quiet()

        failed = reports(running)[-1]
        assert (failed.status, failed.delivery_id, failed.provider_id) == ("failed", "dlv_7", sid)
        assert failed.again_in_s == row.again_in_s
        gone = [one for one in running.host.inbound if isinstance(one, Reachability)]
        assert [one.is_reachable for one in gone] == [False] * row.is_unreachable
        left = [one for one in running.host.inbound if isinstance(one, ConsentChanged)]
        assert [one.is_opted_out for one in left] == [True] * row.opts_out
        assert [state for state, _ in running.host.states[1:]] == ([row.state] if row.state else [])
        if row.holds_s:
            with pytest.raises(DeliveryLater) as caught:
                await running.send("Hello again")
            assert caught.value.scope == "account"
            assert caught.value.retry_after_s == pytest.approx(row.holds_s, abs=20)


def reports(running: Running) -> list[DeliveryReport]:
    return [one for one in running.host.inbound if isinstance(one, DeliveryReport)]


def test_the_daily_limit_is_over_with_the_day() -> None:
    refusal = Refused(400, 63038, "Account exceeded the daily messages limit")

    error = delivery_error(refusal, now=MORNING)

    assert isinstance(error, DeliveryLater)
    assert error.retry_after_s == timedelta(hours=18).total_seconds()


async def test_the_daily_limit_told_later_holds_the_sender() -> None:
    async with connected() as running:
        running.twilio.plan(not_sent(63038))
        await running.send("Hello")
        await running.twilio.wait_until_quiet()

        [failed] = reports(running)
        assert failed.again_in_s is not None
        assert 0 < failed.again_in_s <= 86_400
        with pytest.raises(DeliveryLater):
            await running.send("Hello again")


@dataclass(frozen=True)
class Simpler:
    """A code that a text with a file is refused with, and what is taken in its place."""

    code: int
    bodies: tuple[str, ...]


@pytest.mark.proves("C-7")
@pytest.mark.parametrize(
    "row",
    [
        Simpler(21617, ("One two.", "Three four.")),
        Simpler(21620, ("One two. Three four.",)),
        Simpler(21621, ("One two. Three four.",)),
        Simpler(21622, ("One two. Three four.",)),
        Simpler(21623, ("One two. Three four.",)),
    ],
    ids=lambda row: str(row.code),
)
async def test_what_has_the_wrong_form_goes_once_more_in_a_simpler_one(row: Simpler) -> None:
    files = () if row.code == TOO_LONG else (Attachment("image", "file_1", "a.png", "image/png"),)
    async with connected() as running:
        running.twilio.fail("CreateMessage", TwilioError(row.code))
        sid = await running.send("One two. Three four.", *files)

        sent = running.twilio.sent()
        assert tuple(message.body for message in sent) == row.bodies
        assert not any(message.media_urls for message in sent)
        assert sid == sent[-1].sid


async def test_more_than_three_filtered_messages_in_an_hour_raise_an_alarm() -> None:
    async with connected() as running:
        running.twilio.plan(not_delivered(30007), times=4)
        for number in range(4):
            assert "degraded" not in [state for state, _ in running.host.states]
            await running.send("Hello", delivery_id=f"dlv_{number}")
            await running.twilio.wait_until_quiet()

        state, reason = running.host.states[-1]
        assert state == "degraded"
        assert "spam (30007)" in (reason or "")


@pytest.mark.proves("TW-33")
async def test_tw_33_too_many_calls_at_once_wait_longer_each_time() -> None:
    async with connected() as running:
        running.twilio.fail("CreateMessage", too_many_concurrent(), times=7)
        waits = []
        for _ in range(7):
            with pytest.raises(DeliveryLater) as caught:
                await running.send("Hello")
            waits.append(caught.value.retry_after_s)

        for wait_s, least in zip(waits, (1, 2, 4, 8, 16, 30, 30), strict=True):
            assert wait_s is not None
            assert least <= wait_s <= least * 1.25
        await running.send("Hello")
        running.twilio.fail("CreateMessage", too_many_concurrent())
        with pytest.raises(DeliveryLater) as caught:
            await running.send("Hello")
        assert (caught.value.retry_after_s or 0) < 2


@pytest.mark.proves("TW-33")
async def test_tw_33_what_twilio_says_about_waiting_wins() -> None:
    async with connected() as running:
        running.twilio.fail("CreateMessage", too_many_concurrent(retry_after_s=17))
        with pytest.raises(DeliveryLater) as caught:
            await running.send("Hello")

    assert caught.value.retry_after_s == 17


@pytest.mark.proves("C-7")
@pytest.mark.parametrize(
    "fault",
    [Drop(accepted=True), Drop(accepted=False), HtmlError(502), Garbled(), Garbled("[]")],
    ids=repr,
)
async def test_an_answer_that_says_nothing_leaves_a_doubt_and_one_post(fault) -> None:
    async with connected() as running:
        running.twilio.fail("CreateMessage", fault)
        with pytest.raises(DeliveryUnknown):
            await running.send("Hello")

        assert len(running.twilio.calls_of("CreateMessage")) == 1


def test_a_call_that_was_never_written_is_tried_again() -> None:
    unwritten = delivery_error(NoAnswer("no way", was_written=False), now=MORNING)

    assert isinstance(unwritten, DeliveryLater)
    assert unwritten.retry_after_s is None


def test_any_answer_at_all_has_a_meaning() -> None:
    for _ in range(200):
        status, code = random.randint(300, 599), random.choice([*FAILURES, 1, 99999])
        error = delivery_error(Refused(status, code, "No."), now=MORNING)
        assert isinstance(error, DeliveryLater | DeliveryRefused | DeliveryUnknown)
        assert isinstance(error, DeliveryUnknown) == (status >= 500)


@pytest.mark.proves("TW-22")
async def test_tw_22_a_block_we_did_not_know_of_closes_the_address() -> None:
    async with connected() as running:
        running.twilio.set_webhook(None)
        running.twilio.post_sms(running.address().chat, "STOP")

        with pytest.raises(DeliveryRefused) as caught:
            await running.send("Hello")

        assert (caught.value.scope, caught.value.code) == ("address", "opted_out")


async def test_right_credentials_end_the_alarm_of_wrong_ones() -> None:
    async with connected() as running:
        running.twilio.fail("CreateMessage", TwilioError(20003))
        with pytest.raises(DeliveryRefused):
            await running.send("Hello")
        await running.send("Hello")

        assert [state for state, _ in running.host.states] == ["connected", "stopped", "connected"]
