"""A gateway on a fake Telegram, people who write to it, and the verdict on what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

import aiohttp

from gateway.testing.faults.fault import Stage
from gateway.testing.kills.settled import errors_in_log, read_transcripts, wait_until_settled
from gateway.testing.kills.witness import Evidence, Sent, Spoken, Violation, judge
from gateway.testing.process import GatewayProcess
from gateway.testing.scene import DESK, PATIENCE_S, SCRIPTED, on_telegram
from gateway.testing.telegram.endpoint import TelegramServer
from gateway.testing.wire import JsonObject

APOLOGY = "Sorry, that did not work."


@dataclass(slots=True)
class TelegramScene:
    """One gateway, one bot, and everything that was said to it."""

    gateway: GatewayProcess
    telegram: TelegramServer
    key: str
    spoken: list[Spoken] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    _numbers: Counter[int] = field(default_factory=Counter)

    def write(self, chat: int, *, times: int = 1) -> list[JsonObject]:
        """Somebody writes in that chat; the updates of it."""
        return [self._write(chat) for _ in range(times)]

    def _write(self, chat: int) -> JsonObject:
        self._numbers[chat] += 1
        said = Spoken(f"chat {chat}", self._numbers[chat], monotonic())
        self.spoken.append(said)
        return self.telegram.post_text(chat, chat, said.text)

    async def kill_and_start(self) -> None:
        """Kill the gateway, and start it again."""
        self.kills.append(monotonic())
        await self.gateway.kill()
        await self.gateway.start()

    async def verdict(self, *, patience_s: float = PATIENCE_S) -> list[Violation]:
        """Let everything come to rest; then all was turned and answered once, in order."""
        found = await wait_until_settled(self.gateway, patience_s=patience_s)
        headers = {"Authorization": f"Bearer {self.key}"}
        async with aiohttp.ClientSession(headers=headers) as client:
            transcripts = await read_transcripts(client, self.gateway.url)
        evidence = Evidence(
            spoken=self.spoken,
            transcripts=transcripts,
            sent=[Sent(f"chat {one.chat}", one.text, one.at) for one in self.telegram.sent()],
            kills=self.kills,
            apology=APOLOGY,
        )
        broken = [Violation("calls keep the rules", "tg", said) for said in self.telegram.problems]
        return [*found, *broken, *judge(evidence).violations, *errors_in_log(self.gateway.log)]


@asynccontextmanager
async def on_scene(
    stage: Stage,
    telegram: TelegramServer,
    *,
    receive: str = "polling",
    model: str = SCRIPTED,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[TelegramScene]:
    """A gateway with a scripted model, connected to that Telegram."""
    config = model + DESK + on_telegram(telegram, receive=receive)
    async with GatewayProcess(stage.folder, config=config, environment=environment) as gateway:
        key = await gateway.create_key()
        await gateway.start()
        first = "getUpdates" if receive == "polling" else "setWebhook"
        await telegram.wait_for_calls(first, timeout_s=PATIENCE_S)
        yield TelegramScene(gateway, telegram, key)


def early_sends(telegram: TelegramServer) -> Sequence[Violation]:
    """Sends that came before the time the platform had told."""
    promise = "nothing is sent before its time"
    return [Violation(promise, "tg", seen) for seen in telegram.early]
