"""Whatever fails on the way: nothing is lost, nothing is answered twice, order is kept."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from gateway.agents.journal import TurnJournal
from gateway.domain.bots import Bot
from gateway.domain.conversation import Message, TextPart, Usage
from gateway.domain.ids import new_message_id
from gateway.domain.policy import QueueLimits
from gateway.domain.turns import (
    TERMINAL,
    ClaimedTurn,
    MessageCompleted,
    MessageStarted,
    TurnEvent,
    TurnFinished,
)
from gateway.errors import DeliveryLater, Unavailable
from tests.flow.house import House, house, said

CHATS, MESSAGES = 8, 5
STORE_CALLS = (
    *("accept", "claim", "commit_turn", "heartbeat", "begin_sends", "end_sends", "ambiguous"),
    "session_at",
)


async def echo(
    bot: Bot, claimed: ClaimedTurn, *, journal: TurnJournal, wants_stream: bool
) -> AsyncGenerator[TurnEvent, None]:
    """Answers what was said last, in two parts, at its leisure."""
    message_id = new_message_id()
    yield MessageStarted(message_id, "Desk")
    await asyncio.sleep(random.uniform(0, 0.01))
    text = claimed.history[-1].text
    content = (TextPart(f"{text}a\f{text}b"),)
    yield MessageCompleted(Message(id=message_id, role="assistant", content=content))
    yield TurnFinished("Desk", "Desk", Usage(), "m")


async def spoil(home: House, dice: random.Random) -> None:
    """Make something fail, again and again, until cancelled."""
    while True:
        home.flaky.away[dice.choice(STORE_CALLS)] = 1
        if dice.random() < 0.1:
            home.channel.fail(DeliveryLater("slow down", retry_after_s=0.25))
        await asyncio.sleep(dice.uniform(0, 0.02))


async def write(home: House, chat: int, dice: random.Random) -> None:
    """A person who writes; the platform repeats what was not acknowledged, and some of the rest."""
    for number in range(MESSAGES):
        message = said(f"{number}", chat=str(chat), source_order=number)
        is_taken = False
        while not is_taken or dice.random() < 0.3:
            try:
                await home.port.accept([message])
                is_taken = True
            except Unavailable:
                await asyncio.sleep(0.005)


async def is_all_sent(home: House) -> bool:
    depth = await home.store.depth()
    waiting = depth.queued_turns + depth.running_turns
    return not waiting and set(depth.deliveries) <= {"sent"}


@pytest.mark.parametrize("seed", range(3))
async def test_every_message_is_answered_once_and_in_order(data: Path, seed: int) -> None:
    dice = random.Random(seed)
    sent: defaultdict[str, list[str]] = defaultdict(list)
    async with house(data, think=echo, limits=QueueLimits(turns=4)) as first:
        async with first.at_work():
            spoiling = asyncio.create_task(spoil(first, dice))
            await asyncio.gather(*(write(first, chat, dice) for chat in range(CHATS)))
            await first.channel.wait_for_sent(CHATS, timeout_s=20)
            spoiling.cancel()
            await first.worker.drain(within_s=0)
            first.flaky.away.clear()
            await first.outbox.drain(within_s=5)
        second = house(data, think=echo, store=first.store, clock=first.clock)
        async with second as after:
            await after.janitor.recover()
            async with after.at_work(after.worker.run, after.outbox.run, after.doubt.run):
                await after.until(lambda: is_all_sent(after), timeout_s=20)
            turns = await after.turns()
            await after.sound()

        for one in (*first.channel.sent, *after.channel.sent):
            sent[one.address.chat].append(one.text)
    assert all(turn.state in TERMINAL for turn in turns)
    assert len(turns) == CHATS * MESSAGES
    wanted = [f"{number}{part}" for number in range(MESSAGES) for part in "ab"]
    assert dict(sent) == {str(chat): wanted for chat in range(CHATS)}
