"""The plain channel: an ordinary adapter, written against the channel contract and nothing else.

Its platform has everything a channel may use: acknowledged webhooks, message ids, messages that
grow, and an answer to the question what became of a delivery. Takes `PlainSettings`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from pydantic import BaseModel, ConfigDict, SecretStr

from gateway.contract import (
    Address,
    Attachment,
    Capabilities,
    Channel,
    ChannelHost,
    InboundMessage,
    Json,
    LiveKind,
    LiveOutput,
    OutboundMessage,
    Receipt,
    ReplyTo,
    Sender,
    SentQuery,
    Unreadable,
)
from gateway.errors import (
    DeliveryLater,
    DeliveryRefused,
    DeliveryUnknown,
    GatewayError,
    NotFound,
)
from gateway.testing.plain.client import PlainApi, Unknown

MAX_CHARS = 4000
ACCOUNT = "plain-1"
ANSWER_WITHIN_S = 10.0
TOKEN_HEADER = "X-Plain-Token"  # noqa: S105 - a header's name


class PlainSettings(BaseModel):
    """What stands in `[[channels]]`; `shows` is what people see while a turn runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr
    api_url: str
    shows: Literal["message", "none"] = "message"


def parse(body: bytes, *, channel: str, received_at: datetime) -> InboundMessage | Unreadable | str:
    """An event as the gateway understands it, or the word for what means nothing to it."""
    digest = hashlib.sha256(body)
    try:
        event = json.loads(body)
        if event["kind"] != "message" or event["is_bot"]:
            return str(event["kind"])
        return InboundMessage(
            account=ACCOUNT,
            external_id=str(event["id"]),
            digest=digest.digest(),
            received_at=received_at,
            address=Address(channel, str(event["chat"]), event["thread"]),
            sender=Sender("plain", str(event["user"])),
            text=str(event["text"]),
            source_order=int(event["number"]),
            message_ref=str(event["id"]),
            attachments=tuple([_attachment(file) for file in event.get("files", ())]),
        )
    except (ValueError, KeyError, TypeError) as error:
        return Unreadable(
            account=ACCOUNT,
            external_id=f"unreadable-{digest.hexdigest()}",
            digest=digest.digest(),
            received_at=received_at,
            raw=body,
            reason=f"no event: {type(error).__name__}",
        )


class GrowingMessage:
    """The message in which a person sees an answer grow."""

    kind: LiveKind = "message"
    refresh_s = 4.0
    min_interval_s = 0.1

    def __init__(self, api: PlainApi, address: Address, *, open_ref: str | None) -> None:
        self._api = api
        self._address = address
        self._opened = open_ref

    async def working(self, label: str | None) -> None:
        """Nothing: this platform has no signals."""

    async def open(self, delivery_id: str) -> str:
        """Make the message, still empty, under the id of the delivery that will finish it."""
        body = _message(self._address, "", delivery_id=delivery_id, is_final=False)
        self._opened = str((await self._api.call("POST", "/messages", body))["id"])
        return self._opened

    async def show(self, text: str) -> None:
        """Let it have the text so far, as much of it as fits."""
        if self._opened is not None:
            body = {"text": text[:MAX_CHARS], "is_final": False}
            await self._api.call("PUT", f"/messages/{self._opened}", body)


