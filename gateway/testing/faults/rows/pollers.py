"""F11: long polling that is refused, broken, cut off, and shared with a stranger.

The offset that the gateway polls with confirms everything below it to Telegram, which forgets it.
So the gateway is killed the moment it has confirmed something: what it confirmed must be in its
history, and what it had not confirmed comes again.
"""

from __future__ import annotations

from typing import Final

import aiohttp

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.telegram_scene import TelegramScene, on_scene
from gateway.testing.kills.witness import Violation
from gateway.testing.misbehaviour import Drop, Hang, HtmlError
from gateway.testing.scene import PATIENCE_S
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.telegram.faults import TelegramFault as Trouble
from gateway.testing.telegram.faults import other_poller

POLL: Final = "getUpdates"
TROUBLES: Final[tuple[Trouble, ...]] = (
    other_poller(),
    HtmlError(502),
    HtmlError(200, "<html>no document</html>"),
    Drop(accepted=False),
    Drop(accepted=True),
)
SLOW_TROUBLES: Final[tuple[Trouble, ...]] = (Hang(accepted=False), Hang(accepted=True))
"""Each keeps the gateway waiting for its whole time limit."""
LONGEST_PAUSE_S: Final = 90.0
RIVAL: Final = "another instance is polling"


async def _trouble(stage: Stage) -> Observation:
    troubles = (*TROUBLES, *SLOW_TROUBLES) if stage.is_large else TROUBLES
    async with TelegramServer() as telegram, on_scene(stage, telegram) as scene:
        for number, trouble in enumerate(troubles, start=1):
            stage.tell(f"{number} of {len(troubles)}: {type(trouble).__name__}")
            telegram.fail(POLL, trouble)
            scene.write(number, times=2)
            await telegram.wait_until_confirmed(timeout_s=LONGEST_PAUSE_S)
        stolen = await _share(scene, rounds=stage.pick(1, 5))
        kills = stage.pick(3, 30)
        for number in range(kills):
            await _kill_once_confirmed(scene, chat=100 + number)
        found = [*await _judge_health(scene), *await scene.verdict()]
    return Observation(
        f"{len(troubles)} kinds of failed polls, {stolen} updates seen by a stranger, {kills} kills"
        f" at a confirmation; {len(scene.spoken)} messages, none lost",
        found,
    )


async def _share(scene: TelegramScene, *, rounds: int) -> int:
    """Let a stranger with the token poll, too; how many updates it was handed."""
    telegram, stolen = scene.telegram, 0
    url = f"{telegram.api_url}/bot{telegram.token}/{POLL}"
    async with aiohttp.ClientSession() as client:
        for number in range(rounds):
            scene.write(50 + number, times=2)
            async with client.post(url, json={"timeout": 1}) as answer:
                stolen += len((await answer.json()).get("result", ()))
            scene.write(50 + number)
    await telegram.wait_until_confirmed(timeout_s=LONGEST_PAUSE_S)
    return stolen


async def _kill_once_confirmed(scene: TelegramScene, *, chat: int) -> None:
    """Kill the gateway as soon as it has confirmed some of what was written, and start it again."""
    telegram, before = scene.telegram, scene.telegram.offset
    scene.write(chat, times=5)
    await telegram.wait_until(lambda: telegram.offset > before, timeout_s=PATIENCE_S)
    await scene.kill_and_start()


async def _judge_health(scene: TelegramScene) -> list[Violation]:
    """After all of it the channel hears again, and says so."""
    await scene.telegram.wait_until_confirmed(timeout_s=LONGEST_PAUSE_S)
    if RIVAL in scene.gateway.log:
        return []
    promise = "a second poller shows in the channel's health"
    return [Violation(promise, "log", "nothing tells of it")]


POLLERS: Final = Fault(
    id="F11",
    name="long polling in trouble",
    promise="one poller; nothing confirmed that is not stored",
    injected="409, 5xx, garbage, cut polls; a second poller; kills",
    run=_trouble,
)
