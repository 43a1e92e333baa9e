"""Live output takes what deliveries leave, and shows no more than its channel was told to."""

import asyncio
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import Address, Capabilities, Pace
from gateway.domain.conversation import ToolCall
from gateway.domain.ids import MessageId
from gateway.domain.turns import TextDelta, ToolCalled
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown
from gateway.flow.live_reply import LiveOutputs, LiveReply
from gateway.flow.pace import Pacer
from gateway.testing.channels import FakeChannel, HeldSend
from gateway.testing.models import Hold
from tests.flow.house import CHAT, house

GROUP, TOPIC, PERSON = Address("tg", "-5"), Address("tg", "-5", "7"), Address("tg", "5")
PACE = Pace(
    account_per_s=30,
    address_per_s=1,
    address_burst=4,
    slow=lambda address: address.chat.startswith("-"),
    slow_per_s=20 / 60,
    slow_burst=2,
)
ID = MessageId("msg_1")


def spares(pacer: Pacer, address: Address, *, is_message: bool = True, now: float = 0) -> int:
    """How many calls live output may make there at once."""
    count = 0
    while count < 100 and pacer.spare(address, is_message=is_message, now=now):
        count += 1
    return count


class TestPacing:
    def test_a_growing_message_leaves_half_of_a_burst_to_deliveries(self) -> None:
        pacer = Pacer(PACE, now=0)

        assert spares(pacer, PERSON) == 2
        assert pacer.sent(PERSON, now=0) == 0

    def test_it_goes_on_as_fast_as_the_platform_takes_messages(self) -> None:
        pacer = Pacer(PACE, now=0)
        spares(pacer, GROUP)

        grown = [spares(pacer, GROUP, now=second) for second in range(1, 61)]

        assert 19 <= sum(grown) <= 20

    def test_what_was_delivered_counts_and_the_threads_of_a_chat_share_its_pace(self) -> None:
        pacer = Pacer(PACE, now=0)
        pacer.sent(GROUP, now=0)
        pacer.sent(TOPIC, now=0)

        assert spares(pacer, TOPIC) == 0
        assert spares(pacer, PERSON) > 0

    def test_a_preview_is_no_message_of_its_chat(self) -> None:
        pacer = Pacer(PACE, now=0)
        spares(pacer, PERSON)

        assert spares(pacer, PERSON, is_message=False) > 3

    def test_an_account_keeps_half_of_its_burst_for_deliveries(self) -> None:
        pacer = Pacer(PACE, now=0)

        for number in range(100):
            pacer.spare(Address("tg", str(number)), is_message=True, now=0)

        assert pacer.free(now=0) == 15

    def test_a_delivery_at_work_goes_first(self) -> None:
        pacer = Pacer(PACE, now=0)

        with pacer.delivering(PERSON):
            assert spares(pacer, PERSON, is_message=False) == 0
            assert spares(pacer, GROUP) > 0
        assert spares(pacer, PERSON) > 0

    @pytest.mark.parametrize("held", [PERSON, None], ids=["the chat", "the account"])
    def test_a_pause_the_platform_asked_for_holds_for_all(self, held: Address | None) -> None:
        pacer = Pacer(PACE, now=0)
        pacer.hold(held, until=5)

        assert spares(pacer, PERSON, is_message=False, now=4) == 0
        assert (spares(pacer, GROUP, now=4) == 0) == (held is None)
        assert spares(pacer, PERSON, now=5) > 0

    def test_a_channel_without_a_pace_shows_what_it_likes(self) -> None:
        assert spares(Pacer(Pace(), now=0), PERSON) == 100


async def test_a_throttled_delivery_silences_the_text_but_not_the_signal(data: Path) -> None:
    hold = Hold(text="Good ", rest="day.")
    capabilities = Capabilities(live="preview")
    async with house(data, "One.", hold, capabilities=capabilities) as home, home.at_work():
        home.channel.fail(DeliveryLater("slow down", retry_after_s=60, scope="account"))
        await home.say("one")
        await home.channel.wait_for_tries(1)
        home.channel.live_log.clear()
        await home.say("two")
        await hold.reached.wait()
        await home.channel.wait_for(lambda one: one.live_log.count("working") >= 3)

        assert set(home.channel.live_log) == {"working"}
        hold.release.set()
        await home.settled()


