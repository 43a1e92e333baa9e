"""F8 and F9: a Telegram that tells everybody to slow down, and one that refuses some for ever.

F8: for a while every send is answered 429 with a time to wait. Nothing may be sent before its time,
the platform's rates are kept on the way out, and at the end every reply has arrived, in order.
F9: some chats are blocked, some are gone. Their replies are dead at once, without a second try, and
nobody else notices.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.telegram_scene import TelegramScene, early_sends, on_scene
from gateway.testing.kills.witness import Violation
from gateway.testing.misbehaviour import FaultRule
from gateway.testing.pace import Window
from gateway.testing.scene import PATIENCE_S
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.faults import (
    BotCall,
    TelegramFault,
    blocked_by_user,
    chat_not_found,
    flood,
)
from gateway.testing.telegram.pace import Rates

SEND: Final = "sendMessage"
RATES: Final = Rates(per_chat=Window(4, 1.0))
"""Telegram tolerates short bursts in a chat; over all chats it is 30 a second, as published."""


async def _storm(stage: Stage) -> Observation:
    chats, length_s, longest_s = stage.pick(12, 200), stage.pick(4, 60), stage.pick(2, 30)
    async with TelegramServer(rates=RATES) as telegram:
        async with on_scene(stage, telegram) as scene:
            storm = _Storm(telegram, stage, longest_s)
            for chat in range(1, chats + 1):
                scene.write(chat, times=2)
            await asyncio.sleep(length_s)
            stage.tell(f"{storm.refused} refused, now it clears up")
            storm.end()
            found = await scene.verdict(patience_s=2 * longest_s + PATIENCE_S)
        return Observation(
            f"{chats} chats, {storm.refused} sends refused; {len(telegram.early)} early,"
            f" all {len(telegram.sent())} replies arrived in order",
            [*found, *early_sends(telegram), *judge_rates(telegram.calls, storm.refused)],
        )


class _Storm:
    """Every send is refused with a time to wait, which changes from send to send."""

    def __init__(self, telegram: TelegramServer, stage: Stage, longest_s: int) -> None:
        self._dice = stage.dice()
        self._rules: list[FaultRule[BotCall, TelegramFault]] = [
            telegram.fail(SEND, flood(wait_s), times=None, when=self._comes_now(wait_s, longest_s))
            for wait_s in range(longest_s, 0, -1)
        ]

    @property
    def refused(self) -> int:
        """How many sends it has refused."""
        return sum(rule.used for rule in self._rules)

    def end(self) -> None:
        """Let everything pass."""
        for rule in self._rules:
            rule.stop()

    def _comes_now(self, wait_s: int, longest_s: int) -> Callable[[BotCall], bool]:
        return lambda _call: wait_s == 1 or self._dice.random() < 1 / longest_s


def judge_rates(calls: Sequence[BotCall], planned: int) -> list[Violation]:
    """Refusals for being too fast that were not planned: the gateway broke a published rate."""
    refused = sum(call.method == SEND and call.status == 429 for call in calls)
    if refused <= planned:
        return []
    seen = f"{refused - planned} sends were over the rate of a chat or of the bot"
    return [Violation("the platform's rates are kept", "tg", seen)]


# ---------------------------------------------------------------- F9


async def _refuse(stage: Stage) -> Observation:
    count = stage.pick(12, 120)
    async with TelegramServer() as telegram:
        blocked, gone = range(1, count, 3), range(2, count, 3)
        for chats, refusal in ((blocked, blocked_by_user()), (gone, chat_not_found())):
            telegram.fail(SEND, refusal, times=None, when=_is_among(chats))
        async with on_scene(stage, telegram) as scene:
            for chat in range(1, count + 1):
                scene.write(chat)
            await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
            refused = {*blocked, *gone}
            found = [*await scene.verdict(), *_judge_refused(scene, refused)]
        return Observation(
            f"{len(refused)} chats refused, one try each; {count - len(refused)} others answered",
            found,
        )


def _is_among(chats: Sequence[int]) -> Callable[[BotCall], bool]:
    return lambda call: call.chat in chats


def _judge_refused(scene: TelegramScene, refused: set[int]) -> list[Violation]:
    """One try for each refused chat, one reply for every other."""
    tries = Counter(call.chat for call in scene.telegram.calls_of(SEND))
    return judge_tries(tries, refused=refused, sent={one.chat for one in scene.telegram.sent()})


def judge_tries(tries: Counter[int], *, refused: set[int], sent: set[int]) -> list[Violation]:
    """What is wrong with how often each chat was tried."""
    again = sorted(chat for chat in refused if tries[chat] != 1)
    silent = sorted(tries.keys() - refused - sent)
    found = []
    if again:
        seen = f"tried {[tries[chat] for chat in again]} times"
        found.append(Violation("a refusal is final at once", f"chats {again}", seen))
    if silent:
        found.append(Violation("others are unaffected", f"chats {silent}", "no reply arrived"))
    return found


FLOOD: Final = Fault(
    id="F8",
    name="a platform that says: slow down",
    promise="nothing sent before its time, then all, in order",
    injected="every send 429 with a time to wait",
    run=_storm,
)

REFUSALS: Final = Fault(
    id="F9",
    name="permanent refusals",
    promise="dead at once, no retry, others unaffected",
    injected="403 blocked and 400 chat not found",
    run=_refuse,
)
