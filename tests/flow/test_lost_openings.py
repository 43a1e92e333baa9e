"""A message opened by a process that died before it could store where: found, and ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.contract import Capabilities
from gateway.domain.ids import MessageId
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import TextDelta
from gateway.errors import DeliveryLater, DeliveryRefused, DeliveryUnknown, ModelError
from gateway.flow.growing import GrowingMessage
from gateway.flow.live_reply import LiveReply
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import ClaimTerms
from gateway.testing.models import Hold
from tests.flow.house import CHAT, House, house, queued
from tests.flow.test_growing import ASKABLE, MESSAGE, freeze, next_life, standing

REFUSED = ModelError("refused", transient=False)


@asynccontextmanager
async def after_opening(
    data: Path, *answers: Any, capabilities: Capabilities = ASKABLE
) -> AsyncIterator[tuple[House, House]]:
    """A process that stopped for good between opening and storing, and the next one."""
    hold = Hold(text="Goo")
    async with house(data, hold, capabilities=capabilities) as home, home.at_work():
        home.flaky.holds["keep_open_ref"] = asyncio.Event()
        await home.say("hi")
        await home.until(lambda: home.flaky.calls["keep_open_ref"])
        await freeze(home)
        async with next_life(home, *answers) as second:
            yield home, second


@pytest.mark.proves("SL-45")
async def test_sl_45_the_apology_of_a_later_try_fills_the_message_that_was_left_open(
    data: Path,
) -> None:
    async with after_opening(data, REFUSED) as (home, second):
        [final] = await second.channel.wait_for_sent(1)

        assert standing(home) == ["Sorry."]
        assert final.open_ref is not None


async def test_an_answer_that_was_not_shown_growing_fills_it_too(data: Path) -> None:
    async with after_opening(data, "Hello.") as (home, second):
        await second.channel.wait_for_sent(1)

        assert standing(home) == ["Hello."]


async def test_where_it_cannot_be_asked_for_it_stays_and_the_reply_comes(data: Path) -> None:
    async with after_opening(data, REFUSED, capabilities=MESSAGE) as (home, second):
        await second.channel.wait_for_sent(1)

        assert standing(home) == ["", "Sorry."]
        assert second.channel.queries == []


@pytest.mark.parametrize("capabilities", [ASKABLE, MESSAGE], ids=["askable", "mute"])
async def test_a_turn_that_leaves_nothing_takes_it_back(
    data: Path, capabilities: Capabilities
) -> None:
    hold = Hold(text="Goo")
    async with house(data, hold, capabilities=capabilities) as home, home.at_work():
        home.flaky.holds["keep_open_ref"] = asyncio.Event()
        await home.say("hi")
        await home.until(lambda: home.flaky.calls["keep_open_ref"])
        [turn] = await home.turns()
        await home.store.request_cancel(turn.project_id, turn.id)
        await freeze(home)
        async with next_life(home) as second:
            await second.settled()

            async def is_over() -> bool:
                [part] = await second.deliveries()
                return part.state in ("sent", "cancelled")

            await second.until(is_over)
            assert standing(home) == ([] if capabilities.can_ask else [""])


async def test_a_platform_that_does_not_answer_is_asked_again_before_anything_is_sent(
    data: Path,
) -> None:
    hold = Hold(text="Goo")
    async with house(data, hold, capabilities=ASKABLE) as home, home.at_work():
        home.flaky.holds["keep_open_ref"] = asyncio.Event()
        await home.say("hi")
        await home.until(lambda: home.flaky.calls["keep_open_ref"])
        await freeze(home)
        async with next_life(home, REFUSED) as second:
            second.channel.find(DeliveryUnknown("no answer"))
            await second.channel.wait_for_sent(1)

            assert [query.part for query in second.channel.queries] == [{}, {}]
            assert standing(home) == ["Sorry."]


@pytest.mark.parametrize(
    ("error", "is_known"),
    [
        (DeliveryLater("busy", retry_after_s=1), True),
        (DeliveryRefused("no"), True),
        (DeliveryUnknown("no answer"), False),
        (ConnectionResetError("a bug"), False),
    ],
    ids=["later", "refused", "unknown", "unexpected"],
)
async def test_an_opening_that_failed_may_stand_only_where_that_is_not_certain(
    data: Path, error: Exception, *, is_known: bool
) -> None:
    hold = Hold(text="Good ", rest="day.")
    async with house(data, hold, capabilities=ASKABLE) as home, home.at_work():
        home.channel.open_error = error
        await home.say("hi")
        await home.channel.wait_for(lambda one: "open" in one.live_log and "end" in one.live_log)
        [part] = await home.deliveries()
        hold.release.set()
        [final] = await home.channel.wait_for_sent(1)

    assert (part.opened_at is None) == is_known
    assert (final.open_ref is None) == is_known


async def test_a_lease_that_ends_between_row_and_opening_leaves_nothing_to_look_for(
    data: Path,
) -> None:
    async with house(data, capabilities=ASKABLE) as home:
        await home.store.accept([queued("hi")], limits=QueueLimits())
        [claimed] = await home.store.claim(ClaimTerms(owner=home.owner, limit=1))
        growing = GrowingMessage(cast(Store, home.flaky), claimed, home.channel)

        def is_ours() -> bool:
            return not home.flaky.calls["open_part"]

        async with LiveReply(home.channel, CHAT, growing=growing, is_ours=is_ours) as live:
            live.notice(TextDelta(MessageId("msg_1"), "Good "))
            await home.until(lambda: home.flaky.calls["keep_open_ref"])
        [part] = await home.deliveries()

    assert (part.state, part.opened_at) == ("open", None)
    assert "open" not in home.channel.live_log


@pytest.mark.parametrize(("since_s", "is_shown"), [(0, True), (26, False)], ids=["fresh", "old"])
async def test_a_lease_counts_from_when_the_claim_was_asked_for(
    data: Path, *, since_s: float, is_shown: bool
) -> None:
    hold = Hold(rest="Good day.")
    async with house(data, hold, capabilities=ASKABLE) as home:
        terms = home.worker.reserve(1)
        assert terms is not None
        await home.store.accept([queued("hi")], limits=QueueLimits())
        [claimed] = await home.store.claim(terms)
        home.worker.start(claimed, asked_at=asyncio.get_running_loop().time() - since_s)
        home.worker.release(terms)
        await hold.reached.wait()
        hold.release.set()
        await home.settled()

    assert ("working" in home.channel.live_log) == is_shown
