"""Apps for the fake Slack: one that keeps what it is told, one that answers, and plain clients."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from slack_sdk.http_retry.async_handler import AsyncRetryHandler
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient

from gateway.testing import SlackServer
from gateway.testing.loopback import Changes
from gateway.testing.slack.requests import FORM_ONLY


class Client:
    """Calls Web API methods, with JSON where Slack reads it, without any library in between."""

    def __init__(self, slack: SlackServer, session: aiohttp.ClientSession, token: str) -> None:
        self.slack = slack
        self.session = session
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def call(self, method: str, **params) -> dict:
        url = self.slack.api_url + method
        is_form = method in FORM_ONLY
        async with self.session.post(
            url,
            headers=self.headers,
            data=params if is_form else None,
            json=None if is_form else params,
        ) as response:
            answer = await response.json()
            assert response.status == (429 if answer.get("error") == "ratelimited" else 200)
            return answer

    async def ok(self, method: str, **params) -> dict:
        answer = await self.call(method, **params)
        assert answer["ok"], answer
        return answer

    async def error(self, method: str, **params) -> str:
        answer = await self.call(method, **params)
        assert not answer["ok"], answer
        return answer["error"]


@asynccontextmanager
async def client_of(slack: SlackServer, token: str | None = None):
    async with aiohttp.ClientSession() as session:
        yield Client(slack, session, slack.bot_token if token is None else token)


async def post_menu(slack: SlackServer, channel: str = "C1") -> None:
    """The app asks with a button."""
    slack.channel(channel)
    button = {
        "type": "button",
        "action_id": "yes",
        "value": "1",
        "text": {"type": "plain_text", "text": "Yes"},
    }
    blocks = [{"type": "actions", "elements": [button]}]
    async with client_of(slack) as client:
        await client.ok("chat.postMessage", channel=channel, text="menu", blocks=blocks)


@asynccontextmanager
async def official_client_of(slack: SlackServer, *, token: str = "", retries: int = 0):
    """slack_sdk's client; it posts again only after a 429, and only when told to."""
    handlers: list[AsyncRetryHandler] = []
    if retries:
        handlers.append(AsyncRateLimitErrorRetryHandler(max_retry_count=retries))
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(
            token=token or slack.bot_token,
            base_url=slack.api_url,
            session=session,
            retry_handlers=handlers,
        )


class Hook:
    """Request URLs that answer what they are told and keep what they got."""

    def __init__(self, secret: str) -> None:
        self.answers: list[web.Response] = []
        self.got: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.verdicts: list[bool] = []
        self.changes = Changes()
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = ""
        self._verifier = SignatureVerifier(secret)

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        headers = dict(request.headers)
        self.verdicts.append(self._verifier.is_valid_request(body, headers))
        self.headers.append({name.lower(): value for name, value in headers.items()})
        self.got.append(decoded(request.content_type, body))
        self.changes.tell()
        await self.gate.wait()
        if self.got[-1].get("type") == "url_verification":
            return web.json_response({"challenge": self.got[-1]["challenge"]})
        return self.answers.pop(0) if self.answers else web.Response()

    async def wait_for(self, count):
        await self.changes.until(
            lambda: len(self.got) >= count, timeout_s=5, otherwise=lambda: str(self.got)
        )

    @property
    def texts(self):
        return [told["event"]["text"] for told in self.got]


def decoded(content_type: str, body: str) -> dict:
    if content_type == "application/json":
        return json.loads(body)
    fields = dict(parse_qsl(body, keep_blank_values=True))
    return json.loads(fields["payload"]) if "payload" in fields else fields


@asynccontextmanager
async def hooked(slack: SlackServer):
    """The app's request URLs, known to Slack."""
    hook = Hook(slack.signing_secret)
    app = web.Application()
    app.router.add_post("/{name:.*}", hook.answer)
    async with TestServer(app) as server:
        hook.url = str(server.make_url("/events"))
        slack.deliver_to(hook.url)
        try:
            yield hook
        finally:
            hook.gate.set()


@asynccontextmanager
async def slack_bot(slack: SlackServer):
    """An app that answers every message once, in its thread; gives its request URL."""
    async with official_client_of(slack, retries=3) as client:
        answered: set[tuple[str, str]] = set()
        verifier = SignatureVerifier(slack.signing_secret)
        tasks: set[asyncio.Task] = set()

        async def reply(event: dict) -> None:
            await client.chat_postMessage(
                channel=event["channel"],
                thread_ts=event.get("thread_ts", event["ts"]),
                markdown_text=f"You said {event['text'].split('> ')[-1]}",
            )

        async def listen(request: web.Request) -> web.Response:
            body = await request.text()
            if not verifier.is_valid_request(body, dict(request.headers)):
                return web.Response(status=401)
            event = json.loads(body)["event"]
            key = (event["channel"], event["ts"])
            if "bot_id" not in event and key not in answered:
                answered.add(key)
                tasks.add(asyncio.create_task(reply(event)))
            return web.Response()

        app = web.Application()
        app.router.add_post("/events", listen)
        async with TestServer(app) as server:
            yield str(server.make_url("/events"))
        await asyncio.gather(*tasks)
