"""Parts leave in order, once, and are tried until they are settled."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import Capabilities, Pace
from gateway.domain.delivery import Delivery, DeliveryState
from gateway.domain.ids import DeliveryId, ProjectId, SessionId, TurnId
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, Scope
from gateway.flow import outbox as outbox_module
from gateway.flow.outbox import ACCOUNT_REFUSED_PAUSE_S, MIN_THROTTLE_S, later, refused, unknown
from gateway.testing.channels import FakeChannel, HeldSend
from tests.flow.house import CHAT, House, house

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD_S = 25 * 3600


def delivery(*, attempts: int = 1) -> Delivery:
    return Delivery(
        id=DeliveryId("dlv_1"),
        project_id=ProjectId("default"),
        session_id=SessionId("ses_1"),
        turn_id=TurnId("turn_1"),
        part_no=0,
        out_no=1,
        account="acc",
        address=CHAT,
        part={"text": "hi"},
        state="sending",
        attempts=attempts,
        next_at=None,
        created_at=NOON,
    )


# ------------------------------------------------------------ decisions


def test_a_part_that_was_not_taken_goes_again_by_the_schedule() -> None:
    result = later(delivery(attempts=2), DeliveryLater("away"), age_s=0, jitter=0)

    assert (result.state, result.again_in_s) == ("pending", 5)
    assert result.counts
    assert result.blocked_s == 0


def test_a_part_that_was_not_taken_for_a_day_expires() -> None:
    result = later(delivery(attempts=99), DeliveryLater("away"), age_s=OLD_S, jitter=0)

    assert result.state == "expired"


@pytest.mark.parametrize("scope", ["address", "account"])
def test_a_throttled_part_waits_as_long_as_the_platform_says(scope: Scope) -> None:
    error = DeliveryLater("slow down", retry_after_s=30, scope=scope)

    result = later(delivery(), error, age_s=0, jitter=1)

    assert result.state == "pending"
    assert result.again_in_s == result.blocked_s == 30
    assert (result.scope, result.counts) == (scope, False)


@pytest.mark.parametrize("retry_after_s", [0, -5])
def test_a_platform_that_says_now_is_not_hammered(retry_after_s: float) -> None:
    error = DeliveryLater("slow down", retry_after_s=retry_after_s)

    result = later(delivery(), error, age_s=0, jitter=0)

    assert result.again_in_s == MIN_THROTTLE_S


def test_a_part_throttled_for_a_day_expires() -> None:
    error = DeliveryLater("slow down", retry_after_s=30)

    result = later(delivery(), error, age_s=OLD_S, jitter=0)

    assert result.state == "expired"
    assert result.blocked_s == 30


@pytest.mark.parametrize("scope", ["part", "address"])
def test_a_refused_part_is_dead(scope: Scope) -> None:
    result = refused(delivery(), DeliveryRefused("chat not found", scope=scope), age_s=0)

    assert (result.state, result.scope) == ("dead", scope)


def test_a_refused_account_keeps_its_parts() -> None:
    result = refused(delivery(), DeliveryRefused("wrong token", scope="account"), age_s=0)

    assert (result.state, result.scope, result.counts) == ("pending", "account", False)
    assert result.blocked_s == ACCOUNT_REFUSED_PAUSE_S


def test_a_doubtful_part_says_why_without_the_words_of_a_stranger() -> None:
    known = unknown(delivery(), DeliveryUnknown("no answer within 10 s"))
    strange = unknown(delivery(), ValueError("https://api/bot123:SECRET"))

    assert (known.state, known.error) == ("ambiguous", "no answer within 10 s")
    assert strange.error == "ValueError"
    assert known.again_in_s == 0


# ------------------------------------------------------------ sending


async def states(home: House) -> list[DeliveryState]:
    return [delivery.state for delivery in await home.deliveries()]


async def settle(home: House, *expected: DeliveryState) -> None:
    """Wait until the deliveries stand so."""

    async def stand() -> bool:
        return await states(home) == list(expected)

    await home.until(stand)


async def test_parts_of_a_reply_leave_in_order(data: Path) -> None:
    async with house(data, "a\fb\fc") as home, home.at_work():
        await home.say("hi")
        await home.channel.wait_for_sent(3)
        await settle(home, "sent", "sent", "sent")
        await home.sound()

    assert home.channel.texts == ["a", "b", "c"]


async def test_it_is_known_when_a_channel_last_took_a_part(data: Path) -> None:
    async with house(data, "a", "b") as home, home.at_work():
        home.channel.fail(DeliveryRefused("no"))
        await home.say("hi")
        await settle(home, "dead")
        assert home.outbox.last_out_at() == {}

        before = datetime.now(UTC)
        await home.say("hi again")
        await settle(home, "dead", "sent")

    assert before <= home.outbox.last_out_at()["fake"] <= datetime.now(UTC)


async def test_a_part_that_is_retried_holds_its_chat_and_no_other(data: Path) -> None:
    async with house(data, "a\fb", "c") as home, home.at_work():
        home.channel.fail(DeliveryLater("away"))
        await home.say("hi", chat="1")
        await home.channel.wait_for_tries(1)
        await home.say("hi", chat="2")
        await home.channel.wait_for_sent(1)
        home.clock.ahead_s += 2
        await home.channel.wait_for_sent(3)

    assert home.channel.texts == ["c", "a", "b"]
    assert [one.text for one in home.channel.tries] == ["a", "c", "a", "b"]


async def test_a_throttled_chat_is_left_alone_until_its_time(data: Path) -> None:
    async with house(data, "a", "b") as home, home.at_work():
        home.channel.fail(DeliveryLater("slow down", retry_after_s=30))
        await home.say("hi")
        await settle(home, "pending")
        await home.say("hi again")
        await settle(home, "pending", "pending")
        passes = home.flaky.calls["begin_sends"]
        await home.until(lambda: home.flaky.calls["begin_sends"] > passes + 2)
        assert len(home.channel.tries) == 1
        home.clock.ahead_s += 31
        await home.channel.wait_for_sent(2)
        first, _ = await home.deliveries()

    assert home.channel.texts == ["a", "b"]
    assert first.attempts == 1


async def test_a_throttled_account_keeps_every_chat_waiting(data: Path) -> None:
    async with house(data, "a", "b") as home, home.at_work():
        home.channel.fail(DeliveryLater("slow down", retry_after_s=30, scope="account"))
        await home.say("hi", chat="1")
        await settle(home, "pending")
        await home.say("hi", chat="2")
        await settle(home, "pending", "pending")
        passes = home.flaky.calls["begin_sends"]
        await home.until(lambda: home.flaky.calls["begin_sends"] > passes + 2)
        assert len(home.channel.tries) == 1
        home.clock.ahead_s += 31
        await home.channel.wait_for_sent(2)


async def test_a_refused_part_takes_the_later_parts_with_it_and_no_other_reply(
    data: Path,
) -> None:
    async with house(data, "a\fb", "c") as home, home.at_work():
        home.channel.fail(DeliveryRefused("too long"))
        await home.say("hi")
        await settle(home, "dead", "dead")
        await home.say("hi")
        await home.channel.wait_for_sent(1)
        dead = [delivery.error for delivery in await home.deliveries()][:2]

    assert home.channel.texts == ["c"]
    assert dead == ["too long", "earlier_part"]


async def test_a_refused_chat_ends_what_waits_for_it(data: Path) -> None:
    held = HeldSend(DeliveryRefused("blocked", scope="address"))
    async with house(data, "a", "b", "c") as home, home.at_work():
        home.channel.fail(held)
        await home.say("hi", chat="1")
        await home.channel.wait_for_tries(1)
        await home.say("hi", chat="1")
        await settle(home, "sending", "pending")
        held.release.set()
        await settle(home, "dead", "cancelled")
        await home.say("hi", chat="2")
        await home.channel.wait_for_sent(1)

    assert home.channel.texts == ["c"]


async def test_a_refused_account_is_tried_again_after_a_while(data: Path) -> None:
    async with house(data, "a") as home, home.at_work():
        home.channel.fail(DeliveryRefused("wrong token", scope="account"))
        await home.say("hi")
        await home.channel.wait_for_tries(1)
        await settle(home, "pending")
        home.clock.ahead_s += ACCOUNT_REFUSED_PAUSE_S + 1
        await home.channel.wait_for_sent(1)


async def test_an_unexpected_error_of_an_adapter_makes_a_doubtful_part(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data, "a") as home, home.at_work():
        home.channel.fail(ValueError("a bug"))
        await home.say("hi")
        await settle(home, "ambiguous")

    assert any(entry["event"] == "delivery_broke" for entry in logs)


async def test_a_send_that_hangs_becomes_doubtful(data: Path) -> None:
    async with house(data, "a") as home, home.at_work():
        home.channel.fail(HeldSend())
        await home.say("hi")
        await settle(home, "ambiguous")
        [part] = await home.deliveries()

    assert part.error == "TimeoutError"


async def test_a_part_older_than_a_day_expires_when_it_fails(data: Path) -> None:
    async with house(data, "a") as home, home.at_work():
        home.channel.fail(DeliveryLater("away"), DeliveryLater("away"))
        await home.say("hi")
        await home.channel.wait_for_tries(1)
        await settle(home, "pending")

        home.clock.ahead_s += 26 * 3600

        await settle(home, "expired")


async def test_a_part_expires_though_its_channel_never_comes_back(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    async with house(data, "a") as home:
        home.connected.clear()
        home.flaky.away["expire_stranded"] = 1
        async with home.at_work():
            await home.say("hi")
            await home.settled()
            home.clock.ahead_s += OLD_S
            await settle(home, "expired")

    assert home.channel.tries == []
    assert "stranded_deliveries_given_up" in [entry["event"] for entry in logs]


async def test_a_part_is_no_day_old_because_the_clock_was_set_during_its_try(data: Path) -> None:
    held = HeldSend(DeliveryLater("away"))
    async with house(data, "a") as home, home.at_work():
        home.channel.fail(held)
        await home.say("hi")
        await home.channel.wait_for_tries(1)

        home.clock.ahead_s += 26 * 3600
        held.release.set()

        await home.channel.wait_for_sent(1)


async def test_a_wait_is_as_long_as_told_though_the_clock_is_set_before_it_is_written(
    data: Path,
) -> None:
    written = asyncio.Event()
    async with house(data, "a") as home, home.at_work():
        home.channel.fail(DeliveryLater("slow down", retry_after_s=30, scope="account"))
        home.flaky.holds["end_sends"] = written
        await home.say("hi")
        await home.until(lambda: home.flaky.calls["end_sends"] == 1)

        home.clock.ahead_s -= 24 * 3600
        written.set()
        await settle(home, "pending")
        home.clock.ahead_s += 31

        await home.channel.wait_for_sent(1)


async def test_nothing_is_sent_by_a_channel_that_is_not_connected(data: Path) -> None:
    async with house(data, "a") as home, home.at_work():
        home.connected.clear()
        await home.say("hi")
        await settle(home, "pending")
        await home.until(lambda: home.outbox.last_pass_at > 0)
        assert home.flaky.calls["begin_sends"] == 0
        home.connected.add("fake")
        await home.channel.wait_for_sent(1)


async def test_a_send_that_could_not_be_begun_is_begun_later(data: Path) -> None:
    async with house(data, "a") as home, home.at_work():
        home.flaky.away["begin_sends"] = 3
        await home.say("hi")
        await home.channel.wait_for_sent(1)


async def test_an_end_that_could_not_be_written_is_never_sent_again(data: Path) -> None:
    async with house(data, "a\fb") as home, home.at_work():
        home.flaky.away["end_sends"] = 4
        await home.say("hi")
        await home.channel.wait_for_sent(2)
        await settle(home, "sent", "sent")

    assert [one.text for one in home.channel.tries] == ["a", "b"]


async def test_an_unexpected_error_of_the_store_ends_the_process(data: Path) -> None:
    async with house(data, "a", "b") as home:
        home.flaky.errors["end_sends"] = ValueError("a bug")
        home.flaky.away["end_sends"] = 2
        with pytest.raises(ExceptionGroup) as caught:
            await _work_on(home, "1", "2")

    assert caught.group_contains(ValueError)


async def _work_on(home: House, *chats: str) -> None:
    """Be at work on a message of each chat until that breaks."""
    async with home.at_work(), asyncio.timeout(5):
        await asyncio.gather(*(home.say("hi", chat=chat) for chat in chats))
        await asyncio.Event().wait()


async def test_a_chat_keeps_the_pace_of_its_platform(data: Path) -> None:
    slow = Capabilities(pace=Pace(address_per_s=0.5))
    async with house(data, "a\fb", capabilities=slow) as home, home.at_work():
        await home.say("hi")
        await home.channel.wait_for_sent(1)
        await settle(home, "sent", "pending")
        assert home.channel.texts == ["a"]
        home.clock.ahead_s += 3
        await home.channel.wait_for_sent(2)


async def test_an_account_keeps_its_pace_over_long_replies(data: Path) -> None:
    slow = Capabilities(pace=Pace(account_per_s=1))
    async with house(data, "a\fb", "c", capabilities=slow) as home, home.at_work():
        await home.say("hi", chat="1")
        await home.channel.wait_for_sent(1)
        await home.say("hi", chat="2")
        await settle(home, "sent", "pending", "pending")
        passes = home.outbox.last_pass_at
        await home.until(lambda: home.outbox.last_pass_at > passes)

        assert home.channel.texts == ["a"]


async def test_a_platform_that_hangs_fills_its_own_lanes_only(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "SENDS_AT_ONCE", 2)
    held = [HeldSend(), HeldSend()]
    async with house(data, *("x" * 3)) as home, home.at_work():
        home.channel.fail(*held)
        for chat in ("1", "2", "3"):
            await home.say("hi", chat=chat)
        await home.channel.wait_for_tries(2)
        await settle(home, "sending", "sending", "pending")
        passed = home.outbox.last_pass_at
        await home.until(lambda: home.outbox.last_pass_at > passed + 0.05)
        assert len(home.channel.tries) == 2
        held[0].release.set()
        await home.channel.wait_for_tries(3)
        held[1].release.set()
        await home.channel.wait_for_sent(3)


async def test_a_drain_sends_what_is_due(data: Path) -> None:
    async with house(data, "a\fb") as home:
        async with home.at_work(home.worker.run):
            await home.say("hi")
            await settle(home, "pending", "pending")

        await home.outbox.drain(within_s=5)

        assert home.channel.texts == ["a", "b"]
        assert await states(home) == ["sent", "sent"]


async def test_a_drain_waits_for_what_is_on_its_way_and_no_longer(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    held = HeldSend()
    async with house(data, "a") as home, home.at_work():
        home.channel.fail(held)
        await home.say("hi")
        await home.channel.wait_for_tries(1)
        await home.outbox.drain(within_s=0.05)
        held.release.set()
        await home.channel.wait_for_sent(1)

    assert any(entry["event"] == "drain_left_deliveries" for entry in logs)


async def test_a_drain_goes_round_again_when_what_it_began_has_ended(data: Path) -> None:
    async with house(data, "a", "b") as home:
        channels: Any = home.catalogue.channels
        channels["other"] = replace(home.binding, channel=FakeChannel("other"))
        home.connected.add("other")
        async with home.at_work(home.worker.run):
            await home.say("hi")
            await settle(home, "pending")
        held = asyncio.Event()
        home.flaky.after["begin_sends"] = lambda: home.flaky.holds.update(begin_sends=held)
        draining = asyncio.create_task(home.outbox.drain(within_s=5))
        await settle(home, "sent")
        held.set()
        await draining

    assert home.channel.texts == ["a"]


async def test_a_drain_without_time_begins_nothing(data: Path) -> None:
    async with house(data, "a") as home:
        async with home.at_work(home.worker.run):
            await home.say("hi")
            await settle(home, "pending")

        await home.outbox.drain(within_s=0)

        assert await states(home) == ["pending"]


async def test_after_a_drain_nothing_is_begun(data: Path) -> None:
    async with house(data, "a") as home, home.at_work():
        await home.outbox.drain(within_s=1)
        await home.say("hi")
        await settle(home, "pending")
        passed = home.outbox.last_pass_at
        await home.until(lambda: home.outbox.last_pass_at > passed)

        assert await states(home) == ["pending"]


async def test_a_store_that_is_away_does_not_hold_up_a_drain(data: Path) -> None:
    async with house(data) as home:
        home.flaky.away["begin_sends"] = 1
        async with asyncio.timeout(1):
            await home.outbox.drain(within_s=60)


async def test_stopping_cuts_off_what_is_on_its_way(data: Path) -> None:
    async with house(data, "a") as home:
        async with home.at_work():
            home.channel.fail(HeldSend())
            await home.say("hi")
            await home.channel.wait_for_tries(1)

        assert await states(home) == ["sending"]
        assert await home.store.doubt_abandoned(living=[]) == 1


async def test_a_pull_channel_sends_nothing(data: Path) -> None:
    pull = Capabilities(delivers=False)
    async with house(data, "a", capabilities=pull) as home, home.at_work():
        await home.say("hi")
        await home.settled()

        assert await home.deliveries() == []
        assert home.flaky.calls["begin_sends"] == 0


def test_times_of_a_delivery_do_not_depend_on_what_was_tried_before() -> None:
    first, ninth = delivery(attempts=1), delivery(attempts=9)
    error = DeliveryLater("slow down", retry_after_s=3)

    assert later(first, error, age_s=0, jitter=0) == replace(
        later(ninth, error, age_s=0, jitter=0), delivery_id=first.id
    )
