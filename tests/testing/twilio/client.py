"""What the tests of the fake Twilio share: the official client, a plain one, and a webhook."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from gateway.testing import TwilioServer
from gateway.testing.loopback import Changes, hang_up
from tests import specifications

SHARED_SPEC = specifications.FOLDER / "twilio_api_v2010.json"
ADA = "+15557654321"


def spec_file_if_any() -> Path | None:
    """The description, None where there is none."""
    path = Path(os.environ.get("BOT_GATEWAY_TWILIO_SPEC", SHARED_SPEC))
    return path if path.exists() else None


def spec_file() -> Path:
    """The description, or a skipped test where there is none."""
    path = spec_file_if_any()
    if path is None:
        pytest.skip("no Twilio specification here")
    return path


@asynccontextmanager
async def sdk_of(twilio: TwilioServer, *, user: str = "", password: str = ""):
    """The official client over aiohttp."""
    async with AsyncTwilioHttpClient() as http:
        client = Client(
            user or twilio.account_sid,
            password or twilio.auth_token,
            account_sid=twilio.account_sid,
            http_client=http,
        )
        client.api.base_url = twilio.api_url
        yield client


class PlainClient:
    """Calls resources with forms and gives status and decoded answer."""

    def __init__(self, twilio: TwilioServer, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.base = f"{twilio.api_url}/2010-04-01/Accounts/{twilio.account_sid}"
        self.twilio = twilio

    async def create(self, **fields) -> tuple[int, dict]:
        given = {"To": ADA, "From": self.twilio.number, "Body": "hello", **fields}
        data = [(n, v) for n, value in given.items() for v in _values(value)]
        return await self.ask("POST", "/Messages.json", data=data)

    async def ask(self, method: str, path: str, **options) -> tuple[int, dict]:
        async with self.session.request(method, self.base + path, **options) as response:
            return response.status, await response.json() if response.status != 204 else {}


def _values(value) -> list[str]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


@asynccontextmanager
async def plain(twilio: TwilioServer, *, password: str = ""):
    auth = aiohttp.encode_basic_auth(twilio.account_sid, password or twilio.auth_token)
    async with aiohttp.ClientSession(headers={"Authorization": auth}) as session:
        yield PlainClient(twilio, session)


class Hook:
    """A program under test: a webhook and a callback that answer what they are told."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.forms: list[dict] = []
        self.requests: list[web.Request] = []
        self.url = ""
        self.cuts = 0
        self.changes = Changes()
        self.gate = asyncio.Event()
        self.gate.set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.forms.append(dict(form))
        self.requests.append(request)
        self.changes.tell()
        await self.gate.wait()
        if self.cuts:
            self.cuts -= 1
            return hang_up(request)
        if self.answers:
            return self.answers.pop(0)
        return web.Response(text="<Response/>", content_type="text/xml")

    def signature(self, number: int = 0) -> str | None:
        return self.requests[number].headers.get("X-Twilio-Signature")

    @property
    def statuses(self) -> list[str]:
        return [form["MessageStatus"] for form in self.forms if "MessageStatus" in form]

    @property
    def tokens(self) -> list[str]:
        return [request.headers["I-Twilio-Idempotency-Token"] for request in self.requests]

    async def wait_for(self, count: int) -> None:
        await self.changes.until(
            lambda: len(self.forms) >= count, timeout_s=5, otherwise=lambda: str(self.forms)
        )


@asynccontextmanager
async def hook():
    """A hook that listens; `url` has no path."""
    found = Hook()
    app = web.Application()
    app.router.add_post("/{path:.*}", found.answer)
    async with TestServer(app) as server:
        found.url = str(server.make_url("")).rstrip("/")
        try:
            yield found
        finally:
            found.gate.set()
