"""The platforms of the channel rows: an API that answers at once, and people who write in turn.

Much less than the strict fakes of `gateway.testing`, on purpose: what is measured is the server
under test, and this runs beside it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from aiohttp import ClientSession, web

from bench.gateways import TURNS_A_SESSION
from bench.load import new_client

TOKEN = "123456:bench"
SECRET = "bench-secret"
CHATS = 16
SAYING = "Hello there, how are you doing today? This is number"
REPLY_WITHIN_S = 30.0


class Platform(ABC):
    """One platform: `url` is its API; a person's message is posted to a webhook and answered."""

    def __init__(self) -> None:
        self.url = ""
        self._numbers = count(1)
        self._chats = count(1)
        self._replies: dict[str, asyncio.Future[None]] = {}

    async def converse(self, webhook: str, *, messages: int) -> float:
        """That many messages in all, `CHATS` at once, each after the last reply; seconds.

        As in the other rows a conversation has `TURNS_A_SESSION` turns; then somebody new writes.
        """
        numbers = iter(range(messages))
        async with new_client() as client, asyncio.TaskGroup() as people:
            began = time.perf_counter()
            for _ in range(CHATS):
                people.create_task(self._write_on(client, webhook, numbers))
        return time.perf_counter() - began

    async def _write_on(self, client: ClientSession, webhook: str, numbers: Iterator[int]) -> None:
        chat = ""
        for turn, _ in enumerate(numbers):
            if turn % TURNS_A_SESSION == 0:
                chat = f"{next(self._chats)}"
            replied = self._replies[self.chat(chat)] = asyncio.get_running_loop().create_future()
            body, headers = self.message(chat)
            async with client.post(webhook, data=body, headers=headers) as answer:
                answer.raise_for_status()
            async with asyncio.timeout(REPLY_WITHIN_S):
                await replied

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """The API, as long as the block lasts."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        method = request.path.rpartition("/")[2]
        body = await request.read()
        is_json = request.content_type == "application/json"
        parameters = json.loads(body) if is_json and body else dict(await request.post())
        found = self.answer(method, parameters)
        if self.is_reply(method):
            waiting = self._replies.pop(str(parameters[self.chat_key]), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        return web.json_response(found)

    chat_key: str

    @abstractmethod
    def chat(self, number: str) -> str:
        """The platform's id of a numbered chat."""

    @abstractmethod
    def message(self, chat: str) -> tuple[bytes, Mapping[str, str]]:
        """The next message of that person, as the platform posts it."""

    @abstractmethod
    def answer(self, method: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the API answers to a call."""

    @abstractmethod
    def is_reply(self, method: str) -> bool:
        """Whether that call carries a reply."""


class Telegram(Platform):
    """Private chats by webhook."""

    chat_key = "chat_id"

    def chat(self, number: str) -> str:
        return number

    def message(self, chat: str) -> tuple[bytes, Mapping[str, str]]:
        number = next(self._numbers)
        person = {"id": int(chat), "is_bot": False, "first_name": "Ada"}
        update = {
            "update_id": number,
            "message": {
                "message_id": number,
                "date": int(time.time()),
                "chat": {"id": int(chat), "type": "private", "first_name": "Ada"},
                "from": person,
                "text": f"{SAYING} {number}",
            },
        }
        headers = {
            "Content-Type": "application/json",
            "X-Telegram-Bot-Api-Secret-Token": SECRET,
        }
        return json.dumps(update).encode(), headers

    def answer(self, method: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        us = {"id": 123456, "is_bot": True, "first_name": "Bench", "username": "bench_bot"}
        if method == "getMe":
            return {"ok": True, "result": us}
        if method == "getWebhookInfo":
            empty = {"url": "", "has_custom_certificate": False, "pending_update_count": 0}
            return {"ok": True, "result": empty}
        if not self.is_reply(method):
            return {"ok": True, "result": True}
        sent = {
            "message_id": next(self._numbers),
            "date": int(time.time()),
            "chat": {"id": int(parameters["chat_id"]), "type": "private", "first_name": "Ada"},
            "from": us,
            "text": parameters["text"],
        }
        return {"ok": True, "result": sent}

    def is_reply(self, method: str) -> bool:
        return method == "sendMessage"


class Slack(Platform):
    """Direct messages by the Events API."""

    chat_key = "channel"

    def chat(self, number: str) -> str:
        return f"D{number}"

    def message(self, chat: str) -> tuple[bytes, Mapping[str, str]]:
        number = next(self._numbers)
        stamp = f"{int(time.time())}"
        event = {
            "type": "message",
            "channel_type": "im",
            "channel": self.chat(chat),
            "user": f"U{chat}",
            "team": "T1",
            "text": f"{SAYING} {number}",
            "ts": f"{stamp}.{number:06}",
            "event_ts": f"{stamp}.{number:06}",
        }
        envelope = {
            "type": "event_callback",
            "team_id": "T1",
            "api_app_id": "A1",
            "event_id": f"Ev{number}",
            "event_time": int(stamp),
            "authorizations": [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}],
            "event": event,
        }
        body = json.dumps(envelope).encode()
        signed = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signed.hexdigest()}",
        }
        return body, headers

    def answer(self, method: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        if method == "auth.test":
            us = {"team_id": "T1", "user_id": "UBOT", "bot_id": "B1", "team": "Bench"}
            return {"ok": True, "url": "https://bench.slack.com/", "user": "bench", **us}
        if not self.is_reply(method):
            return {"ok": True}
        stamp = f"{int(time.time())}.{next(self._numbers):06}"
        said = {"type": "message", "ts": stamp, "text": "", "user": "UBOT", "bot_id": "B1"}
        return {"ok": True, "channel": parameters["channel"], "ts": stamp, "message": said}

    def is_reply(self, method: str) -> bool:
        return method == "chat.postMessage"
