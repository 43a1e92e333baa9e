"""The webhooks: messages of people, and what became of ours.

A call is proven by its signature before anything of it is used, stored, and only then answered 200
with an empty TwiML document: the reply goes by the API, since a model takes longer than the 15 s
Twilio waits. What Twilio must send again gets 503, anything without a right signature 403.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog
from aiohttp import web

from channels.twilio.door import Door
from channels.twilio.failures import wait_s
from channels.twilio.finding import SentMemory
from channels.twilio.forms import Form
from channels.twilio.health import Health
from channels.twilio.parse import Ignored, inbound
from channels.twilio.reports import STATUSES, report
from channels.twilio.settings import Line
from channels.twilio.signature import Call, Secrets, is_genuine, read_call
from gateway.contract.raw_body import UnusableBody, raw_body
from gateway.errors import GatewayError, RequestError

EMPTY_TWIML: Final = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'

_RETRY_AFTER_S: Final = 5

_log: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What takes calls while the channel is connected."""

    line: Line
    door: Door
    health: Health
    memory: SentMemory


class WebhookCalls:
    """Answers the calls; `desk()` is None while the channel is not connected.

    Twilio may call, and then signed, under any of `public_urls()`; none ends with a slash.
    """

    def __init__(
        self,
        secrets: Secrets,
        *,
        public_urls: Callable[[], Sequence[str]],
        desk: Callable[[], Desk | None],
    ) -> None:
        self._secrets = secrets
        self._public_urls = public_urls
        self._desk = desk

    async def message(self, request: web.Request) -> web.Response:
        """A person's message, or somebody who pretends to be Twilio."""
        return await self._answer(request, _take_message)

    async def status(self, request: web.Request) -> web.Response:
        """What became of a message of ours."""
        delivery_id = request.query.get("delivery", "")

        async def take(form: Form, desk: Desk) -> None:
            await _take_status(form, desk, delivery_id=delivery_id)

        return await self._answer(request, take)

    async def _answer(
        self, request: web.Request, take: Callable[[Form, Desk], Awaitable[None]]
    ) -> web.Response:
        try:
            call = self._genuine(request, await raw_body(request))
        except UnusableBody as error:
            return web.Response(status=error.status)
        if call is None:
            return web.Response(status=403)
        desk = self._desk()
        if desk is None:
            return later()
        try:
            if call.form is None:
                desk.door.ignore("json")
            else:
                await take(call.form, desk)
        except GatewayError as error:
            _log.warning("call_not_stored", path=request.path, code=error.code)
            return later(error)
        return web.Response(text=EMPTY_TWIML, content_type="text/xml")

    def _genuine(self, request: web.Request, body: bytes) -> Call | None:
        """The call under an address that Twilio knows; None when it is not one of Twilio's."""
        path = request.raw_path
        if not path.startswith("/"):
            return None
        for base in self._public_urls():
            try:
                call = read_call(base + path, body, headers=request.headers)
            except ValueError:
                return None
            if is_genuine(call, self._secrets):
                return call
        return None


async def _take_message(form: Form, desk: Desk) -> None:
    meaning = inbound(form, desk.line, received_at=datetime.now(UTC))
    if isinstance(meaning, Ignored):
        desk.door.ignore(meaning.kind)
    else:
        await desk.door.take([meaning])


async def _take_status(form: Form, desk: Desk, *, delivery_id: str) -> None:
    now = datetime.now(UTC)
    told = report(form, desk.line, delivery_id=delivery_id, received_at=now)
    if isinstance(told, Ignored):
        desk.door.ignore(told.kind)
        return
    if all(desk.door.is_known(event.external_id) for event in told.events):
        return
    if STATUSES[form.text("MessageStatus").lower()] != "failed":
        desk.memory.note_callback(form.text("MessageSid"), delivery_id)
    await desk.door.take(told.events)
    if told.code is not None:
        desk.health.note_failure(told.failure, code=told.code)
    if told.failure is not None and told.failure.meaning in ("wait", "tomorrow"):
        desk.health.hold(wait_s(told.failure, now=now))


def later(error: GatewayError | None = None) -> web.Response:
    """Ask for another try: we could not store it, or are not connected yet."""
    wished = error.retry_after_s if isinstance(error, RequestError) else None
    retry_after_s = max(1, math.ceil(wished or _RETRY_AFTER_S))
    return web.Response(status=503, headers={"Retry-After": str(retry_after_s)})
