"""A message that grows while its turn runs becomes the reply, whatever happens on the way."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from gateway.agents.journal import TurnJournal
from gateway.contract import Capabilities
from gateway.domain.bots import Bot
from gateway.domain.conversation import Message, TextPart, ToolCall, Usage
from gateway.domain.ids import MessageId, new_message_id
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import (
    ClaimedTurn,
    MessageCompleted,
    MessageStarted,
    TextDelta,
    TextRestarted,
    TurnEvent,
    TurnFinished,
    TurnWaiting,
)
from gateway.errors import DeliveryLater, DeliveryUnknown
from gateway.flow.growing import GrowingMessage
from gateway.flow.live_reply import LiveReply
from gateway.flow.running import Running, heed
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import ClaimTerms
from gateway.store.protocol.turns import LeaseNews
from gateway.testing.channels import HeldSend
from gateway.testing.models import Hold
from tests.flow.house import CHAT, House, house, queued

MESSAGE = Capabilities(live="message")
ASKABLE = Capabilities(live="message", can_ask=True)


class Told:
    """Thinking that tells a script: pieces of text, what happens between, events to wait for."""

    def __init__(
        self, *steps: str | asyncio.Event | Literal[False, None], end: TurnEvent | None = None
    ) -> None:
        self._steps = steps
        self._end = end or TurnFinished("Desk", "Desk", Usage(), "m")

    async def __call__(
        self, bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        message_id, text = new_message_id(), ""
        yield MessageStarted(message_id, "Desk")
        for step in self._steps:
            match step:
                case asyncio.Event():
                    await step.wait()
                case str():
                    text += step
                    yield TextDelta(message_id, step)
                case False:
                    text = ""
                    yield TextRestarted(message_id)
                case None:
                    yield said(message_id, text)
                    message_id, text = new_message_id(), ""
                    yield MessageStarted(message_id, "Desk")
        if text:
            yield said(message_id, text)
        yield self._end


RESTART: Literal[False] = False
NEXT_MESSAGE = None


def said(message_id: Any, text: str) -> MessageCompleted:
    return MessageCompleted(
        Message(id=message_id, role="assistant", agent="Desk", content=(TextPart(text),))
    )


async def shown(home: House, text: str) -> None:
    """Wait until people see that text in a message that grows."""
    await home.channel.wait_for(lambda one: f"show: {text}" in one.live_log, what=text)


def standing(home: House) -> list[str]:
    """What stands on the platform, oldest first."""
    return list(home.channel.platform.messages.values())


async def is_open(home: House) -> bool:
    return [one.state for one in await home.deliveries()] == ["open"]


async def freeze(home: House) -> None:
    """Let that process claim, renew and send nothing any more."""
    names = ("heartbeat", "claim", "begin_sends")
    for name in names:
        home.flaky.holds[name] = asyncio.Event()
    before = Counter(home.flaky.calls)
    await home.until(lambda: all(home.flaky.calls[name] > before[name] for name in names))


@asynccontextmanager
async def next_life(home: House, *answers: Any) -> AsyncIterator[House]:
    """The next start on the same store and platform; the former process must be frozen or gone."""
    following = house(
        Path(),
        *answers,
        store=home.store,
        platform=home.channel.platform,
        capabilities=home.channel.capabilities,
    )
    async with following as again:
        await again.janitor.recover()
        async with again.at_work():
            yield again
        await again.sound()
    for hold in (*home.flaky.holds.values(), *home.flaky.late.values()):
        hold.set()


class TestGrowing:
    async def test_the_message_people_see_growing_is_the_reply(self, data: Path) -> None:
        hold = Hold(text="Good ", rest="day.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "Good ")
            assert standing(home) == ["Good "]
            hold.release.set()
            [final] = await home.channel.wait_for_sent(1)
            await home.until(lambda: home.flaky.calls["end_sends"])
            await home.sound()

        assert home.channel.platform.opened == {final.delivery_id: final.open_ref}
        assert standing(home) == ["Good day."]

    async def test_it_is_written_before_the_platform_is_asked_for_it(self, data: Path) -> None:
        hold = Hold(text="Good ", rest="day.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            order = home.channel.live_log
            home.flaky.after["open_part"] = lambda: order.append("written")
            home.flaky.after["keep_open_ref"] = lambda: order.append("kept")
            home.flaky.after["commit_turn"] = lambda: order.append("committed")
            await home.say("hi")
            await shown(home, "Good ")
            hold.release.set()
            await home.channel.wait_for_sent(1)

        wanted = ["written", "open", "kept", "show: Good ", "end", "committed"]
        assert [entry for entry in order if entry != "working"] == wanted

    async def test_a_store_that_is_away_for_a_moment_costs_nobody_the_opened_message(
        self, data: Path
    ) -> None:
        hold = Hold(text="Good ", rest="day.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            home.flaky.away["keep_open_ref"] = 2
            await home.say("hi")
            await shown(home, "Good ")
            hold.release.set()
            await home.channel.wait_for_sent(1)

        assert standing(home) == ["Good day."]

    async def test_until_there_is_text_only_a_signal_is_shown(self, data: Path) -> None:
        hold = Hold(rest="Hello.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await home.channel.wait_for(lambda one: one.live_log.count("working") >= 2)
            assert home.flaky.calls["open_part"] == 0
            hold.release.set()
            await home.channel.wait_for_sent(1)

        assert standing(home) == ["Hello."]

    async def test_further_parts_follow_as_messages_of_their_own(self, data: Path) -> None:
        hold = Hold(text="One", rest="\fTwo\fThree")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "One")
            hold.release.set()
            await home.channel.wait_for_sent(3)

        assert standing(home) == ["One", "Two", "Three"]

    async def test_it_stops_growing_where_the_first_part_is_full(self, data: Path) -> None:
        more, end = asyncio.Event(), asyncio.Event()
        told = Told("One", more, "\fTwo", end)
        async with house(data, think=told, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "One")
            more.set()
            await home.channel.wait_for(lambda one: one.live_log[-2:] == ["working"] * 2)
            end.set()
            await home.channel.wait_for_sent(2)

        assert [entry for entry in home.channel.live_log if "show" in entry] == ["show: One"]
        assert standing(home) == ["One", "Two"]

    async def test_a_second_message_of_the_turn_is_not_shown_in_the_first(self, data: Path) -> None:
        more, end = asyncio.Event(), asyncio.Event()
        told = Told("Let me ", more, "look.", NEXT_MESSAGE, "Found", end, " it.")
        async with house(data, think=told, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "Let me ")
            more.set()
            await shown(home, "Let me look.")
            await home.channel.wait_for(lambda one: one.live_log[-2:] == ["working"] * 2)
            end.set()
            await home.channel.wait_for_sent(2)

        assert standing(home) == ["Let me look.", "Found it."]

    async def test_text_that_starts_over_is_shown_anew(self, data: Path) -> None:
        more, end = asyncio.Event(), asyncio.Event()
        told = Told("Goof", more, RESTART, "Good day", end, ".")
        async with house(data, think=told, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "Goof")
            more.set()
            await shown(home, "Good day")
            end.set()
            await home.channel.wait_for_sent(1)

        assert standing(home) == ["Good day."]

    async def test_the_kind_of_the_chat_decides(self, data: Path) -> None:
        hold = Hold(text="Good ", rest="day.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            home.channel.live_kind = "preview"
            await home.say("hi")
            await shown(home, "Good ")
            hold.release.set()
            [final] = await home.channel.wait_for_sent(1)

        assert home.flaky.calls["open_part"] == 0
        assert final.open_ref is None

    async def test_behind_an_earlier_reply_only_a_signal_is_shown(self, data: Path) -> None:
        hold = Hold(text="Good ", rest="day.")
        async with house(data, "First.", hold, capabilities=MESSAGE) as home, home.at_work():
            home.channel.fail(DeliveryLater("busy"))
            await home.say("one")
            await home.channel.wait_for_tries(1)
            home.channel.live_log.clear()
            await home.say("two")
            await home.until(lambda: home.flaky.calls["open_part"])
            await home.channel.wait_for(lambda one: one.live_log.count("working") >= 2)
            hold.release.set()
            await home.channel.wait_for_sent(2)

        assert not [entry for entry in home.channel.live_log if "show" in entry]
        assert standing(home) == ["First.", "Good day."]

    async def test_while_a_delivery_is_at_work_it_is_not_opened(self, data: Path) -> None:
        hold, held = Hold(text="Good ", rest="day."), HeldSend()
        async with house(data, "First.", hold, capabilities=MESSAGE) as home, home.at_work():
            home.channel.fail(held)
            await home.say("one")
            await home.channel.wait_for_tries(1)
            home.channel.live_log.clear()
            await home.say("two")
            await home.channel.wait_for(lambda one: one.live_log.count("working") >= 2)
            before = list(home.channel.live_log)
            held.release.set()
            await shown(home, "Good ")
            hold.release.set()
            await home.channel.wait_for_sent(2)

        assert set(before) == {"working"}
        assert standing(home) == ["First.", "Good day."]

    async def test_other_channels_pay_nothing_for_it(self, data: Path) -> None:
        preview = Capabilities(live="preview")
        async with house(data, "Hello.", capabilities=preview) as home, home.at_work():
            await home.say("hi")
            await home.channel.wait_for_sent(1)

        assert home.flaky.calls["open_part"] == home.flaky.calls["keep_open_ref"] == 0


class TestEnds:
    async def test_a_failed_turn_apologises_in_the_message(self, data: Path) -> None:
        end = asyncio.Event()
        thinker = Breaking(end)
        async with house(data, think=thinker, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "Good ")
            end.set()
            await home.channel.wait_for_sent(1)

        assert standing(home) == ["Sorry."]

    async def test_a_stopped_turn_leaves_what_was_shown(self, data: Path) -> None:
        hold = Hold(text="Once upon", rest=" a time.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            await home.say("a story")
            await shown(home, "Once upon")
            await home.say("/stop")
            [stopped, _command] = await home.settled()
            await home.channel.wait_for_sent(2)
            turn = await home.store.turn(stopped.project_id, stopped.id, with_messages=True)

        assert sorted(standing(home)) == ["Once upon", "Stopped."]
        assert turn is not None
        assert [message.is_incomplete for message in turn.messages[1:]] == [True]

    async def test_a_stopped_turn_of_which_nothing_was_shown_takes_its_message_back(
        self, data: Path
    ) -> None:
        hold = Hold(text="Once upon", rest=" a time.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            home.flaky.late["keep_open_ref"] = asyncio.Event()
            await home.say("a story")
            await home.channel.wait_for(lambda one: "open" in one.live_log)
            await home.until(lambda: home.flaky.calls["keep_open_ref"])
            await home.say("/stop")
            home.flaky.late["keep_open_ref"].set()
            await home.channel.wait_for_sent(2)
            await home.settled()

        assert "show: Once upon" not in home.channel.live_log
        assert standing(home) == ["Stopped."]

    async def test_a_question_for_the_caller_fills_the_message_and_the_answer_comes_after(
        self, data: Path
    ) -> None:
        call = ToolCall("c1", "lookup", "{}")
        end = asyncio.Event()
        asks = Told("Which", end, " one?", end=TurnWaiting((call,), "Desk", "Desk", Usage(), "m"))
        told = Turns(asks, Told("Seven", more := asyncio.Event(), "."))
        async with house(data, think=told, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "Which")
            end.set()
            await home.channel.wait_for_sent(1)
            [turn] = await home.settled()
            await home.store.resume_turn(turn.project_id, turn.id, results={"c1": "7"})
            home.worker.wake()
            await shown(home, "Seven")
            more.set()
            await home.channel.wait_for_sent(2)

        assert standing(home) == ["Which one?", "Seven."]
        assert [one.open_ref is not None for one in home.channel.sent] == [True, True]

    async def test_a_message_that_is_gone_from_the_platform_comes_as_a_new_one(
        self, data: Path
    ) -> None:
        hold = Hold(text="Good ", rest="day.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "Good ")
            home.channel.platform.messages.clear()
            hold.release.set()
            await home.channel.wait_for_sent(1)

        assert standing(home) == ["Good day."]


class Turns:
    """Each turn is told by the next of these."""

    def __init__(self, *tellers: Told) -> None:
        self._tellers = iter(tellers)

    def __call__(
        self, bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        teller = next(self._tellers)
        return teller(bot, claimed, journal=journal, wants_stream=wants_stream)


class Breaking(Told):
    """Says a word, and breaks when it is told to."""

    def __init__(self, when: asyncio.Event) -> None:
        super().__init__("Good ", when)

    async def __call__(
        self, bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        told = super().__call__(bot, claimed, journal=journal, wants_stream=wants_stream)
        async for event in told:
            if isinstance(event, TurnFinished | MessageCompleted):
                raise RuntimeError("broken")
            yield event


class TestTrouble:
    async def test_a_message_that_cannot_be_opened_costs_the_turn_nothing(
        self, data: Path, logs: list[MutableMapping[str, Any]]
    ) -> None:
        hold = Hold(text="Good ", rest="day.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            home.channel.open_error = DeliveryLater("slow down", retry_after_s=60)
            await home.say("hi")
            await home.until(lambda: any(one["event"] == "live_output_stopped" for one in logs))
            assert await is_open(home)
            hold.release.set()
            [final] = await home.channel.wait_for_sent(1)
            await home.sound()

        assert (final.text, final.open_ref) == ("Good day.", None)

    async def test_a_store_that_is_away_costs_the_turn_nothing(self, data: Path) -> None:
        hold = Hold(text="Good ", rest="day.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            home.flaky.away["open_part"] = 1
            await home.say("hi")
            await home.until(lambda: home.flaky.calls["open_part"])
            hold.release.set()
            [final] = await home.channel.wait_for_sent(1)

        assert (final.text, final.open_ref) == ("Good day.", None)

    async def test_a_message_that_is_being_opened_when_its_turn_ends_is_finished(
        self, data: Path
    ) -> None:
        hold = Hold(text="Good ", rest="day.")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            opening = home.flaky.holds["keep_open_ref"] = asyncio.Event()
            await home.say("hi")
            await home.until(lambda: home.flaky.calls["keep_open_ref"])
            await home.until(lambda: home.model.requests)
            hold.release.set()
            await home.channel.wait_for(lambda one: "open" in one.live_log)
            opening.set()
            await home.channel.wait_for_sent(1)

        assert standing(home) == ["Good day."]

    async def test_a_process_that_cannot_be_sure_of_its_lease_shows_nothing(
        self, data: Path
    ) -> None:
        async with house(data, capabilities=MESSAGE) as home:
            await home.store.accept([queued("hi")], limits=QueueLimits())
            [claimed] = await home.store.claim(ClaimTerms(owner=home.owner, limit=1))
            growing = GrowingMessage(cast(Store, home.flaky), claimed, home.channel)
            asked = asyncio.Semaphore(0)

            def is_ours() -> bool:
                asked.release()
                return False

            live = LiveReply(home.channel, CHAT, growing=growing, is_ours=is_ours)
            async with live, asyncio.timeout(5):
                live.notice(TextDelta(MessageId("msg_1"), "Good "))
                for _ in range(4):
                    await asked.acquire()

        assert home.channel.live_log == ["end"]
        assert home.flaky.calls["open_part"] == 0
        assert not live.has_shown

    async def test_a_lease_that_ends_after_the_row_was_written_opens_nothing(
        self, data: Path
    ) -> None:
        async with house(data, capabilities=MESSAGE) as home:
            await home.store.accept([queued("hi")], limits=QueueLimits())
            [claimed] = await home.store.claim(ClaimTerms(owner=home.owner, limit=1))
            growing = GrowingMessage(cast(Store, home.flaky), claimed, home.channel)
            asked = asyncio.Event()

            def is_ours() -> bool:
                if home.flaky.calls["open_part"]:
                    asked.set()
                return not asked.is_set()

            live = LiveReply(home.channel, CHAT, growing=growing, is_ours=is_ours)
            async with live, asyncio.timeout(5):
                live.notice(TextDelta(MessageId("msg_1"), "Good "))
                await asked.wait()

            assert await is_open(home)
        assert "open" not in home.channel.live_log

    async def test_a_lease_is_sure_for_as_long_as_it_was_last_renewed_for(self, data: Path) -> None:
        async with house(data) as home:
            await home.store.accept([queued("hi")], limits=QueueLimits())
            [claimed] = await home.store.claim(ClaimTerms(owner=home.owner, limit=1))
        now = asyncio.get_running_loop().time()
        running = Running(claimed, renewed_at=now - 31)

        assert not running.is_ours(lease_s=30)
        heed(LeaseNews(frozenset(), frozenset()), [running], asked_at=now - 1)
        assert running.is_ours(lease_s=30)
        heed(LeaseNews(frozenset({claimed.session.id}), frozenset()), [running], asked_at=now)
        assert not running.is_ours(lease_s=30)

    async def test_a_doubtful_end_is_put_into_the_message_again(self, data: Path) -> None:
        hold = Hold(text="Good ", rest="day.")
        capabilities = Capabilities(live="message", can_ask=True, on_ambiguous="hold")
        async with house(data, hold, capabilities=capabilities) as home:
            loops = (home.worker.run, home.outbox.run, home.doubt.run)
            async with home.at_work(*loops):
                home.channel.fail(DeliveryUnknown("no answer"))
                await home.say("hi")
                await shown(home, "Good ")
                hold.release.set()
                [final] = await home.channel.wait_for_sent(1)

        assert final.open_ref is not None
        assert home.channel.queries == []
        assert standing(home) == ["Good day."]


class TestCrashes:
    async def test_after_t2b_the_next_attempt_opens_the_message(self, data: Path) -> None:
        async with house(data, Hold(text="Goo"), capabilities=MESSAGE) as home, home.at_work():
            home.flaky.late["open_part"] = asyncio.Event()
            await home.say("hi")
            await home.until(lambda: is_open(home))
            again = Hold(text="Good ", rest="day.")
            await freeze(home)
            async with next_life(home, again) as second:
                await shown(second, "Good ")
                again.release.set()
                await second.channel.wait_for_sent(1)
                assert standing(home) == ["Good day."]
                assert len(home.channel.platform.opened) == 1

    @pytest.mark.parametrize("capabilities", [ASKABLE, MESSAGE], ids=["askable", "mute"])
    async def test_after_the_opening_the_channel_is_asked_where_that_is_possible(
        self, data: Path, capabilities: Capabilities
    ) -> None:
        hold = Hold(text="Goo")
        async with house(data, hold, capabilities=capabilities) as home, home.at_work():
            home.flaky.holds["keep_open_ref"] = asyncio.Event()
            await home.say("hi")
            await home.until(lambda: home.flaky.calls["keep_open_ref"])
            again = Hold(text="Good ", rest="day.")
            await freeze(home)
            async with next_life(home, again) as second:
                await shown(second, "Good ")
                again.release.set()
                [final] = await second.channel.wait_for_sent(1)
                left_behind = [] if capabilities.can_ask else [""]
                assert standing(home) == [*left_behind, "Good day."]
                assert final.open_ref is not None

    async def test_a_platform_that_knows_of_no_message_is_asked_for_a_new_one(
        self, data: Path
    ) -> None:
        hold = Hold(text="Goo")
        async with house(data, hold, capabilities=ASKABLE) as home, home.at_work():
            home.flaky.late["open_part"] = asyncio.Event()
            await home.say("hi")
            await home.until(lambda: is_open(home))
            again = Hold(text="Good ", rest="day.")
            await freeze(home)
            async with next_life(home, again) as second:
                await shown(second, "Good ")
                again.release.set()
                await second.channel.wait_for_sent(1)
                [query] = second.channel.queries
                assert (query.part, standing(home)) == ({}, ["Good day."])

    async def test_while_it_grows_the_next_attempt_goes_on_in_it(self, data: Path) -> None:
        hold = Hold(text="Goo")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "Goo")
            again = Hold(text="Hello", rest=" there.")
            await freeze(home)
            async with next_life(home, again) as second:
                await shown(second, "Hello")
                assert standing(home) == ["Hello"]
                again.release.set()
                await second.channel.wait_for_sent(1)

            assert "open" not in second.channel.live_log
            assert standing(home) == ["Hello there."]

    async def test_an_answer_too_quick_to_be_shown_finishes_the_message_all_the_same(
        self, data: Path
    ) -> None:
        hold = Hold(text="Goo")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "Goo")
            await freeze(home)
            async with next_life(home, "Hello.") as second:
                await second.channel.wait_for_sent(1)

            assert standing(home) == ["Hello."]

    async def test_the_dead_process_shows_and_commits_nothing_any_more(self, data: Path) -> None:
        hold = Hold(text="Goo", rest="fy.")
        async with AsyncExitStack() as stack:
            home = await stack.enter_async_context(house(data, hold, capabilities=MESSAGE))
            await stack.enter_async_context(home.at_work())
            await home.say("hi")
            await shown(home, "Goo")
            await freeze(home)
            async with next_life(home, "Hello.") as second:
                await second.channel.wait_for_sent(1)
            hold.release.set()
            await home.worker.settled()

            assert standing(home) == ["Hello."]
            assert home.channel.sent == []

    async def test_a_turn_that_is_given_back_goes_on_in_its_message(self, data: Path) -> None:
        hold = Hold(text="Goo")
        async with house(data, hold, capabilities=MESSAGE) as home:
            async with home.at_work():
                await home.say("hi")
                await shown(home, "Goo")
            assert await is_open(home)
            await home.sound()
            async with next_life(home, "Hello.") as second:
                await second.channel.wait_for_sent(1)

        assert standing(home) == ["Hello."]

    async def test_a_turn_that_kills_its_process_apologises_in_its_message(
        self, data: Path
    ) -> None:
        hold = Hold(text="Goo")
        async with house(data, hold, capabilities=MESSAGE) as home, home.at_work():
            await home.say("hi")
            await shown(home, "Goo")
            await freeze(home)
            for _ in range(2):
                await home.store.release_abandoned(living=[])
                await home.store.claim(ClaimTerms(owner="ins_dead", limit=1))
            async with next_life(home) as second:
                await second.channel.wait_for_sent(1)
                [turn] = await second.settled()

        assert turn.state == "dead"
        assert standing(home) == ["Sorry."]