class PlainChannel(Channel):
    """One account on the plain platform."""

    kind: ClassVar[str] = "plain"
    settings_model: ClassVar[type[BaseModel]] = PlainSettings

    def __init__(self, name: str, settings: BaseModel, *, public_url: str) -> None:
        super().__init__(name, settings, public_url=public_url)
        if not isinstance(settings, PlainSettings):
            raise TypeError("a plain channel takes PlainSettings")
        self._options = settings
        self._api: PlainApi | None = None
        self._host: ChannelHost | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Growing messages if they are wanted; and it can be asked."""
        return Capabilities(live=self._options.shows, can_ask=True)

    def routes(self) -> list[web.RouteDef]:
        """Where events come in."""
        return [web.post(f"/hooks/{self.name}", self._hear)]

    @asynccontextmanager
    async def connected(self, host: ChannelHost) -> AsyncIterator[None]:
        """Able to send while inside; the token is proven before."""
        headers = {"Authorization": f"Bearer {self._options.token.get_secret_value()}"}
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        # A connection for each call: one that was closed meanwhile would leave a doubt.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(
            headers=headers, timeout=timeout, connector=connector
        ) as client:
            api = PlainApi(client, self._options.api_url)
            await _ask_once(api, "GET", "/account")
            self._api, self._host = api, host
            try:
                yield
            finally:
                self._api = self._host = None

    @asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Able to hear: the platform is told where, and goes on by itself."""
        url = f"{self.public_url.rstrip('/')}/hooks/{self.name}"
        await _ask_once(self._connected_api(), "PUT", "/webhook", {"url": url})
        yield

    def render(self, message: OutboundMessage) -> list[Json]:
        """Pieces of at most 4,000 characters; none of which is empty."""
        text = message.text.strip()
        pieces = (text[at : at + MAX_CHARS] for at in range(0, len(text), MAX_CHARS))
        files = [
            {"file": {"ref": a.ref, "name": a.name, "mime": a.mime, "kind": a.kind}}
            for a in message.attachments
        ]
        return [*({"text": piece} for piece in pieces if piece.strip()), *files]

    async def deliver(
        self, address: Address, part: Json, *, delivery_id: str, open_ref: str | None = None
    ) -> Receipt:
        """Send one part once; finish the message that was opened for it, or take that back."""
        api = self._connected_api()
        if "file" in part:
            return await self._deliver_file(api, address, part["file"], delivery_id=delivery_id)
        body = _message(address, part.get("text", ""), delivery_id=delivery_id, is_final=True)
        if open_ref is None:
            return await _post(api, body)
        try:
            if part:
                await api.call("PUT", f"/messages/{open_ref}", body)
            else:
                await api.call("DELETE", f"/messages/{open_ref}")
        except Unknown:
            return await _post(api, body) if part else Receipt(open_ref)
        return Receipt(open_ref)

    async def _deliver_file(
        self, api: PlainApi, address: Address, file: Json, *, delivery_id: str
    ) -> Receipt:
        """Send a file as a message of its own."""
        if self._host is None:
            raise DeliveryLater(f"channel {self.name} is not connected", scope="account")
        told = {**file, "chat": address.chat, "thread": address.thread, "delivery_id": delivery_id}
        del told["ref"]
        query = urlencode({name: value for name, value in told.items() if value is not None})
        try:
            data = b"".join([piece async for piece in self._host.open_file(file["ref"])])
        except NotFound as error:
            raise DeliveryRefused("the file is gone") from error
        return Receipt(str((await api.call("POST", f"/files?{query}", data=data))["id"]))

    def fetch(self, attachment: Attachment) -> AsyncGenerator[bytes, None]:
        """The bytes of a file that somebody sent."""
        return self._connected_api().download(attachment.ref)

    async def find_sent(self, query: SentQuery) -> Receipt | None:
        """The message with that delivery id; one that still grows counts only as an opened one."""
        path = f"/messages?delivery_id={query.delivery_id}"
        found = (await self._connected_api().call("GET", path))["messages"]
        wanted = [message for message in found if message["is_final"] or not query.part]
        return Receipt(str(wanted[0]["id"])) if wanted else None

    @asynccontextmanager
    async def live(
        self, address: Address, reply_to: ReplyTo | None, *, open_ref: str | None = None
    ) -> AsyncIterator[LiveOutput | None]:
        """A growing message, if such are wanted; `open_ref` goes on in one that stands."""
        is_wanted = self._api is not None and self._options.shows == "message"
        yield (
            GrowingMessage(self._connected_api(), address, open_ref=open_ref) if is_wanted else None
        )

    async def probe(self) -> str:
        """Whose token it is."""
        headers = {"Authorization": f"Bearer {self._options.token.get_secret_value()}"}
        async with aiohttp.ClientSession(headers=headers) as client:
            answer = await _ask_once(PlainApi(client, self._options.api_url), "GET", "/account")
        return f"account {answer['account']}"

    def _connected_api(self) -> PlainApi:
        if self._api is None:
            raise DeliveryLater(f"channel {self.name} is not connected", scope="account")
        return self._api

    async def _hear(self, request: web.Request) -> web.Response:
        """One event: 200 when it is on disk, 503 when it must come again."""
        given = request.headers.get(TOKEN_HEADER, "").encode("utf-8", "surrogateescape")
        token = self._options.token.get_secret_value().encode()
        if not hmac.compare_digest(given, token):
            return web.Response(status=401)
        if self._host is None:
            return web.Response(status=503)
        event = parse(await request.read(), channel=self.name, received_at=datetime.now(UTC))
        if isinstance(event, str):
            self._host.ignored(event)
            return web.Response()
        try:
            await self._host.accept([event])
        except GatewayError:
            return web.Response(status=503)
        return web.Response()


def _attachment(file: Json) -> Attachment:
    return Attachment(file["kind"], str(file["id"]), file["name"], file["mime"], file["size"])


async def _post(api: PlainApi, body: Json) -> Receipt:
    return Receipt(str((await api.call("POST", "/messages", body))["id"]))


def _message(address: Address, text: str, *, delivery_id: str, is_final: bool) -> Json:
    return {
        "chat": address.chat,
        "thread": address.thread,
        "text": text,
        "delivery_id": delivery_id,
        "is_final": is_final,
    }


async def _ask_once(
    api: PlainApi, method: str, path: str, body: Json | None = None
) -> dict[str, Any]:
    """A call that sends nothing, so that no answer only means: try again later."""
    try:
        return await api.call(method, path, body)
    except DeliveryUnknown as error:
        raise DeliveryLater(str(error)) from error
