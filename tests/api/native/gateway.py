"""A gateway on a free port, and a client of its native API that trusts no answer.

Real store, real workers, real sockets; the model is scripted by the configuration below. Every
answer a client gets is held against the served description.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from gateway.api.app import ApiSettings, Runner, build_app
from gateway.api.http.server import ConnectionLimits
from gateway.api.native.description import Description
from gateway.api.native.routes import ENDPOINTS
from gateway.config.load import load
from gateway.daemon.parts import Parts, build
from gateway.domain.ids import ProjectId
from gateway.registry import Registry
from gateway.service.keys import NewKey
from gateway.service.services import Services
from gateway.store.open import open_store
from tests.api.conformance import Conformance, events

DEMO, OTHER = ProjectId("demo"), ProjectId("other")

CONFIG = """
[server]
secret = "a secret that is long enough for a test"

[[projects]]
id = "demo"

[[projects]]
id = "other"

[models.main]
provider = "scripted"

[[models.main.rules]]
text = "slow"
delay_s = 30
reply = "At last."

[[models.main.rules]]
text = "moment"
delay_s = 0.3
reply = "Here."

[[models.main.rules]]
text = "count"
reply = "one two three four five"
chunk_delay_s = 0.02

[[models.main.rules]]
text = "long"
reply = "LONG"

[[models.main.rules]]
text = "break"
fail = "permanent"

[[models.main.rules]]
tool = "get_balance"
reply = "It is {tool.balance}."

[[models.main.rules]]
text = "balance"
call = "get_balance"
arguments = { user = "u1" }

[[models.main.rules]]
text = "billing"
agent = "Desk"
handoff = "Billing"

[[models.main.rules]]
reply = "You said: {text}"

[tools.get_balance]
kind = "client"
description = "Balance of a user."
parameters = { type = "object", properties = { user = { type = "string" } } }

[[bots]]
slug = "support"
project = "demo"
name = "Support"
default = true
model = "main"

[[bots.agents]]
name = "Desk"
instructions = "Greet."
handoffs = ["Billing"]
tools = ["get_balance"]

[[bots.agents]]
name = "Billing"

[[bots]]
slug = "sales"
project = "demo"
model = "main"

[[bots.agents]]
name = "Seller"

[[bots]]
slug = "elsewhere"
project = "other"
default = true
model = "main"

[[bots.agents]]
name = "Other"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: already checked against the description."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The document."""
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The documents of a stream."""
        return list(events(self.body))

    @property
    def code(self) -> str:
        """The code of a problem."""
        return str(self.json["code"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A caller of the API with one key."""

    url: str
    http: aiohttp.ClientSession
    conformance: Conformance
    key: str | None
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_key(self, key: str | None, **headers: str) -> Client:
        """The same with another key (and further headers on every request)."""
        return replace(self, key=key, headers=headers)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        **headers: str,
    ) -> Reply:
        """Send a request and read the whole answer. Headers: `Content_Type="..."`."""
        async with self.open(method, path, body, raw=raw, **headers) as response:
            reply = Reply(
                status=response.status, headers=response.headers, body=await response.read()
            )
        self.conformance.check(
            method,
            path.partition("?")[0],
            status=reply.status,
            headers=reply.headers,
            body=reply.body,
        )
        return reply

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        **headers: str,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The same without reading: for streams."""
        sent = {**self.headers, **{name.replace("_", "-"): v for name, v in headers.items()}}
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        data = json.dumps(body).encode() if body is not None else raw
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        address = URL(self.url + path, encoded=True)
        async with self.http.request(method, address, data=data, headers=sent) as response:
            yield response

    async def get(self, path: str, **headers: str) -> Reply:
        """GET."""
        return await self.call("GET", path, None, raw=None, **headers)

    async def post(self, path: str, body: object = None, **headers: str) -> Reply:
        """POST."""
        return await self.call("POST", path, body, raw=None, **headers)

    async def say(self, text: str, *, session: str | None = None, **more: object) -> Reply:
        """Send a message by `/v1/chat`."""
        body = {"input": text, **({"session_id": session} if session else {}), **more}
        return await self.call("POST", "/v1/chat", body)

    async def new_session(self, **more: object) -> str:
        """A fresh session."""
        reply = await self.post("/v1/sessions", {"participant": {"external_id": "ann"}, **more})
        assert reply.status == 201, reply.body
        return str(reply.json["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A running gateway: `api` calls with an ordinary key, `admin` with one that may all."""

    url: str
    data: Path
    app: web.Application
    parts: Parts
    api: Client
    admin: Client

    @property
    def services(self) -> Services:
        """Its services."""
        return self.parts.services

    async def key(self, project: ProjectId = DEMO, **new: Any) -> str:
        """The text of a new key."""
        return (await self.services.keys.create(project, NewKey(**new))).text

    async def client(self, project: ProjectId = DEMO, **new: Any) -> Client:
        """A caller with a new key."""
        return self.api.with_key(await self.key(project, **new))


@asynccontextmanager
async def running(
    folder: Path,
    *,
    config: str = CONFIG,
    limits: Mapping[str, int] | None = None,
    connections: ConnectionLimits | None = None,
    **settings: Any,
) -> AsyncIterator[Gateway]:
    """A gateway at work in that folder: `[limits]` by name, `settings` fields of ApiSettings."""
    path = folder / "config.toml"
    lines = [f"{name} = {value}" for name, value in (limits or {}).items()]
    path.write_text("\n".join(["[limits]", *lines, config]))
    path.chmod(0o600)
    registry = Registry({})
    loaded = load(path)
    async with (
        open_store(loaded.settings.store.url, lock=True) as store,
        build(loaded, store, registry=registry, runs_turns=True) as parts,
    ):
        await parts.janitor.recover()
        working = asyncio.create_task(parts.flow.worker.run())
        runner = Runner(
            build_app(
                parts.services,
                settings=ApiSettings(
                    public_url="http://gateway.test", limits=loaded.policy().callers, **settings
                ),
            ),
            shutdown_timeout_s=0.1,
            limits=connections or ConnectionLimits(),
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            async with aiohttp.ClientSession() as http:
                yield await _gateway(runner, parts, http, data=folder / "data")
        finally:
            await runner.cleanup()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


@cache
def judge() -> Conformance:
    """The served description as a judge; it is the same for every gateway."""
    described = Description(ENDPOINTS, version="test", public_url="http://gateway.test")
    return Conformance(json.loads(json.dumps(described.document)))


async def _gateway(
    runner: Runner, parts: Parts, http: aiohttp.ClientSession, *, data: Path
) -> Gateway:
    port = runner.addresses[0][1]
    url = f"http://127.0.0.1:{port}"
    nobody = Client(url=url, http=http, conformance=judge(), key=None)
    gateway = Gateway(url=url, data=data, app=runner.app, parts=parts, api=nobody, admin=nobody)
    api = await gateway.client(name="tests")
    admin = await gateway.client(name="admin", kind="admin")
    return replace(gateway, api=api, admin=admin)
