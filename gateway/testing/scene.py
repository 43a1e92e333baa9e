"""A gateway as a process, a caller of its API, and the configuration to put between them and fakes.

`serving` gives both. What a caller is answered and cannot use comes out as `UnexpectedAnswer`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from gateway.testing.openai.endpoint import OpenAIServer
from gateway.testing.process import GatewayProcess
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.telegram.endpoint import TelegramServer

PATIENCE_S = 45.0
SECRET = "a-webhook-secret"  # noqa: S105 - of a fake platform

DESK = """
[[bots]]
slug = "support"
apology = "Sorry, that did not work."

[[bots.agents]]
name = "Desk"
model = "main"
"""

SCRIPTED = """
[limits]
requests_per_minute = 0

[models.main]
provider = "scripted"

[[models.main.rules]]
text = "slowly"
reply = "Heard: {text}"
delay_s = 1.5

[[models.main.rules]]
reply = "Heard: {text}"
"""


class UnexpectedAnswer(Exception):
    """The API answered something else than was needed to go on."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever document it is
        """The document."""
        return json.loads(self.text)

    def expect(self, *statuses: int) -> Answered:
        """Itself, if it has one of these statuses; raises UnexpectedAnswer."""
        if self.status not in statuses:
            raise UnexpectedAnswer(f"{self.status}: {self.text[:500]}")
        return self


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event."""

    type: str
    data: dict[str, Any]


class Caller:
    """Somebody with a key."""

    def __init__(self, client: aiohttp.ClientSession, url: str, key: str) -> None:
        self.key = key
        self.url = url
        self.client = client

    async def call(
        self, method: str, path: str, body: object = None, *, repeat_key: str | None = None
    ) -> Answered:
        """One request; `repeat_key` is its Idempotency-Key."""
        headers = {"Authorization": f"Bearer {self.key}"}
        if repeat_key is not None:
            headers["Idempotency-Key"] = repeat_key
        async with self.client.request(
            method, self.url + path, json=body, headers=headers
        ) as answer:
            return Answered(answer.status, answer.headers, await answer.text())

    async def get(self, path: str) -> Any:  # noqa: ANN401 - whatever document it is
        """A document that is there."""
        return (await self.call("GET", path)).expect(200).json

    async def say(
        self,
        text: str,
        *,
        session: str | None = None,
        repeat_key: str | None = None,
        **more: object,
    ) -> Any:  # noqa: ANN401 - the turn as the API writes it
        """The turn of a message that is answered at once, or 202 with `background=True`."""
        path = f"/v1/sessions/{session}/messages" if session else "/v1/chat"
        answer = await self.call("POST", path, {"input": text, **more}, repeat_key=repeat_key)
        return answer.expect(200, 202).json

    async def stream(self, body: object) -> AsyncIterator[Event]:
        """The events of a new turn, as they come."""
        async for event in self._events("POST", "/v1/chat", body):
            yield event

    async def follow(self, turn: str, *, after: int) -> AsyncIterator[Event]:
        """The events of a turn above a number, as they come."""
        async for event in self._events("GET", f"/v1/turns/{turn}/events?after={after}", None):
            yield event

    async def turn(self, turn: str) -> Any:  # noqa: ANN401 - the turn as the API writes it
        """A turn when it is over, however often that has to be asked."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                document = await self.get(f"/v1/turns/{turn}?wait=5")
                if document["status"] not in ("queued", "in_progress"):
                    return document

    async def texts(self, session: str, *, role: str) -> list[str]:
        """What one side has said, oldest first."""
        page = await self.get(f"/v1/sessions/{session}/messages?order=asc&limit=100")
        return [text_of(message) for message in page["data"] if message["role"] == role]

    async def session_count(self) -> int:
        """How many sessions there are, up to 100."""
        return len((await self.get("/v1/sessions?limit=100"))["data"])

    async def _events(self, method: str, path: str, body: object) -> AsyncIterator[Event]:
        headers = {"Authorization": f"Bearer {self.key}"}
        async with self.client.request(
            method, self.url + path, json=body, headers=headers
        ) as answer:
            if answer.status != 200:
                raise UnexpectedAnswer(f"{answer.status}: {await answer.text()}")
            async for line in answer.content:
                if line.startswith(b"data: "):
                    data = json.loads(line[6:])
                    yield Event(str(data["type"]), data)


@asynccontextmanager
async def calling(gateway: GatewayProcess, key: str) -> AsyncIterator[Caller]:
    """A caller of a gateway that runs, now or later."""
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, headers=headers
    ) as client:
        yield Caller(client, gateway.url, key)


@asynccontextmanager
async def serving(
    folder: Path,
    config: str = SCRIPTED + DESK,
    *,
    project: str = "default",
    server: str = "",
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[GatewayProcess, Caller]]:
    """A running gateway, and a caller with a key; `server` are lines of its `[server]`."""
    async with GatewayProcess(
        folder, config=config, server=server, environment=environment
    ) as gateway:
        key = await gateway.create_key(project=project)
        async with calling(gateway, key) as caller:
            await gateway.start()
            yield gateway, caller


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a message as the API writes it."""
    return "".join(part.get("text", "") for part in message["content"])


def over_endpoint(model: OpenAIServer, *, key: str = "none") -> str:
    """The model `main` at a fake endpoint."""
    return f"""
[models.main]
provider = "openai"
base_url = "{model.base_url}"
api_key = "{key}"
model = "fake-model"
"""


def on_telegram(
    telegram: TelegramServer, *, receive: str = "webhook", name: str = "tg", more: str = ""
) -> str:
    """A channel at a fake platform."""
    secret = f'webhook_secret = "{SECRET}"' if receive == "webhook" else ""
    return f"""
[[channels]]
name = "{name}"
kind = "telegram"
bot = "support"
token = "{telegram.token}"
receive = "{receive}"
api_url = "{telegram.api_url}"
{secret}
{more}
"""


def on_slack(
    slack: SlackServer, *, receive: str = "events", name: str = "slack", more: str = ""
) -> str:
    """A channel at a fake Slack."""
    return f"""
[[channels]]
name = "{name}"
kind = "slack"
bot = "support"
bot_token = "{slack.bot_token}"
signing_secret = "{slack.signing_secret}"
app_token = "{slack.app_token}"
receive = "{receive}"
api_url = "{slack.api_url}"
{more}
"""


def logged(gateway: GatewayProcess, event: str) -> list[dict[str, Any]]:
    """The lines of its log about an event, over all its lives."""
    return [line for line in _lines(gateway.log) if line.get("event") == event]


def _lines(log: str) -> Sequence[dict[str, Any]]:
    found = []
    for line in log.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:  # a kill cuts a line short
            continue
    return found
