"""A part that may or may not have arrived is looked for, sent once more, or held."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.contract import Capabilities, Receipt, SentQuery
from gateway.domain.delivery import EXPIRES_AFTER_S, DeliveryState
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown
from gateway.flow.catalogue import Catalogue
from gateway.flow.doubt import Doubt, DoubtTimes, finished_again
from gateway.store.protocol import Store
from gateway.testing.channels import FakeChannel, HeldSend
from tests.flow.house import QUICK_DOUBT, House, house

ASKS = Capabilities(can_ask=True)
LOST = DeliveryUnknown("no answer")


@asynccontextmanager
async def working(home: House) -> AsyncIterator[None]:
    """Everything that sends at work."""
    async with home.at_work(home.worker.run, home.outbox.run, home.doubt.run):
        yield


async def states(home: House) -> list[DeliveryState]:
    return [delivery.state for delivery in await home.deliveries()]


async def settle(home: House, *expected: DeliveryState) -> None:
    """Wait until the deliveries stand so."""

    async def stand() -> bool:
        return await states(home) == list(expected)

    await home.until(stand)


async def crash_while_sending(home: House, text: str = "hi") -> None:
    """Leave a part in `sending` by a process that is no more."""
    home.channel.fail(HeldSend())
    async with home.at_work():
        await home.say(text)
        await home.channel.wait_for_tries(1)
    await home.store.doubt_abandoned(living=[])


async def test_without_a_way_to_ask_it_is_sent_once_more(data: Path) -> None:
    async with house(data, "a\fb") as home, working(home):
        home.channel.fail(LOST)
        await home.say("hi")
        await settle(home, "sent", "sent")

    assert [one.text for one in home.channel.tries] == ["a", "a", "b"]


async def test_after_two_blind_tries_it_is_held_for_an_operator(data: Path) -> None:
    async with house(data, "a\fb", "c") as home, working(home):
        home.channel.fail(LOST, LOST)
        await home.say("hi")
        await settle(home, "held", "dead")
        await home.say("hi")
        await home.channel.wait_for_sent(1)

    assert [one.text for one in home.channel.tries] == ["a", "a", "c"]


async def test_a_channel_whose_messages_cost_money_holds_at_once(data: Path) -> None:
    async with house(data, "a", "b", on_ambiguous="hold") as home, working(home):
        home.channel.fail(LOST)
        await home.say("hi")
        await settle(home, "held")
        await home.say("hi")
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == ["b"]


async def test_a_part_found_on_the_platform_is_sent_and_the_next_part_follows(
    data: Path,
) -> None:
    async with house(data, "a\fb", "c", capabilities=ASKS) as home, working(home):
        home.channel.fail(LOST)
        home.channel.find(Receipt("p-found"))
        await home.say("hi")
        await settle(home, "sent", "sent")
        first, _ = await home.deliveries()

    assert [one.text for one in home.channel.tries] == ["a", "b"]
    assert first.provider_id == "p-found"


async def test_a_part_not_found_twice_is_sent_once_more(data: Path) -> None:
    async with house(data, "a", capabilities=ASKS) as home, working(home):
        home.channel.fail(LOST)
        await home.say("hi")
        await home.channel.wait_for(lambda one: len(one.queries) == 1)
        await settle(home, "ambiguous")
        assert len(home.channel.tries) == 1
        home.clock.ahead_s += 1
        await home.channel.wait_for_sent(1)
        await settle(home, "sent")

    query = home.channel.queries[0]
    assert len(home.channel.queries) == 2
    assert (query.part, query.delivery_id) == ({"text": "a"}, home.channel.tries[0].delivery_id)


async def test_a_part_the_platform_knows_nothing_of_is_sent_until_it_arrives(data: Path) -> None:
    async with house(data, "a", capabilities=ASKS) as home, working(home):
        home.channel.fail(LOST, LOST, LOST)
        await home.say("hi")
        await home.channel.wait_for_sent(1)
        await settle(home, "sent")

    assert len(home.channel.tries) == 4
    assert len(home.channel.queries) == 6


async def test_a_part_that_turns_up_late_is_not_sent_again(data: Path) -> None:
    async with house(data, "a", capabilities=ASKS) as home, working(home):
        home.channel.fail(LOST)
        home.channel.find(None, Receipt("late"))
        await home.say("hi")
        await settle(home, "sent")

    assert len(home.channel.tries) == 1


def test_a_platform_is_asked_half_a_minute_apart_and_never_in_a_rush() -> None:
    assert (DoubtTimes().ask_again_s, DoubtTimes().pace_s) == (30, 0.25)


async def test_the_question_says_since_when_the_part_may_stand_there(data: Path) -> None:
    async with house(data, "a", capabilities=ASKS) as home, working(home):
        home.channel.fail(LOST)
        await home.say("hi")
        await home.channel.wait_for(lambda one: len(one.queries) == 1)
        [part] = await home.deliveries()

    assert home.channel.queries[0].since == part.sent_started_at


@pytest.mark.parametrize(
    "error", [DeliveryLater("away"), LOST, DeliveryRefused("no"), ValueError("a bug")]
)
async def test_a_platform_that_cannot_be_asked_is_asked_again(data: Path, error: Exception) -> None:
    async with house(data, "a", capabilities=ASKS) as home, working(home):
        home.channel.fail(LOST)
        home.channel.find(error, Receipt("found"))
        await home.say("hi")
        await settle(home, "sent")

    assert len(home.channel.tries) == 1
    assert len(home.channel.queries) == 2


@pytest.mark.parametrize(
    ("error", "has_trace"), [(DeliveryLater("away"), False), (ValueError("a bug"), True)]
)
async def test_a_question_that_failed_is_logged_and_a_mistake_of_ours_with_its_trace(
    data: Path, logs: list[MutableMapping[str, Any]], error: Exception, has_trace: bool
) -> None:
    async with house(data, "a", capabilities=ASKS) as home, working(home):
        home.channel.fail(LOST)
        home.channel.find(error, Receipt("found"))
        await home.say("hi")
        await settle(home, "sent")

    [entry] = [entry for entry in logs if entry["event"] == "delivery_not_looked_up"]
    assert (entry["error"], entry["exc_info"] is error) == (type(error).__name__, has_trace)


async def test_a_platform_that_does_not_answer_the_question_is_asked_again(data: Path) -> None:
    async with house(data, "a", capabilities=ASKS) as home, working(home):
        hanging = _hang_once(home.channel)
        home.channel.fail(LOST)
        home.channel.find(Receipt("found"))
        await home.say("hi")
        await settle(home, "sent")

    assert hanging == ["asked", "asked"]


def _hang_once(channel: FakeChannel) -> list[str]:
    asked: list[str] = []
    answer = channel.find_sent

    async def find_sent(query: SentQuery) -> Receipt | None:
        asked.append("asked")
        if len(asked) == 1:
            await asyncio.Event().wait()
        return await answer(query)

    channel.find_sent = find_sent  # type: ignore[method-assign] # this one channel hangs
    return asked


async def test_a_platform_that_could_not_be_asked_for_a_day_makes_it_held(data: Path) -> None:
    async with house(data, "a", capabilities=ASKS) as home, working(home):
        home.channel.fail(LOST)
        home.channel.find(DeliveryLater("away"))
        home.clock.ahead_s -= 25 * 3600
        await home.say("hi")
        await home.channel.wait_for_tries(1)
        home.clock.ahead_s = 0
        await settle(home, "held")


async def test_a_crash_between_sending_and_recording_is_doubtful(data: Path) -> None:
    async with house(data, "a") as home:
        await crash_while_sending(home)
        assert await states(home) == ["ambiguous"]
        after = house(data, store=home.store, clock=home.clock)
        async with after as next_home, working(next_home):
            await next_home.channel.wait_for_sent(1)
            await settle(next_home, "sent")
        await home.sound()


@pytest.mark.parametrize("lack", ["not connected", "not configured"])
async def test_doubts_of_a_channel_that_is_away_wait_and_cost_no_writes(
    data: Path, lack: str
) -> None:
    async with house(data, "a") as home:
        await crash_while_sending(home)
        bindings = {} if lack == "not configured" else home.catalogue.channels
        catalogue = Catalogue(bots=home.catalogue.bots, channels=bindings)
        doubt = Doubt(
            cast(Store, home.flaky),
            lambda: catalogue,
            owner=home.owner,
            connected=set() if lack == "not connected" else home.connected,
            send=home.outbox.send,
            times=QUICK_DOUBT,
        )
        home.flaky.calls.clear()

        async with home.at_work(doubt.run):
            await home.until(lambda: home.flaky.calls["ambiguous"] > 5)

        assert await states(home) == ["ambiguous"]
        assert not home.flaky.calls["end_sends"]


async def test_doubts_are_decided_as_soon_as_their_channel_is_connected(data: Path) -> None:
    async with house(data, "a") as home:
        await crash_while_sending(home)
        home.connected.clear()

        async with working(home):
            await home.until(lambda: home.flaky.calls["ambiguous"] > 5)
            home.connected.add("fake")
            await settle(home, "sent")


async def test_the_end_of_an_opened_message_is_repeated_for_a_day_and_then_held(
    data: Path,
) -> None:
    async with house(data, "a") as home:
        await crash_while_sending(home)
        [found] = await home.deliveries()
    opened = replace(found, open_ref="p1", attempts=2)

    again = finished_again(opened, age_s=0, jitter=0)
    given_up = finished_again(opened, age_s=EXPIRES_AFTER_S, jitter=0)

    assert (again.state, again.again_in_s) == ("pending", 5)
    assert given_up.state == "held"


async def test_a_store_that_is_away_postpones_doubts(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data, "a") as home, working(home):
        home.flaky.away["ambiguous"] = 2
        home.channel.fail(LOST)
        await home.say("hi")
        await settle(home, "sent")

    assert any(entry["event"] == "doubt_postponed" for entry in logs)


async def test_a_store_that_is_away_while_deciding_postpones_too(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data, "a") as home:
        await crash_while_sending(home)
        home.flaky.away["end_sends"] = 1

        async with working(home):
            await settle(home, "sent")

    assert any(entry["event"] == "doubt_postponed" for entry in logs)


async def test_doubts_of_other_channels_do_not_wait_for_a_busy_one(data: Path) -> None:
    async with house(data, "a") as home:
        await crash_while_sending(home)

        assert await home.store.ambiguous(limit=10, channels={"another"}) == []
        assert len(await home.store.ambiguous(limit=10, channels={"fake"})) == 1
