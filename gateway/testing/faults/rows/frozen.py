"""F4: the process is stopped in the middle of its turns for longer than its leases last.

SIGSTOP, as a debugger, a full machine or a snapshot does it; meanwhile the platform delivers the
same messages again, and further ones come. After SIGCONT every message has one reply, in order.
On one machine nobody else can have taken the turns over, for the data directory is held: the same
process finds its leases over and goes on under them. So this row shows that a freeze longer than a
lease loses no reply and repeats none; that the commit of a lost lease is thrown away is shown by
the model of the queue in the tests. (A service manager's watchdog would restart such a process;
there is none here.)
"""

from __future__ import annotations

import asyncio
import signal
from typing import Final

from gateway.domain.policy import LEASE_S
from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.telegram_scene import TelegramScene, on_scene
from gateway.testing.kills.witness import Violation
from gateway.testing.scene import PATIENCE_S, logged
from gateway.testing.telegram.endpoint import TelegramServer

REPLY_S: Final = 2.0
SLOW_MODEL: Final = f"""
[limits]
requests_per_minute = 0

[models.main]
provider = "scripted"

[[models.main.rules]]
reply = "Heard: {{text}}"
delay_s = {REPLY_S}
"""
COPIES: Final = 3


async def _freeze(stage: Stage) -> Observation:
    chats, frozen_s = stage.pick(8, 40), stage.pick(int(LEASE_S) + 2, 2 * int(LEASE_S))
    async with (
        TelegramServer() as telegram,
        on_scene(stage, telegram, model=SLOW_MODEL) as scene,
    ):
        found = []
        updates = [update for chat in range(1, chats + 1) for update in scene.write(chat)]
        await telegram.wait_until_confirmed(timeout_s=PATIENCE_S)
        scene.gateway.send_signal(signal.SIGSTOP)
        try:
            stage.tell(f"stopped for {frozen_s} s in the middle of {chats} turns")
            before = len(telegram.sent())
            for update in updates:
                telegram.redeliver(update, COPIES)
            for chat in range(1, chats + 1):
                scene.write(chat)
            await asyncio.sleep(frozen_s)
            if len(telegram.sent()) != before:
                found.append(Violation("a stopped process does nothing", "tg", "it sent"))
        finally:
            scene.gateway.send_signal(signal.SIGCONT)
        found += [*judge_freeze(before, chats=chats), *await scene.verdict()]
        return Observation(_seen(scene, frozen_s, chats=chats), found)


def judge_freeze(answered: int, *, chats: int) -> list[Violation]:
    """Whether the process was stopped in the middle of turns at all."""
    if answered < chats:
        return []
    return [Violation("it is stopped in the middle of turns", "run", "all were answered before")]


def _seen(scene: TelegramScene, frozen_s: int, *, chats: int) -> str:
    turns = len(logged(scene.gateway, "turn_finished"))
    return (
        f"stopped {frozen_s} s in {chats} turns: {len(scene.spoken)} messages,"
        f" {turns} turns, {len(scene.telegram.sent())} replies"
    )


FROZEN: Final = Fault(
    id="F4",
    name="a frozen owner",
    promise="one turn and one reply each, in order, after the freeze",
    injected="SIGSTOP past the lease, redeliveries, SIGCONT",
    run=_freeze,
)
