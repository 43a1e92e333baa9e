"""The Slack channel keeps the channel contract, over HTTP and by Socket Mode."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp

from channels.slack.adapter import SlackChannel
from gateway.contract import Address
from gateway.testing.conformance import (
    AskableConformance,
    ChannelConformance,
    GrowingConformance,
    GrowingRig,
    PlatformFault,
    Rig,
    WebhookConformance,
    WebhookRig,
)
from gateway.testing.misbehaviour import Drop, Hang, HtmlError
from gateway.testing.slack.endpoint import SlackServer
from gateway.testing.slack.faults import SlackError, SlackFault, rate_limited
from gateway.testing.slack.signature import signed_headers
from gateway.testing.slack.webhook import Forgery
from tests.channels.slack.running import QUICK_RETRY, QUICK_SOCKETS, settings_for

FAULTS: dict[PlatformFault, SlackFault] = {
    "throttled": rate_limited(2),
    "refused_part": SlackError("invalid_arguments"),
    "refused_address": SlackError("is_archived"),
    "refused_account": SlackError("account_inactive"),
    "lost_before": Drop(accepted=False),
    "lost_after": Drop(accepted=True),
    "server_error": HtmlError(502),
    "garbage": HtmlError(200, "<html>who am I?</html>"),
    "silence": Hang(),
}


class SlackRig(WebhookRig, GrowingRig):
    """An app, and the fake Slack; people talk to it in threads of direct messages."""

    name = "slack"

    def __init__(self, slack: SlackServer, public_url: str, *, receive: str) -> None:
        self.secrets = (slack.bot_token, slack.app_token, slack.signing_secret)
        self._slack = slack
        self._public_url = public_url
        self._receive = receive
        self._threads: dict[int, str] = {}

    def channel(self) -> SlackChannel:
        return self._channel()

    def stranger(self) -> SlackChannel:
        return self._channel(bot_token="xoxb-not-this-app")

    def address(self, number: int = 1) -> Address:
        return Address(self.name, f"{self._slack.workspace.id}:D{number}", self._thread(number))

    async def write(self, text: str, *, chat: int = 1) -> Any:
        thread = self._thread(chat)
        return self._slack.post_message(f"D{chat}", f"U{chat}", text, thread_ts=thread)

    async def write_again(self, event: Any) -> None:
        self._slack.redeliver(event)

    async def write_as_bot(self, text: str) -> Any:
        return self._slack.post_bot_message("D1", text)

    async def happen(self) -> Any:
        return self._slack.post_event({"type": "invention_of_tomorrow", "a": 1})

    async def wait_until_acknowledged(self, event: Any, *, timeout_s: float = 10) -> None:
        await self._slack.wait_until(lambda: self.is_acknowledged(event), timeout_s=timeout_s)

    def is_acknowledged(self, event: Any) -> bool:
        unsettled = [*self._slack.pending, *self._slack.given_up]
        return all(delivery.payload is not event for delivery in unsettled)

    def sent(self, chat: int = 1) -> Sequence[str]:
        return [said.text for said in self._slack.sent(f"D{chat}") if not said.extra.get("subtype")]

    def open_messages(self, chat: int = 1) -> int:
        return sum(message.is_streaming for message in self._slack.sent(f"D{chat}"))

    def fail(self, fault: PlatformFault, *, every: bool = False) -> None:
        method = "*" if every else "chat.postMessage"
        self._slack.fail(method, FAULTS[fault], times=None if every else 1)

    async def vanish(self) -> None:
        await self._slack.__aexit__(None, None, None)
        await asyncio.sleep(0)  # the ends of the open connections arrive

    def complaints(self) -> Sequence[str]:
        return self._slack.problems

    async def forge(self, text: str) -> int:
        said = {"type": "message", "channel_type": "im", "channel": "D1", "ts": "1.000001"}
        event = {"event_id": "Ev1", "team_id": self._slack.workspace.id, "type": "event_callback"}
        [attempt] = await self._slack.post_to_webhook(
            {**event, "event": {**said, "user": "U1", "text": text}},
            forgery=Forgery(secret="not the secret"),
        )
        return attempt.status or 0

    async def babble(self) -> int:
        body = b"\xff{nonsense"
        headers = signed_headers(body, secret=self._slack.signing_secret)
        url = f"{self._public_url}/hooks/{self.name}/events"
        headers["Content-Type"] = "application/json"
        async with (
            aiohttp.ClientSession() as client,
            client.post(url, data=body, headers=headers) as answer,
        ):
            return answer.status

    def _thread(self, number: int) -> str:
        """A thread in the direct message of a person, as the assistant's pane opens it."""
        if number not in self._threads:
            opened = self._slack.open_assistant(f"U{number}", is_told=False)
            self._threads[number] = opened["event"]["assistant_thread"]["thread_ts"]
        return self._threads[number]

    def _channel(self, **changed: Any) -> SlackChannel:
        settings = settings_for(self._slack, receive=self._receive, **changed)
        channel = SlackChannel(self.name, settings, public_url=self._public_url)
        channel.socket_times = QUICK_SOCKETS
        return channel


@asynccontextmanager
async def rig(public_url: str, *, receive: str) -> AsyncIterator[Rig]:
    async with SlackServer(retry=QUICK_RETRY) as slack:
        if receive == "events":
            slack.deliver_to(f"{public_url}/hooks/slack/events")
        yield SlackRig(slack, public_url, receive=receive)


class TestSocketMode(ChannelConformance):
    def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
        return rig(public_url, receive="socket")


class TestHttp(ChannelConformance, WebhookConformance, AskableConformance, GrowingConformance):
    def open_rig(self, public_url: str) -> AbstractAsyncContextManager[Rig]:
        return rig(public_url, receive="events")
