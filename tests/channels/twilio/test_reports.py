"""What status callbacks tell about deliveries and people."""

import pytest

from channels.twilio.forms import Form
from channels.twilio.parse import Ignored
from channels.twilio.reports import Report, report
from gateway.contract import DeliveryReport
from gateway.testing.twilio.journey import Journey
from tests.channels.twilio.running import PERSON, POOL, clean, connected
from tests.channels.twilio.test_parse import NOW, line

SID = "SM" + "c" * 32


def read(status: str, *, delivery_id: str = "dlv_1", **fields: str) -> Report | Ignored:
    form = Form({"MessageSid": SID, "MessageStatus": status, "To": PERSON, **fields})
    return report(form, line(), delivery_id=delivery_id, received_at=NOW)


def told(status: str, **more: str) -> DeliveryReport:
    found = read(status, **more)
    assert isinstance(found, Report)
    assert isinstance(found.events[0], DeliveryReport)
    return found.events[0]


@pytest.mark.proves("TW-35")
@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("accepted", "sent"),
        ("scheduled", "sent"),
        ("queued", "sent"),
        ("sending", "sent"),
        ("sent", "sent"),
        ("partially_delivered", "sent"),
        ("delivered", "delivered"),
        ("read", "read"),
        ("undelivered", "failed"),
        ("failed", "failed"),
        ("canceled", "failed"),
    ],
)
def test_tw_35_every_status_has_a_rank(status, meaning) -> None:
    assert told(status).status == meaning


@pytest.mark.proves("TW-35", "C-9")
@pytest.mark.parametrize("status", ["receiving", "received", "teleported", ""])
def test_tw_35_other_statuses_are_ignored(status) -> None:
    assert read(status) == Ignored(f"status_{status}")


@pytest.mark.proves("TW-36")
def test_tw_36_a_callback_names_our_delivery_and_twilios_message() -> None:
    known, unknown = told("sent"), told("sent", delivery_id="'; DROP")

    assert (known.delivery_id, known.provider_id) == ("dlv_1", SID)
    assert (unknown.delivery_id, unknown.provider_id) == (None, SID)


@pytest.mark.proves("C-3")
def test_c_3_a_callback_is_known_by_its_message_and_status() -> None:
    assert told("sent").external_id == told("sent").external_id
    assert told("sent").external_id != told("delivered").external_id


def test_a_failure_says_why() -> None:
    assert told("undelivered", ErrorCode="30005").error == "Twilio: undelivered (30005)"
    assert told("canceled").error == "Twilio: canceled"
    assert told("failed", ErrorCode="63016", ErrorMessage="Outside").error == (
        "Twilio: failed (63016: Outside)"
    )


@pytest.mark.proves("TW-35")
async def test_tw_35_statuses_arrive_in_any_order_and_all_are_told() -> None:
    async with connected() as running:
        with clean(running):
            running.twilio.plan(Journey(("sent", "delivered"), told=("delivered", "sent", "sent")))
            await running.send("Hello", delivery_id="dlv_9")
            await running.twilio.wait_until_quiet()

        assert [one.status for one in running.host.inbound] == ["delivered", "sent"]
        assert {one.delivery_id for one in running.host.inbound} == {"dlv_9"}


@pytest.mark.proves("TW-34")
async def test_tw_34_a_messaging_service_says_accepted_and_tells_later() -> None:
    async with connected(**POOL) as running:
        with clean(running):
            sid = await running.send("Hello")
            await running.twilio.wait_until_quiet()

        [message] = running.twilio.sent()
        assert message.statuses == ["accepted", "queued", "sending", "sent", "delivered"]
        assert {one.provider_id for one in running.host.inbound} == {sid}
        assert [one.status for one in running.host.inbound] == ["sent", "sent", "sent", "delivered"]
