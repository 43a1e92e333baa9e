"""A tool call that was made is not made again, whatever happened to its attempt."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.agents.journal import Recalled, TurnJournal, TurnLost
from gateway.agents.waiting import DECLINED
from gateway.domain.bots import Bot
from gateway.domain.conversation import Message, TextPart, ToolCall, Usage
from gateway.domain.ids import new_message_id
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import (
    ClaimedTurn,
    MessageCompleted,
    TurnEvent,
    TurnFinished,
    TurnOptions,
    TurnOutcome,
    TurnWaiting,
)
from gateway.errors import StoreError
from gateway.flow.journal import StoreJournal
from gateway.store.protocol import Store
from gateway.store.protocol.inbox import ClaimTerms
from gateway.testing.models import asks
from tests.flow.house import PRINCIPAL, House, house, queued

PAY = ToolCall("c1", "pay", '{"eur": 5}')
PAID = Message(
    id=new_message_id(),
    role="tool",
    content=(TextPart("paid"),),
    tool_call_id="c1",
    tool_name="pay",
)
TERMS = ClaimTerms(owner="ins_1", limit=1)


async def claim(home: House) -> ClaimedTurn:
    [claimed] = await home.store.claim(TERMS)
    return claimed


async def begun(home: House) -> ClaimedTurn:
    """A turn that runs."""
    await home.store.accept([queued("pay")], limits=QueueLimits())
    return await claim(home)


async def test_a_first_attempt_recalls_nothing(data: Path) -> None:
    async with house(data) as home:
        journal = StoreJournal(home.store, await begun(home))

        assert await journal.recall(0) is None


async def test_the_key_of_a_call_names_turn_and_step(data: Path) -> None:
    async with house(data) as home:
        claimed = await begun(home)

        assert await StoreJournal(home.store, claimed).begin(3, PAY) == f"{claimed.turn.id}/3"


async def test_a_call_that_ended_is_recalled_after_a_crash(data: Path) -> None:
    async with house(data) as home:
        journal = StoreJournal(home.store, await begun(home))
        await journal.begin(0, PAY)
        await journal.end(0, result="paid", is_ok=True)
        await journal.begin(1, PAY)
        await home.store.release_abandoned(living=[])

        again = StoreJournal(home.store, await claim(home))

        assert await again.recall(0) == Recalled("pay", PAY.arguments, "paid", is_ok=True)
        assert await again.recall(1) == Recalled("pay", PAY.arguments, None, is_ok=False)
        assert await again.recall(2) is None


async def test_a_call_is_recalled_after_its_attempt_was_given_back(data: Path) -> None:
    async with house(data) as home:
        claimed = await begun(home)
        journal = StoreJournal(home.store, claimed)
        await journal.begin(0, PAY)
        await journal.end(0, result="paid", is_ok=True)
        given_back = TurnOutcome(state="queued", counts_attempt=False)
        await home.store.commit_turn(claimed.lease, claimed.turn.id, given_back)

        again = await claim(home)

        assert again.turn.attempts == 1
        recalled = await StoreJournal(home.store, again).recall(0)
        assert recalled is not None
        assert recalled.result == "paid"


async def test_calls_of_an_attempt_are_read_once(data: Path) -> None:
    async with house(data) as home:
        claimed = await begun(home)
        store = home.flaky
        journal = StoreJournal(store, claimed)  # type: ignore[arg-type] # it stands for a store
        for step in range(3):
            await journal.recall(step)

        assert store.calls["tool_results"] == 1


async def test_a_call_of_a_turn_that_somebody_else_has_is_not_made(data: Path) -> None:
    async with house(data) as home:
        claimed = await begun(home)
        await home.store.release_abandoned(living=[])
        await claim(home)

        with pytest.raises(TurnLost):
            await StoreJournal(home.store, claimed).begin(0, PAY)


async def test_a_worker_that_lost_its_turn_makes_no_call_and_leaves_it_alone(
    data: Path, logs: list[MutableMapping[str, Any]]
) -> None:
    may_pay, paid = asyncio.Event(), []

    async def think(
        bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        await may_pay.wait()
        paid.append(await journal.begin(0, PAY))
        yield TurnFinished("Desk", "Desk", Usage(), None)

    async with house(data, think=think) as home, home.at_work():
        home.flaky.holds["heartbeat"] = asyncio.Event()
        await home.say("pay")
        await home.until(lambda: home.worker.running)
        await home.until(lambda: home.flaky.calls["heartbeat"])
        home.flaky.holds["claim"] = asyncio.Event()
        await home.store.release_abandoned(living=[])
        await claim(home)
        may_pay.set()
        await home.worker.settled()
        [turn] = await home.turns()

    assert turn.state == "running"
    assert paid == []
    assert "turn_taken_over" in [one["event"] for one in logs]
    assert home.flaky.calls["commit_turn"] == 0


async def test_a_store_that_is_away_is_waited_for(data: Path) -> None:
    async with house(data) as home:
        claimed = await begun(home)
        journal = StoreJournal(cast(Store, home.flaky), claimed)
        for name in ("tool_results", "begin_tool", "end_tool"):
            home.flaky.away[name] = 1
        assert await journal.recall(0) is None
        await journal.begin(0, PAY)
        await journal.end(0, result="paid", is_ok=True)

        again = StoreJournal(home.store, claimed)
        assert await again.recall(0) == Recalled("pay", PAY.arguments, "paid", is_ok=True)


async def test_a_store_that_stays_away_is_not_waited_for_for_ever(data: Path) -> None:
    async with house(data) as home:
        claimed = await begun(home)
        journal = StoreJournal(cast(Store, home.flaky), claimed, patience_s=0)
        home.flaky.away["begin_tool"] = 100

        with pytest.raises(StoreError):
            await journal.begin(0, PAY)


async def test_a_question_that_the_person_talks_over_is_told_as_declined(data: Path) -> None:
    ask = ToolCall("c1", "lookup", "{}")
    async with house(data, asks(ask), "As you like.", "Hello.") as home, home.at_work():
        started = await home.api("look it up", options=TurnOptions(client_tools=True))
        asked = await home.chat.result(PRINCIPAL, started, timeout_s=5)
        await home.api("never mind", session_id=asked.session_id)
        await home.settled()

    declined = home.model.requests[1].messages[-1]
    assert (declined["role"], declined["content"]) == ("tool", DECLINED)


async def test_a_turn_that_waited_goes_on_counting(data: Path) -> None:
    keys: list[str] = []

    async def think(
        bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
    ) -> AsyncGenerator[TurnEvent, None]:
        keys.append(await journal.begin(0, PAY))
        await journal.end(0, result="paid", is_ok=True)
        if claimed.turn.attempts == 1:
            yield MessageCompleted(PAID)
            yield TurnWaiting((PAY,), "Desk", "Desk", Usage(), None)
        else:
            yield TurnFinished("Desk", "Desk", Usage(), None)

    async with house(data, think=think) as home, home.at_work():
        started = await home.api("pay")
        turn = await home.chat.result(PRINCIPAL, started, timeout_s=5)
        await home.chat.resume(PRINCIPAL, turn.id, {"c1": "paid"})
        await home.settled()

    assert keys == [f"{turn.id}/0", f"{turn.id}/1"]
