"""F10: Socket Mode whose sockets are cut, replaced and silent, while every event comes again.

Slack hands an envelope that was not acknowledged to another connection, and may hand out the same
event twice at any time. People go on writing meanwhile: each of their messages is one turn with one
answer, in order, and after each cut the next connection is there within ten seconds.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final

from gateway.testing.faults.fault import Fault, Observation, Stage
from gateway.testing.faults.props.slack_scene import SlackScene, on_slack_scene
from gateway.testing.kills.witness import Violation
from gateway.testing.scene import PATIENCE_S
from gateway.testing.slack.deliveries import EventRetry
from gateway.testing.slack.endpoint import SlackServer

CHATS: Final = 6
BACK_WITHIN_S: Final = 10.0
CLOSE_AFTER_S: Final = 0.5
PAUSE_S: Final = 5.0
"""Between two breaks, where there is time: people write at their own pace."""


async def _disconnect(stage: Stage) -> Observation:
    rounds, copies, slowest_s = stage.pick(3, 200), 0, 0.0
    async with (
        SlackServer(retry=EventRetry(scale=0.01)) as slack,
        on_slack_scene(stage, slack, receive="socket") as scene,
    ):
        for number in range(rounds):
            stage.tell(f"{number + 1} of {rounds}")
            copies += _write(scene, number)
            slowest_s = max(slowest_s, await _break(slack, number))
            copies += _write(scene, number)
            if stage.is_large:
                await asyncio.sleep(PAUSE_S)
        await slack.wait_until_acknowledged(timeout_s=PATIENCE_S)
        await scene.kill_and_start()
        await slack.wait_for_sockets(timeout_s=PATIENCE_S)
        copies += _write(scene, 0)
        found = [*await scene.verdict(), *judge_pause(slowest_s)]
        opened = slack.sockets.opened
    return Observation(
        f"{opened} sockets, {len(scene.spoken)} messages in {len(scene.spoken) + copies} copies, "
        f"one kill; none lost or answered twice; back after {slowest_s:.1f} s at most",
        found,
    )


def _write(scene: SlackScene, number: int) -> int:
    """Everybody writes, and some of it comes three times; how many copies that is."""
    copies = 0
    for chat in range(1, CHATS + 1):
        event = scene.write(chat)
        if (chat + number) % 2:
            scene.slack.redeliver(event, 2)
            copies += 2
    return copies


async def _break(slack: SlackServer, number: int) -> float:
    """Take all connections away, in turn by each way; how long until there is another one."""
    before, began = slack.sockets.opened, monotonic()
    if number % 2:
        await slack.sockets.disconnect("refresh_requested", close_after_s=CLOSE_AFTER_S)
    else:
        slack.sockets.cut()
    await slack.wait_until(lambda: slack.sockets.opened > before, timeout_s=PATIENCE_S)
    return monotonic() - began


def judge_pause(slowest_s: float) -> list[Violation]:
    """A connection that was away for too long."""
    if slowest_s <= BACK_WITHIN_S:
        return []
    promise = f"the next connection is there within {BACK_WITHIN_S:.0f} s"
    return [Violation(promise, "slack", f"it took {slowest_s:.1f} s")]


DISCONNECTS: Final = Fault(
    id="F10",
    name="sockets that end",
    promise="nothing lost or twice, in order, back within 10 s",
    injected="Slack's sockets cut or refreshed, copies, a kill",
    run=_disconnect,
)
