"""However a turn fails, the person is told so in a short sentence, and no signal stays behind."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.agents.journal import TurnJournal
from gateway.contract import Capabilities
from gateway.domain.bots import Bot
from gateway.domain.conversation import Usage
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import ClaimedTurn, TurnError, TurnEvent, TurnFailed
from gateway.errors import ModelError, StoreError, Unprocessable
from gateway.flow.sorry import APOLOGY
from gateway.store.protocol.inbox import ClaimTerms
from gateway.testing.models import Hold
from tests.flow.house import BOT, House, house, queued

SIGNAL = Capabilities(live="signal")


async def told(home: House, *, count: int = 1) -> list[str]:
    """What the person got, as soon as it is that much."""
    await home.channel.wait_for_sent(count)
    await home.settled()
    await home.sound()
    return home.channel.texts


@pytest.mark.parametrize(
    "error",
    [
        ModelError("no", transient=False, code="model_refused_request"),
        ModelError("away", transient=False, code="model_unavailable"),
        ModelError("late", transient=False, code="turn_timeout"),
        RuntimeError("a bug"),
    ],
    ids=["refused", "away", "late", "bug"],
)
async def test_what_goes_wrong_while_thinking_is_told(data: Path, error: Exception) -> None:
    async def broken(
        bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        if isinstance(error, ModelError):
            yield TurnFailed(TurnError(error.code, error.message), Usage())
        else:
            raise error

    async with house(data, think=broken, capabilities=SIGNAL) as home, home.at_work():
        await home.say("hi")

        assert await told(home) == ["Sorry."]
        [turn] = await home.turns()
        assert turn.state == "failed"
        assert home.channel.live_log[-1:] in ([], ["end"])


async def test_an_answer_that_cannot_be_stored_is_told(data: Path) -> None:
    async with house(data, "Hello.", capabilities=SIGNAL) as home, home.at_work():
        home.flaky.errors["commit_turn"] = Unprocessable("half a surrogate pair")
        home.flaky.away["commit_turn"] = 1
        await home.say("hi")

        assert await told(home) == ["Sorry."]


async def test_a_store_that_is_away_for_a_while_costs_no_apology(data: Path) -> None:
    async with house(data, "Hello.", capabilities=SIGNAL) as home, home.at_work():
        home.flaky.errors["commit_turn"] = StoreError("away")
        home.flaky.away["commit_turn"] = 3
        await home.say("hi")

        assert await told(home) == ["Hello."]


async def test_a_bot_that_is_gone_is_told_in_our_own_words(data: Path) -> None:
    async with house(data, bots=(replace(BOT, slug="other"),)) as home, home.at_work():
        await home.store.accept([queued("hi")], limits=QueueLimits())

        assert await told(home) == [APOLOGY]
        [turn] = await home.turns()
        assert turn.error is not None
        assert (turn.state, turn.error.code) == ("failed", "bot_gone")


async def test_a_turn_that_kills_its_process_again_and_again_is_told_of(data: Path) -> None:
    async with house(data, capabilities=SIGNAL) as home:
        await home.store.accept([queued("hi")], limits=QueueLimits())
        for _ in range(3):
            await home.store.claim(ClaimTerms(owner="ins_dead", limit=1))
            await home.store.release_abandoned(living=[])
        async with home.at_work():
            assert await told(home) == ["Sorry."]
        [turn] = await home.turns()

    assert turn.state == "dead"


async def test_what_cannot_even_be_said_leaves_a_failed_turn_and_the_session_goes_on(
    data: Path,
) -> None:
    async with house(data, "Hello.", "Again.", capabilities=SIGNAL) as home, home.at_work():
        home.channel.render_error = ValueError("a bug of the adapter")
        await home.store.accept([queued("hi")], limits=QueueLimits())
        home.worker.wake()
        await home.settled()
        home.channel.render_error = None
        await home.say("and now?")

        assert await told(home) == ["Again."]
        assert [turn.state for turn in await home.turns()] == ["failed", "done"]


async def test_a_turn_that_somebody_stopped_needs_no_apology(data: Path) -> None:
    hold = Hold(text="Good ")
    async with house(data, hold, capabilities=SIGNAL) as home, home.at_work():
        await home.say("hi")
        await hold.reached.wait()
        await home.say("/stop")

        assert "Sorry." not in await told(home)
        assert home.channel.live_log[-1] == "end"