@pytest.mark.parametrize("kind", ["preview", "message"])
async def test_a_channel_told_to_signal_only_shows_no_text(data: Path, kind: Any) -> None:
    hold = Hold(text="Good ", rest="day.")
    quiet = house(data, hold, capabilities=Capabilities(live=kind), live="signal")
    async with quiet as home, home.at_work():
        await home.say("hi")
        await hold.reached.wait()
        await home.channel.wait_for(lambda one: one.live_log.count("working") >= 2)
        hold.release.set()
        await home.channel.wait_for_sent(1)

    assert set(home.channel.live_log) == {"working", "end"}
    assert home.flaky.calls["open_part"] == 0
    assert home.channel.texts == ["Good day."]


@pytest.mark.proves("TG-54")
async def test_tg_54_a_message_that_is_full_grows_no_more_and_the_rest_follows(
    data: Path,
) -> None:
    hold = Hold(text="Part one", rest=" goes on.\fPart two.")
    growing = Capabilities(live="message")
    async with house(data, hold, capabilities=growing) as home, home.at_work():
        await home.say("hi")
        await home.channel.wait_for(lambda one: "show: Part one" in one.live_log)
        hold.release.set()
        sent = await home.channel.wait_for_sent(2)

    assert [(part.text, part.open_ref is not None) for part in sent] == [
        ("Part one goes on.", True),
        ("Part two.", False),
    ]
    assert not [entry for entry in home.channel.live_log if "two" in entry]


async def test_what_is_at_work_is_told_at_once() -> None:
    channel = FakeChannel(capabilities=Capabilities(live="signal"))
    async with LiveReply(channel, CHAT) as live:
        await channel.wait_for(lambda one: "working" in one.live_log)
        live.notice(ToolCalled(ToolCall("c1", "lookup", "{}"), "Desk"))
        await channel.wait_for(lambda one: "working: lookup" in one.live_log)


@pytest.mark.parametrize(
    "error",
    [
        DeliveryLater("slow down", retry_after_s=60),
        DeliveryRefused("no"),
        DeliveryUnknown("no answer"),
        ValueError("a bug"),
    ],
    ids=["throttled", "refused", "unknown", "bug"],
)
@pytest.mark.parametrize("kind", ["signal", "preview", "message"])
async def test_any_error_ends_it_for_this_turn_is_counted_and_clears_the_signal(
    kind: Any, error: Exception, logs: list[MutableMapping[str, Any]]
) -> None:
    channel, outputs = FakeChannel(capabilities=Capabilities(live=kind)), LiveOutputs()
    channel.live_error = error
    async with LiveReply(channel, CHAT, outputs=outputs) as live:
        live.notice(TextDelta(ID, "Good "))
        await channel.wait_for(lambda one: "end" in one.live_log)
        channel.live_error = None
        live.notice(TextDelta(ID, "day."))
        await asyncio.sleep(0)

    assert channel.live_log == ["end"]
    assert outputs.failures == {"fake": 1}
    assert [entry["event"] for entry in logs] == ["live_output_stopped"]


@pytest.mark.parametrize("how", ["stopped", "broken", "given back"])
async def test_however_a_turn_ends_its_signal_is_cleared(data: Path, how: str) -> None:
    hold = Hold(text="Good ")
    signal = Capabilities(live="signal")
    async with house(data, hold, capabilities=signal) as home, home.at_work():
        await home.say("hi")
        await home.channel.wait_for(lambda one: "working" in one.live_log)
        if how == "stopped":
            await home.say("/stop")
            await home.settled()
        elif how == "broken":
            home.channel.render_error = ValueError("a bug")
            hold.release.set()
            await home.settled()

    assert home.channel.live_log[-1] == "end"


async def test_a_delivery_of_the_same_chat_is_not_overtaken_by_a_preview(data: Path) -> None:
    hold, held = Hold(text="Good ", rest="day."), HeldSend()
    capabilities = Capabilities(live="preview")
    async with house(data, "One.", hold, capabilities=capabilities) as home, home.at_work():
        home.channel.fail(held)
        await home.say("one")
        await home.channel.wait_for_tries(1)
        home.channel.live_log.clear()
        await home.say("two")
        await hold.reached.wait()
        await home.channel.wait_for(lambda one: one.live_log.count("working") >= 2)
        before = list(home.channel.live_log)
        held.release.set()
        await home.channel.wait_for(lambda one: "show: Good " in one.live_log)
        hold.release.set()
        await home.channel.wait_for_sent(2)

    assert set(before) == {"working"}
