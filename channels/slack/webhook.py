"""The request URLs: answers Slack's calls over HTTP.

A call is proven by its signature over the raw bytes before anything is parsed, stored, and only
then answered 200. What Slack must send again gets 503. Only what is truly Slack's and can never be
used gets 400 with `X-Slack-No-Retry`. Events, interactions and commands may come to any of the
three addresses: what it is, is in the body. docs.slack.dev, "Verifying requests from Slack" and
"Events API", Error handling; read November 2026.
"""

import hashlib
import hmac
import json
import math
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl

import structlog
from aiohttp import web

from channels.slack.door import Door, Told
from gateway.contract.raw_body import UnusableBody, raw_body
from gateway.errors import GatewayError, RequestError

SIGNATURE: Final = "X-Slack-Signature"
TIMESTAMP: Final = "X-Slack-Request-Timestamp"
FRESH_S: Final = 300

_RETRY_AFTER_S: Final = 5
_MAX_FIELDS: Final = 1000

_log: Final = structlog.get_logger(__name__)


def is_signed(
    body: bytes, *, secret: str, timestamp: str | None, signature: str | None, now: float
) -> bool:
    """Whether Slack made that call, within the last five minutes; never raises.

    >>> is_signed(b"{}", secret="s", timestamp="soon", signature="v0=00", now=0.0)
    False
    """
    if timestamp is None or signature is None or len(timestamp) > 20:
        return False
    if not (timestamp.isascii() and timestamp.isdecimal()):
        return False
    if abs(now - int(timestamp)) > FRESH_S:
        return False
    base = b"v0:" + timestamp.encode() + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogateescape"))


class WebhookCalls:
    """Answers the calls; `door()` is None while the channel is not connected."""

    def __init__(self, secret: str, *, door: Callable[[], Door | None]) -> None:
        self._secret = secret
        self._door = door

    async def answer(self, request: web.Request) -> web.Response:
        """One call of Slack's, or of somebody who pretends to be Slack."""
        try:
            body = await raw_body(request)
        except UnusableBody as error:
            return web.Response(status=error.status)
        if not self._is_signed(request, body):
            return web.Response(status=401)
        told = read_call(body, request.content_type)
        if isinstance(told, web.Response):
            return told
        door = self._door()
        if door is None:
            return _later()
        try:
            await door.take([told])
        except GatewayError as error:
            _log.warning("event_not_stored", path=request.path, code=error.code)
            return _later(error)
        return web.Response()

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        return is_signed(
            body,
            secret=self._secret,
            timestamp=request.headers.get(TIMESTAMP),
            signature=request.headers.get(SIGNATURE),
            now=time.time(),
        )


def read_call(body: bytes, content_type: str) -> Told | web.Response:
    """What Slack says in a signed call, or the answer to what is nothing for the gateway."""
    is_form = content_type == "application/x-www-form-urlencoded"
    try:
        document = _form(body) if is_form else json.loads(body)
    except (ValueError, RecursionError):
        return _unusable()
    if not isinstance(document, dict):
        return _unusable()
    if "ssl_check" in document:
        return web.Response()
    if document.get("type") == "url_verification":
        return web.Response(text=str(document.get("challenge") or ""), content_type="text/plain")
    if not is_form:
        return Told("events_api", document)
    if "payload" not in document:
        return Told("slash_commands", document) if "command" in document else _unusable()
    try:
        payload = json.loads(document["payload"])
    except (ValueError, RecursionError):
        return _unusable()
    return Told("interactive", payload) if isinstance(payload, dict) else _unusable()


def _form(body: bytes) -> dict[str, str]:
    return dict(
        parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            max_num_fields=_MAX_FIELDS,
        )
    )


def _unusable() -> web.Response:
    """Slack's own, and no other try will make it readable."""
    _log.warning("slack_call_unusable")
    return web.Response(status=400, headers={"X-Slack-No-Retry": "1"})


def _later(error: GatewayError | None = None) -> web.Response:
    wished = error.retry_after_s if isinstance(error, RequestError) else None
    retry_after_s = max(1, math.ceil(wished or _RETRY_AFTER_S))
    return web.Response(status=503, headers={"Retry-After": str(retry_after_s)})
