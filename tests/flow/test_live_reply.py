"""What a person sees while a turn runs never delays the turn and never outlives it."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.contract import Address, Capabilities, LiveOutput, ReplyTo
from gateway.domain.conversation import ToolCall
from gateway.domain.ids import MessageId
from gateway.domain.turns import MessageStarted, TextDelta, TextRestarted, ToolCalled
from gateway.errors import DeliveryLater
from gateway.flow.live_reply import LiveReply
from gateway.testing.channels import FakeChannel, FakeLive
from gateway.testing.loopback import Changes
from gateway.testing.models import Hold
from tests.flow.house import CHAT, house, until

ID = MessageId("msg_1")
SIGNAL, PREVIEW = Capabilities(live="signal"), Capabilities(live="preview")


async def logged(channel: FakeChannel, entry: str, times: int = 1) -> None:
    """Wait until the live output was told that, so many times."""
    await channel.wait_for(lambda one: one.live_log.count(entry) >= times, what=entry)


async def test_a_signal_is_repeated_while_the_turn_runs() -> None:
    channel = FakeChannel(capabilities=SIGNAL)
    async with LiveReply(channel, CHAT) as live_reply:
        await logged(channel, "working", times=2)
        assert not live_reply.wants_text

    assert channel.live_log[-1] == "end"
    assert not live_reply.has_shown


async def test_a_tool_at_work_is_named() -> None:
    channel = FakeChannel(capabilities=SIGNAL)
    async with LiveReply(channel, CHAT) as live_reply:
        live_reply.notice(ToolCalled(ToolCall("c1", "lookup", "{}"), "Desk"))
        await logged(channel, "working: lookup")


async def test_a_preview_shows_the_text_as_it_grows() -> None:
    channel = FakeChannel(capabilities=PREVIEW)
    async with LiveReply(channel, CHAT) as live_reply:
        assert live_reply.wants_text
        await logged(channel, "working")
        live_reply.notice(MessageStarted(ID, "Desk"))
        live_reply.notice(TextDelta(ID, "Good "))
        await logged(channel, "show: Good ")
        live_reply.notice(TextDelta(ID, "day."))
        await logged(channel, "show: Good day.")
        live_reply.notice(TextRestarted(ID))
        live_reply.notice(TextDelta(ID, "Hello."))
        await logged(channel, "show: Hello.")

    assert live_reply.has_shown


async def test_a_preview_is_repeated_only_before_it_vanishes() -> None:
    channel = Vanishing()
    async with LiveReply(channel, CHAT) as live_reply:
        live_reply.notice(TextDelta(ID, "Hello."))
        await logged(channel, "show: Hello.", times=2)

    assert len(channel.times) == 2
    assert channel.times[1] - channel.times[0] >= 0.3


class Vanishing(FakeChannel):
    """Its previews vanish after 0.3 s, and may be changed every 0.1 s."""

    def __init__(self) -> None:
        super().__init__(capabilities=PREVIEW)
        self.times: list[float] = []

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        output = TimedLive(self.live_log, self._changes, self.times)
        output.refresh_s = 0.3
        yield output


class TimedLive(FakeLive):
    """Notes when text was shown."""

    def __init__(self, log: list[str], changes: Changes, times: list[float]) -> None:
        super().__init__("preview", log, changes)
        self._times = times

    async def show(self, text: str) -> None:
        self._times.append(asyncio.get_running_loop().time())
        await super().show(text)


async def test_a_channel_without_live_output_is_not_asked() -> None:
    channel = FakeChannel()
    async with LiveReply(channel, CHAT) as live_reply:
        live_reply.notice(TextDelta(ID, "Hello."))

    assert channel.live_log == []


async def test_a_chat_for_which_the_channel_has_no_output_is_left_alone() -> None:
    channel = Shy(capabilities=SIGNAL)
    async with LiveReply(channel, CHAT):
        await channel.asked.wait()

    assert channel.live_log == []


class Shy(FakeChannel):
    """Has live output in general, and none for this chat."""

    def __init__(self, *, capabilities: Capabilities) -> None:
        super().__init__(capabilities=capabilities)
        self.asked = asyncio.Event()

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        self.asked.set()
        yield None


async def test_an_error_of_live_output_costs_the_turn_nothing(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    hold = Hold(text="Good ", rest="day.")
    async with house(data, hold, capabilities=PREVIEW) as home, home.at_work():
        home.channel.live_error = DeliveryLater("slow down", retry_after_s=60)
        await home.say("hi")
        await home.until(lambda: any(one["event"] == "live_output_stopped" for one in logs))
        hold.release.set()
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == ["Good day."]


async def test_a_call_that_hangs_ends_live_output_for_this_turn(
    logs: list[MutableMapping[str, Any]],
) -> None:
    channel = Hanging()
    async with LiveReply(channel, CHAT, patience_s=0.02):
        await until(lambda: logs)

    assert [(one["event"], one["error"]) for one in logs] == [
        ("live_output_stopped", "TimeoutError")
    ]


class Hanging(FakeChannel):
    """Its live output hangs in every call."""

    def __init__(self) -> None:
        super().__init__(capabilities=SIGNAL)

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        yield HangingLive("signal", self.live_log, self._changes)


class HangingLive(FakeLive):
    """Never comes back."""

    async def working(self, label: str | None) -> None:
        await asyncio.Event().wait()


async def test_clearing_a_signal_that_hangs_does_not_hold_up_the_reply(
    logs: list[MutableMapping[str, Any]],
) -> None:
    channel = Sticky()
    async with asyncio.timeout(2):
        async with LiveReply(channel, CHAT, patience_s=0.02):
            await logged(channel, "working")
    channel.may_end.set()

    assert [one["event"] for one in logs] == ["live_output_stuck"]


class Sticky(FakeChannel):
    """Takes its time to clear a signal."""

    def __init__(self) -> None:
        super().__init__(capabilities=SIGNAL)
        self.may_end = asyncio.Event()

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        try:
            yield FakeLive("signal", self.live_log, self._changes)
        finally:
            await self.may_end.wait()


async def test_live_output_is_over_before_the_turn_is_committed(data: Path) -> None:
    hold = Hold(text="Good ", rest="day.")
    async with house(data, hold, capabilities=PREVIEW) as home, home.at_work():
        home.flaky.after["commit_turn"] = lambda: home.channel.live_log.append("committed")
        await home.say("hi")
        await logged(home.channel, "show: Good ")
        hold.release.set()
        await home.channel.wait_for_sent(1)

    assert home.channel.live_log[-2:] == ["end", "committed"]


async def test_live_output_can_be_switched_off(data: Path) -> None:
    quiet = house(data, "Hello.", capabilities=SIGNAL, live="off")
    async with quiet as home, home.at_work():
        await home.say("hi")
        await home.channel.wait_for_sent(1)

    assert home.channel.live_log == []
