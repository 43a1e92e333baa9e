"""A gateway on a fake Slack, people who write to it, and the verdict on what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import aiohttp

from gateway.testing.faults.fault import Stage
from gateway.testing.kills.settled import errors_in_log, read_transcripts, wait_until_settled
from gateway.testing.kills.witness import Evidence, Sent, Spoken, Violation, judge
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, on_slack
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.wire import JsonObject

APOLOGY = "Sorry, that did not work."


@dataclass(slots=True)
class SlackScene:
    """One gateway, one bot, and everything that was said to it in direct messages."""

    gateway: GatewayProcess
    slack: SlackServer
    key: str
    spoken: list[Spoken] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    _numbers: Counter[int] = field(default_factory=Counter)

    def write(self, chat: int) -> JsonObject:
        """Somebody writes in that chat; the event of it."""
        self._numbers[chat] += 1
        said = Spoken(f"chat {chat}", self._numbers[chat], monotonic())
        self.spoken.append(said)
        return self.slack.post_message(f"D{chat}", f"U{chat}", said.text)

    async def kill_and_start(self) -> None:
        """Kill the gateway, and start it again."""
        self.kills.append(monotonic())
        await self.gateway.kill()
        await self.gateway.start()

    async def verdict(self, *, patience_s: float = PATIENCE_S) -> list[Violation]:
        """Let everything come to rest; then all was turned and answered once, in order."""
        await self.slack.wait_until_acknowledged(timeout_s=patience_s)
        found = await wait_until_settled(self.gateway, patience_s=patience_s)
        headers = {"Authorization": f"Bearer {self.key}"}
        async with aiohttp.ClientSession(headers=headers) as client:
            transcripts = await read_transcripts(client, self.gateway.url)
        evidence = Evidence(
            spoken=self.spoken,
            transcripts=transcripts,
            sent=[
                Sent(f"chat {one.channel[1:]}", one.text, one.at, "slack")
                for one in self.slack.sent()
            ],
            kills=self.kills,
            apology=APOLOGY,
            can_ask=frozenset({"slack"}),
        )
        broken = [Violation("calls keep the rules", "slack", said) for said in self.slack.problems]
        return [*found, *broken, *judge(evidence).violations, *errors_in_log(self.gateway.log)]


@asynccontextmanager
async def on_slack_scene(
    stage: Stage, slack: SlackServer, *, receive: str
) -> AsyncIterator[SlackScene]:
    """A gateway with a scripted model, connected to that Slack."""
    config = SCRIPTED + DESK + on_slack(slack, receive=receive)
    async with GatewayProcess(stage.folder, config=config) as gateway:
        key = await gateway.create_key()
        await gateway.start()
        if receive == "socket":
            await slack.wait_for_sockets(timeout_s=PATIENCE_S)
        else:
            slack.deliver_to(f"{gateway.url}/hooks/slack/events")
        yield SlackScene(gateway, slack, key)
