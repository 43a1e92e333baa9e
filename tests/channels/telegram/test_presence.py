"""A day without Telegram: what it lost for us is told, once, and nothing else is."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from channels.telegram.presence import Presence
from gateway.errors import StoreError
from gateway.testing.host import FakeHost
from tests.channels.telegram.running import hooked, polling

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOTE = "answered:123456789"


class Forgetful(FakeHost):
    """A host that keeps no notes for now."""

    async def keep_note(self, key: str, value: object, *, is_secret: bool = False) -> None:
        raise StoreError("the store is away")


async def answers(host: FakeHost, *hours: float) -> list[int]:
    """Telegram answers at these hours after noon; gives the gaps that were told."""
    presence = Presence(host, account="123456789")
    with capture_logs() as logs:
        for hour in hours:
            await presence.answered(NOON + timedelta(hours=hour))
    return [line["away_h"] for line in logs if line["event"] == "updates_lost"]


@pytest.mark.proves("TG-6")
@pytest.mark.parametrize(
    ("hours", "told"), [((0,), []), ((0, 23.9), []), ((0, 24.1), [24]), ((0, 50, 51, 80), [50, 29])]
)
async def test_tg_6_only_what_telegram_did_not_keep_is_told_as_lost(hours, told):
    assert await answers(FakeHost(), *hours) == told


@pytest.mark.proves("TG-6")
async def test_tg_6_a_gap_is_seen_over_a_restart_and_told_once():
    host = FakeHost()

    assert await answers(host, 0, 1) == []
    assert await answers(host, 30) == [29]
    assert await answers(host, 30.5) == []


@pytest.mark.proves("TG-6")
@pytest.mark.parametrize("way", [polling, hooked], ids=["polling", "webhook"])
async def test_tg_6_each_way_of_receiving_keeps_the_time_of_the_last_answer(way):
    before = datetime.now(UTC)
    async with way() as running:
        await running.host.until_state("connected")
        await running.telegram.wait_for_calls("getUpdates" if way is polling else "getWebhookInfo")
        running.telegram.post_text(7, 7, "hello")
        await running.host.until(lambda: running.host.texts == ["hello"])
        noted = running.host.notes[NOTE]["at"]

    assert datetime.fromisoformat(noted) >= before


async def test_the_time_is_written_down_every_ten_minutes_and_not_with_each_answer():
    host = FakeHost()
    presence = Presence(host, account="123456789")
    written = []
    for minute in range(25):
        await presence.answered(NOON + timedelta(minutes=minute))
        written.append(host.notes[NOTE]["at"])

    assert len(set(written)) == 3


async def test_a_store_that_is_away_hinders_nothing():
    assert await answers(Forgetful(), 0, 1) == []


async def test_a_clock_that_was_set_back_is_no_gap():
    assert await answers(FakeHost(), 100, 0, 1) == []
